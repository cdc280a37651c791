// Advisory J1: does anything about a secret decide a branch or an address? Memcheck tells, when the secret's bytes are
// marked as undefined before the call and as defined again before the result is looked at.
#include <valgrind/memcheck.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "crypto/hmac.h"
#include "crypto/xaes.h"
#include "seal/gf256.h"
#include "seal/shamir.h"
#include "seal/shamir_poly.h"

namespace {

using namespace coffer;

template <typename T>
void poison(std::span<T> bytes) {
  VALGRIND_MAKE_MEM_UNDEFINED(bytes.data(), bytes.size());
}

template <typename T>
void reveal(std::span<T> bytes) {
  VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size());
}

bool field_arithmetic() {
  std::vector<std::uint8_t> a(256), b(256);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::uint8_t>(i);
    b[i] = static_cast<std::uint8_t>(i * 7 + 1);
  }
  std::vector<std::uint8_t> products(a.size()), inverses(a.size());
  poison(std::span(a));
  poison(std::span(b));
  for (std::size_t i = 0; i < a.size(); ++i) {
    products[i] = seal::gf256::mul(a[i], b[i]);
    inverses[i] = seal::gf256::mul(seal::gf256::inverse(a[i]), a[i]);
  }
  reveal(std::span(inverses));
  for (std::size_t i = 1; i < inverses.size(); ++i) {
    if (inverses[i] != 1)
      return false;
  }
  return true;
}

// Splits 32 bytes into 5 shares with threshold 3 and combines 3 of them; secret, coefficients and shares are poisoned,
// x coordinates and sizes are not.
bool split_and_combine() {
  constexpr std::size_t kBytes = 32;
  constexpr std::string_view kText = "0123456789abcdef0123456789abcdef";
  std::vector<std::uint8_t> secret(kText.begin(), kText.end()), coefficients(2 * kBytes);
  for (std::size_t i = 0; i < coefficients.size(); ++i)
    coefficients[i] = static_cast<std::uint8_t>(i * 37 + 11);
  poison(std::span(secret));
  poison(std::span(coefficients));
  std::vector<SecretBytes> shares;
  for (std::uint8_t x = 1; x <= 5; ++x) {
    SecretBytes share(kBytes + 1);
    const auto bytes = share.reveal_mutable();
    seal::shamir_evaluate(x, secret, coefficients, bytes.first(kBytes));
    bytes.back() = x;
    shares.push_back(std::move(share));
  }
  const auto combined = seal::shamir_combine(std::span(shares).subspan(1, 3));
  if (!combined.ok())
    return false;
  reveal(combined->reveal());
  return combined->reveal_text() == kText;
}

bool comparisons_and_keys() {
  std::vector<std::uint8_t> key(32, 5), message(40, 6);
  poison(std::span(key));
  const crypto::HmacKey hmac{std::span<const std::uint8_t>(key)};
  crypto::Digest256 tag = hmac.mac(std::span<const std::uint8_t>(message));
  bool equal = hmac.verify(message, tag);
  reveal(std::span(reinterpret_cast<std::uint8_t*>(&equal), 1));
  const std::vector<std::uint8_t> prefix(crypto::kXaesPrefixBytes, 7);
  const SecretBytes derived = crypto::xaes_derive(std::span(std::as_const(key)).first<32>(),
                                                  std::span(prefix).first<crypto::kXaesPrefixBytes>());
  return equal && derived.size() == 32;
}

}  // namespace

int main(int count, char** arguments) {
  if (RUNNING_ON_VALGRIND == 0) {
    std::fputs("run this under valgrind\n", stderr);
    return 2;
  }
  const bool expect_reports = count > 1 && std::strcmp(arguments[1], "--expect-reports") == 0;
  const bool right = field_arithmetic() && split_and_combine() && comparisons_and_keys();
  const auto reports = static_cast<unsigned long>(VALGRIND_COUNT_ERRORS);
  std::printf("results %s, %lu reports of secret-dependent branches or addresses, %s expected\n",
              right ? "right" : "WRONG", reports, expect_reports ? "some" : "none");
  return right && (reports != 0) == expect_reports ? 0 : 1;
}
