// UTF-8, one sequence at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coffer {

// Length of the well-formed sequence that starts at `at`, or 0: overlong forms, surrogates, code points above U+10FFFF
// and sequences cut off by `end` are not well formed. Needs at < end.
inline std::size_t utf8_sequence(const char* at, const char* end) noexcept {
  const auto byte = [at](std::size_t i) { return static_cast<std::uint8_t>(at[i]); };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const std::uint8_t first = byte(0);
  const std::size_t left = static_cast<std::size_t>(end - at);
  if (first < 0x80)
    return 1;
  if (first < 0xc2)
    return 0;
  if (first < 0xe0)
    return left >= 2 && tail(1) ? 2 : 0;
  if (first < 0xf0) {
    if (left < 3 || !tail(1) || !tail(2))
      return 0;
    if (first == 0xe0 && byte(1) < 0xa0)
      return 0;
    return first == 0xed && byte(1) >= 0xa0 ? 0 : 3;
  }
  if (first > 0xf4 || left < 4 || !tail(1) || !tail(2) || !tail(3))
    return 0;
  if (first == 0xf0 && byte(1) < 0x90)
    return 0;
  return first == 0xf4 && byte(1) >= 0x90 ? 0 : 4;
}

inline bool is_utf8(std::string_view text) noexcept {
  const char* end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const std::size_t n = utf8_sequence(at, end);
    if (n == 0)
      return false;
    at += n;
  }
  return true;
}

// Writes `code_point` (a scalar value) to `to`, which has room for four bytes; returns how many it took.
inline std::size_t utf8_encode(std::uint32_t code_point, char* to) noexcept {
  if (code_point < 0x80) {
    to[0] = static_cast<char>(code_point);
    return 1;
  }
  if (code_point < 0x800) {
    to[0] = static_cast<char>(0xc0 | (code_point >> 6));
    to[1] = static_cast<char>(0x80 | (code_point & 0x3f));
    return 2;
  }
  if (code_point < 0x10000) {
    to[0] = static_cast<char>(0xe0 | (code_point >> 12));
    to[1] = static_cast<char>(0x80 | ((code_point >> 6) & 0x3f));
    to[2] = static_cast<char>(0x80 | (code_point & 0x3f));
    return 3;
  }
  to[0] = static_cast<char>(0xf0 | (code_point >> 18));
  to[1] = static_cast<char>(0x80 | ((code_point >> 12) & 0x3f));
  to[2] = static_cast<char>(0x80 | ((code_point >> 6) & 0x3f));
  to[3] = static_cast<char>(0x80 | (code_point & 0x3f));
  return 4;
}

}  // namespace coffer
