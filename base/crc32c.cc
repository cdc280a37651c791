#include "base/crc32c.h"

#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace coffer {
namespace {

constexpr std::uint32_t kReversedPolynomial = 0x82f63b78;

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view data, std::uint32_t seed) noexcept {
  const char* at = data.data();
  std::size_t left = data.size();
  std::uint64_t crc = ~seed;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left)
    narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return ~narrow;
}

using Crc32c = std::uint32_t (*)(std::string_view, std::uint32_t) noexcept;

Crc32c pick() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") ? &crc32c_sse42 : &crc32c_portable;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(std::string_view data, std::uint32_t seed) noexcept {
  std::uint32_t crc = ~seed;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ (kReversedPolynomial & (0u - (crc & 1u)));
  }
  return ~crc;
}

std::uint32_t crc32c(std::string_view data, std::uint32_t seed) noexcept {
#if defined(__x86_64__)
  static const Crc32c best = pick();
  return best(data, seed);
#else
  return crc32c_portable(data, seed);
#endif
}

}  // namespace coffer
