#include "crypto/random.h"

#include <algorithm>

#include "base/mutant.h"

namespace coffer::crypto {
namespace {

constexpr int kDrawsMax = 2;

bool all_zero(std::span<const std::uint8_t> bytes) noexcept {
  std::uint8_t any = 0;
  for (const std::uint8_t byte : bytes)
    any |= byte;
  return any == 0;
}

}  // namespace

Status draw(RandomSource& random, std::span<std::uint8_t> out) {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  for (int attempt = 0; attempt < kDrawsMax; ++attempt) {
    Status filled = random.fill(out);
    if (mutant(Mutant::kRandomFailureIgnored))
      return Status();
    if (!filled.ok()) {
      wipe(out.data(), out.size());
      return filled;
    }
    if (!all_zero(out) || mutant(Mutant::kZeroNonceAccepted))
      return Status();
  }
  return Status(Code::kInternal, "the random source returns only zeros");
}

Result<SecretBytes> draw_secret(RandomSource& random, std::size_t size) {
  SecretBytes out(size);
  COFFER_TRY(draw(random, out.reveal_mutable()));
  return out;
}

}  // namespace coffer::crypto
