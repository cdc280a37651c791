#include "cli/value_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "cli/duration.h"

namespace coffer::cli {
namespace {

std::vector<const json::Member*> by_key(const json::Value& object) {
  std::vector<const json::Member*> members;
  for (const json::Member& m : object.members())
    members.push_back(&m);
  std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->key() < b->key(); });
  return members;
}

void append_value(const json::Value& value, std::string& out) {
  switch (value.kind()) {
    case json::Kind::kNull: out += "<nil>"; break;
    case json::Kind::kBool: out += value.as_bool() ? "true" : "false"; break;
    case json::Kind::kNumber: out += value.number_text(); break;
    case json::Kind::kString: out += value.as_string(); break;
    case json::Kind::kRaw: out += value.raw_text(); break;
    case json::Kind::kArray: {
      out += '[';
      bool first = true;
      for (const json::Value& element : value.elements()) {
        if (!first)
          out += ' ';
        first = false;
        append_value(element, out);
      }
      out += ']';
      break;
    }
    case json::Kind::kObject: {
      out += "map[";
      bool first = true;
      for (const json::Member* m : by_key(value)) {
        if (!first)
          out += ' ';
        first = false;
        out += m->key();
        out += ':';
        append_value(m->value, out);
      }
      out += ']';
      break;
    }
  }
}

bool digits_at(std::string_view text, std::size_t at, std::size_t count) {
  return at + count <= text.size() && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                  text.begin() + static_cast<std::ptrdiff_t>(at + count),
                                                  [](char c) { return c >= '0' && c <= '9'; });
}

// True for "YYYY-MM-DDTHH:MM:SS..." that ends in Z; the server answers times in UTC only.
bool is_utc_time(std::string_view text) {
  return text.size() >= 20 && digits_at(text, 0, 4) && text[4] == '-' && digits_at(text, 5, 2) && text[7] == '-' &&
         digits_at(text, 8, 2) && text[10] == 'T' && digits_at(text, 11, 2) && text[13] == ':' &&
         digits_at(text, 14, 2) && text[16] == ':' && digits_at(text, 17, 2) && text.back() == 'Z';
}

}  // namespace

std::string value_text(const json::Value& value) {
  std::string out;
  append_value(value, out);
  return out;
}

std::string scalar_text(const json::Value& value) { return value.is_null() ? "" : value_text(value); }

bool looks_like_duration(std::string_view key) {
  return key == "period" || key.ends_with("_period") || key == "ttl" || key.ends_with("_ttl") || key == "duration" ||
         key.ends_with("_duration") || key == "lease_max" || key == "ttl_max";
}

std::string field_text(std::string_view key, const json::Value& value) {
  constexpr std::int64_t kSecondsMax = INT64_MAX / kSecondNanos;
  if (looks_like_duration(key)) {
    std::optional<std::int64_t> seconds = whole_number(&value);
    if (seconds && *seconds <= kSecondsMax && *seconds >= -kSecondsMax)
      return human_duration(*seconds * kSecondNanos);
  }
  return value_text(value);
}

std::optional<std::int64_t> whole_number(const json::Value* value) {
  if (value == nullptr || !value->is_number())
    return std::nullopt;
  Result<std::int64_t> number = value->as_int64();
  return number.ok() ? std::optional<std::int64_t>(*number) : std::nullopt;
}

std::int64_t number_or(const json::Value& object, std::string_view key, std::int64_t otherwise) {
  return whole_number(object.find(key)).value_or(otherwise);
}

bool bool_or(const json::Value& object, std::string_view key, bool otherwise) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : otherwise;
}

const json::Value* member(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

json::Value sorted(Arena& arena, const json::Value& value) {
  if (value.is_array()) {
    json::ArrayBuilder builder(arena, value.size() + 1);
    for (const json::Value& element : value.elements())
      builder.add(sorted(arena, element));
    return builder.build();
  }
  if (value.is_object()) {
    json::ObjectBuilder builder(arena, value.size() + 1);
    for (const json::Member* m : by_key(value))
      builder.add(m->key(), sorted(arena, m->value));
    return builder.build();
  }
  return value;
}

std::string long_time(std::string_view rfc3339) {
  if (!is_utc_time(rfc3339))
    return std::string(rfc3339);
  std::string_view fraction = rfc3339.substr(19, rfc3339.size() - 20);
  while (fraction.size() > 1 && fraction.back() == '0')
    fraction.remove_suffix(1);
  return std::string(rfc3339.substr(0, 10)) + " " + std::string(rfc3339.substr(11, 8)) +
         (fraction.size() > 1 ? std::string(fraction) : "") + " +0000 UTC";
}

std::string short_time(std::string_view rfc3339) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (!is_utc_time(rfc3339))
    return std::string(rfc3339);
  int month = (rfc3339[5] - '0') * 10 + (rfc3339[6] - '0');
  if (month < 1 || month > 12)
    return std::string(rfc3339);
  return std::string(rfc3339.substr(8, 2)) + " " + std::string(kMonths[static_cast<std::size_t>(month - 1)]) + " " +
         std::string(rfc3339.substr(2, 2)) + " " + std::string(rfc3339.substr(11, 5)) + " UTC";
}

std::vector<std::string> texts_of(const json::Value& object, std::string_view key) {
  std::vector<std::string> out;
  if (const json::Value* list = member(object, key); list != nullptr && list->is_array())
    for (const json::Value& one : list->elements())
      out.push_back(value_text(one));
  return out;
}

json::Value texts_value(Arena& arena, const std::vector<std::string>& texts) {
  json::ArrayBuilder list(arena, texts.size());
  for (const std::string& text : texts)
    list.add(text);
  return list.build();
}

}  // namespace coffer::cli
