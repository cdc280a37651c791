// Letters of ASCII; whatever else a text holds stays as it is.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace coffer {

inline char lower_ascii(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = lower_ascii(c);
  return out;
}

// Whether lower_ascii() would change it.
inline bool has_upper_ascii(std::string_view text) noexcept {
  return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace coffer
