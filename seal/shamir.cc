#include "seal/shamir.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/mutant.h"
#include "crypto/random.h"
#include "seal/gf256.h"
#include "seal/shamir_poly.h"

namespace coffer::seal {
namespace {

constexpr std::size_t kDrawnBytesMin = 16;

using Multiply = std::uint8_t (*)(std::uint8_t, std::uint8_t);

struct LogTables {
  std::array<std::uint8_t, 256> log{};
  std::array<std::uint8_t, 256> exp{};
};

// The known bug that the constant-time test must notice: logarithm tables, indexed by the secret.
std::uint8_t table_multiply(std::uint8_t a, std::uint8_t b) {
  static const LogTables tables = [] {
    LogTables made;
    std::uint8_t value = 1;
    for (int i = 0; i < 255; ++i) {
      made.exp[static_cast<std::size_t>(i)] = value;
      made.log[value] = static_cast<std::uint8_t>(i);
      value = gf256::mul(value, 3);
    }
    return made;
  }();
  if (a == 0 || b == 0)
    return 0;
  return tables.exp[(tables.log[a] + tables.log[b]) % 255u];
}

// 1..255 in random order, the first `count` of them. Which share got which coordinate is not secret, the shares carry
// it; rejection keeps the order uniform.
Result<std::vector<std::uint8_t>> draw_coordinates(unsigned count, RandomSource& random) {
  std::array<std::uint8_t, kSharesMax> all;
  for (unsigned i = 0; i < kSharesMax; ++i)
    all[i] = static_cast<std::uint8_t>(i + 1);
  for (unsigned i = 0; i < count; ++i) {
    const unsigned left = kSharesMax - i;
    const unsigned fair = 65536 / left * left;
    unsigned drawn = fair;
    while (drawn >= fair) {
      std::array<std::uint8_t, 2> bytes;
      COFFER_TRY(random.fill(bytes));
      drawn = static_cast<unsigned>(bytes[0]) << 8 | bytes[1];
    }
    std::swap(all[i], all[i + drawn % left]);
  }
  return std::vector<std::uint8_t>(all.begin(), all.begin() + count);
}

Status check_parts(std::span<const SecretBytes> shares) {
  if (shares.size() < 2)
    return Status(Code::kInvalid, "fewer than two shares cannot be combined");
  if (shares.size() > kSharesMax)
    return Status(Code::kInvalid, "more than 255 shares cannot be combined");
  const std::size_t size = shares[0].size();
  if (size < 1 + kShareOverheadBytes)
    return Status(Code::kInvalid, "a share has at least two bytes");
  std::array<bool, 256> seen{};
  for (const SecretBytes& share : shares) {
    if (share.size() != size)
      return Status(Code::kInvalid, "shares that belong together have one size");
    const std::uint8_t x = share.reveal().back();
    if (x == 0)
      return Status(Code::kInvalid, "no share has the coordinate 0");
    if (std::exchange(seen[x], true))
      return Status(Code::kInvalid, "two shares have the same coordinate");
  }
  return Status();
}

}  // namespace

void shamir_evaluate(std::uint8_t x, std::span<const std::uint8_t> secret, std::span<const std::uint8_t> coefficients,
                     std::span<std::uint8_t> y) {
  const Multiply multiply = mutant(Mutant::kShamirTables) ? table_multiply : gf256::mul;
  const std::size_t size = secret.size();
  for (std::size_t i = 0; i < size; ++i) {
    std::uint8_t value = 0;
    for (std::size_t row = coefficients.size() / size; row-- > 0;)
      value = multiply(value, x) ^ coefficients[row * size + i];
    y[i] = multiply(value, x) ^ secret[i];
  }
}

Result<std::vector<SecretBytes>> shamir_split(const SecretBytes& secret, unsigned shares, unsigned threshold,
                                              RandomSource& random) {
  if (threshold < 2 || shares < threshold || shares > kSharesMax)
    return Status(Code::kInvalid, "a secret is split into 2 to 255 shares, with a threshold from 2 to their number");
  if (secret.empty())
    return Status(Code::kInvalid, "an empty secret cannot be split");
  COFFER_ASSIGN(const auto coordinates, draw_coordinates(shares, random));
  // A tiny secret's coefficients may well be all zero; what is refused as a dead source must be too long for that.
  const std::size_t coefficient_bytes = (threshold - 1) * secret.size();
  COFFER_ASSIGN(const auto drawn, crypto::draw_secret(random, std::max(coefficient_bytes, kDrawnBytesMin)));
  const auto coefficients = drawn.reveal().first(coefficient_bytes);
  std::vector<SecretBytes> out;
  out.reserve(shares);
  for (const std::uint8_t x : coordinates) {
    SecretBytes share(secret.size() + kShareOverheadBytes);
    const auto bytes = share.reveal_mutable();
    shamir_evaluate(x, secret.reveal(), coefficients, bytes.first(secret.size()));
    bytes.back() = x;
    out.push_back(std::move(share));
  }
  return out;
}

Result<SecretBytes> shamir_combine(std::span<const SecretBytes> shares) {
  COFFER_TRY(check_parts(shares));
  const Multiply multiply = mutant(Mutant::kShamirTables) ? table_multiply : gf256::mul;
  SecretBytes secret(shares[0].size() - kShareOverheadBytes);
  const auto out = secret.reveal_mutable();
  for (const SecretBytes& share : shares) {
    // Lagrange's basis at 0: the product of x_j / (x_j - x_i) over the others. It depends on coordinates only, so one
    // inverse serves all bytes.
    const std::uint8_t x = share.reveal().back();
    std::uint8_t numerator = 1, denominator = 1;
    for (const SecretBytes& other : shares) {
      if (&other == &share)
        continue;
      const std::uint8_t other_x = other.reveal().back();
      numerator = gf256::mul(numerator, other_x);
      denominator = gf256::mul(denominator, other_x ^ x);
    }
    const std::uint8_t weight = gf256::mul(numerator, gf256::inverse(denominator));
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] ^= multiply(share.reveal()[i], weight);
  }
  return secret;
}

}  // namespace coffer::seal
