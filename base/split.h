// Lists that are one text with commas.
#pragma once

#include <string_view>

namespace coffer {

// Takes the next item off `rest`, without the blanks around it; items that are empty are passed over. False, and `item`
// left alone, when there is none.
inline bool take_item(std::string_view& rest, std::string_view& item) noexcept {
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view next = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    while (!next.empty() && next.front() == ' ')
      next.remove_prefix(1);
    while (!next.empty() && next.back() == ' ')
      next.remove_suffix(1);
    if (next.empty())
      continue;
    item = next;
    return true;
  }
  return false;
}

}  // namespace coffer
