#include "core/state_index.h"

#include <charconv>

#include "base/encoding.h"

namespace coffer::core {
namespace {

constexpr std::string_view kFormat = "v1:";

std::string payload_of(const TokenHasher& hasher, Index index) {
  const std::string number = std::to_string(index.get());
  return std::string(kFormat).append(hasher.state("cluster").view()) + ":" + number + ":" + number;
}

}  // namespace

std::string state_text(const TokenHasher& hasher, Index index) {
  const std::string payload = payload_of(hasher, index);
  return base64_encode(payload + ":" + std::string(hasher.state(payload).view()));
}

StateCheck check_states(const TokenHasher& hasher, const HeaderLine* states, Index at) {
  bool later = false;
  for (; states != nullptr; states = states->next) {
    const Result<std::string> text = base64_decode(states->value);
    const std::size_t signature = text.ok() ? text->rfind(':') : std::string::npos;
    const std::size_t number = signature == std::string::npos ? signature : text->rfind(':', signature - 1);
    if (number == std::string::npos || number == 0)
      return StateCheck::kForeign;
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(text->data() + number + 1, text->data() + signature, index);
    // The number's only spelling, signed: anything else was not written here.
    if (error != std::errc() || end != text->data() + signature || state_text(hasher, Index(index)) != states->value)
      return StateCheck::kForeign;
    later = later || Index(index) > at;
  }
  return later ? StateCheck::kLater : StateCheck::kHeld;
}

}  // namespace coffer::core
