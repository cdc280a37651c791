// The JSON form of HCL, made into the same tree.
#include <algorithm>

#include "base/hcl.h"
#include "base/json.h"

namespace coffer::hcl::internal {
namespace {

// Line and column of offsets, asked for in rising order in the main, so that the whole text is walked about once.
class Places {
 public:
  explicit Places(std::string_view text) noexcept : text_(text) {}

  Position at(std::size_t offset) noexcept {
    if (offset < done_)
      line_ = 1, line_start_ = done_ = 0;
    for (; done_ < std::min(offset, text_.size()); ++done_) {
      if (text_[done_] == '\n') {
        ++line_;
        line_start_ = done_ + 1;
      }
    }
    return {line_, static_cast<std::uint32_t>(offset - line_start_ + 1)};
  }

  // Where `part` stands, if it is a piece of the text and later than what was asked last (a decoded copy is not); else
  // `otherwise`.
  Position of(std::string_view part, Position otherwise) noexcept {
    const auto offset = static_cast<std::size_t>(part.data() - text_.data());
    const bool inside = part.data() != nullptr && !std::less<>()(part.data(), text_.data()) && offset <= text_.size();
    return inside && offset >= done_ ? at(offset) : otherwise;
  }

 private:
  std::string_view text_;
  std::size_t done_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
};

Node convert(const json::Value& value, Position at, Places& places) {
  Node node;
  node.at = at;
  switch (value.kind()) {
    case json::Kind::kString:
      node.at = places.of(value.as_string(), at);
      node.text = value.as_string();
      break;
    case json::Kind::kNumber:
      node.kind = Kind::kNumber;
      node.at = places.of(value.number_text(), at);
      node.text = value.number_text();
      break;
    case json::Kind::kBool:
      node.kind = Kind::kBool;
      node.text = value.as_bool() ? "true" : "false";
      break;
    case json::Kind::kArray:
      node.kind = Kind::kList;
      for (const json::Value& element : value.elements()) {
        if (!element.is_null())
          node.list.push_back(convert(element, at, places));
      }
      break;
    case json::Kind::kObject:
      node.kind = Kind::kObject;
      for (const json::Member& member : value.members()) {
        if (member.value.is_null())
          continue;
        Item item;
        item.key = member.key();
        item.at = places.of(member.key(), at);
        item.value = convert(member.value, item.at, places);
        node.items.push_back(std::move(item));
      }
      break;
    case json::Kind::kNull:
    case json::Kind::kRaw:
      break;  // null says the same as nothing; a parsed tree holds no raw values
  }
  return node;
}

}  // namespace

Result<Node> parse_json(std::string_view text, const Limits& limits) {
  Arena arena;
  json::Limits json_limits;
  json_limits.depth = limits.depth;
  json_limits.strings = 2 * limits.nodes;
  json_limits.memory_bytes = 2 * limits.nodes * sizeof(json::Value);
  std::size_t offset = 0;
  const Result<json::Value> root = json::parse(arena, text, json_limits, &offset);
  Places places(text);
  if (!root.ok()) {
    // The message's own place, a byte, gives way to line and column.
    const Status failed = root.status();
    std::string_view message = failed.message();
    message.remove_prefix(message.find(": ") + 2);
    return Status(failed.code(), error_at(places.at(offset), message).message());
  }
  if (!root->is_object())
    return error_at({1, 1}, "expected an object");
  return convert(*root, {1, 1}, places);
}

}  // namespace coffer::hcl::internal
