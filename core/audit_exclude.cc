#include "core/audit_exclude.h"

#include <optional>

#include "base/json.h"

namespace coffer::core {
namespace {

constexpr json::Limits kLineLimits{2 * limits::kJsonDepthMax, SIZE_MAX, SIZE_MAX};

// "~1" and "~0" of a JSON pointer stand for '/' and '~'.
std::string unescaped(std::string_view segment) {
  std::string out;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const bool escape = segment[i] == '~' && i + 1 < segment.size() && (segment[i + 1] == '0' || segment[i + 1] == '1');
    out.push_back(!escape ? segment[i] : segment[++i] == '1' ? '/' : '~');
  }
  return out;
}

// Cuts the first segment off "/a/b".
std::string first_segment(std::string_view& pointer) {
  pointer.remove_prefix(1);
  const std::size_t end = std::min(pointer.find('/'), pointer.size());
  const std::string segment = unescaped(pointer.substr(0, end));
  pointer.remove_prefix(end);
  return segment;
}

class Line final : public AuditFilterSubject {
 public:
  explicit Line(const json::Value& root) : root_(root) {}
  void values(std::string_view selector, std::vector<std::string_view>& out) const override {
    const json::Value* at = &root_;
    while (at != nullptr && selector.starts_with('/'))
      at = at->find(first_segment(selector));
    if (at == nullptr)
      return;
    add(*at, out);
    for (const json::Value& element : at->elements())
      add(element, out);
  }

 private:
  static void add(const json::Value& value, std::vector<std::string_view>& out) {
    if (value.is_string())
      out.push_back(value.as_string());
    else if (value.is_number())
      out.push_back(value.number_text());
    else if (value.is_bool())
      out.push_back(value.as_bool() ? "true" : "false");
  }
  const json::Value& root_;
};

json::Value without(json::Arena& arena, const json::Value& value, std::string_view pointer) {
  if (!value.is_object())
    return value;
  const std::string segment = first_segment(pointer);
  json::ObjectBuilder kept(arena, value.size());
  for (const json::Member& member : value.members()) {
    if (member.key() != segment)
      kept.add(member.key(), member.value);
    else if (!pointer.empty())
      kept.add(member.key(), without(arena, member.value, pointer));
  }
  return kept.build();
}

}  // namespace

void exclude_fields(std::span<const AuditExclusion> exclusions, std::size_t from, std::string& text) {
  json::Arena arena;
  const Result<json::Value> whole = json::parse_copy(arena, std::string_view(text).substr(from), kLineLimits);
  if (!whole.ok())
    return;
  json::Value left = *whole;
  for (const AuditExclusion& exclusion : exclusions) {
    if (exclusion.condition && !exclusion.condition->matches(Line(*whole)))
      continue;
    for (const std::string& field : exclusion.fields)
      left = without(arena, left, field);
  }
  text.resize(from);
  json::write(left, text);
  text.push_back('\n');
}

}  // namespace coffer::core
