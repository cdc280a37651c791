#include "core/engine.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/split.h"
#include "base/time_text.h"

namespace coffer::core {
namespace {

// Names the field and what it must be; never what it held (advisory H7).
Status field_error(std::string_view name, std::string_view want, const json::Value& value) {
  std::string text = "field \"" + std::string(name) + "\" must be " + std::string(want);
  if (mutant(Mutant::kErrorEchoesValue)) {
    text += ", not ";
    json::write(value, text);
  }
  return Status(Code::kInvalid, std::move(text));
}

std::optional<std::int64_t> whole_number(const json::Value& value) {
  if (value.is_number()) {
    const Result<std::int64_t> number = value.as_int64();
    return number.ok() ? std::optional(*number) : std::nullopt;
  }
  if (!value.is_string() || value.as_string().empty())
    return std::nullopt;
  const std::string_view text = value.as_string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string_view MountInfo::option(std::string_view key) const {
  for (const auto& [name, value] : options)
    if (name == key)
      return value;
  return {};
}

Result<TokenParams> Engine::renew_login(HandlerContext&, std::string_view, const std::vector<std::string_view>&) const {
  return Status(Code::kInvalid, "this auth method does not renew tokens");
}

Result<std::optional<std::string_view>> Storage::get(std::string_view path) {
  return txn_.get({class_, namespace_, mount_, path});
}
Status Storage::put(std::string_view path, std::string_view plaintext) {
  return txn_.put({class_, namespace_, mount_, path}, plaintext);
}
Status Storage::erase(std::string_view path) { return txn_.erase({class_, namespace_, mount_, path}); }
Result<ListPage> Storage::list(std::string_view folder, std::string_view after, std::size_t limit) {
  return txn_.list({class_, namespace_, mount_, folder}, after, limit);
}

json::Value HandlerContext::field(std::string_view name) const {
  const json::Value* value = request.data.find(name);
  return value == nullptr ? json::Value() : *value;
}

Result<std::string_view> HandlerContext::string_field(std::string_view name, std::string_view fallback) const {
  const json::Value value = field(name);
  if (value.is_null())
    return fallback;
  if (value.is_string())
    return value.as_string();
  // Clients that build bodies from key=value pairs send bare numbers for text.
  if (value.is_number())
    return value.number_text();
  return field_error(name, "a string", value);
}

Result<std::int64_t> HandlerContext::int_field(std::string_view name, std::int64_t fallback, std::int64_t min,
                                               std::int64_t max) const {
  const json::Value value = field(name);
  if (value.is_null())
    return fallback;
  const std::optional<std::int64_t> number = whole_number(value);
  if (mutant(Mutant::kNumbersUnchecked) && number)
    return *number;
  if (!number || *number < min || *number > max)
    return field_error(name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max), value);
  return *number;
}

Result<bool> HandlerContext::bool_field(std::string_view name, bool fallback) const {
  const json::Value value = field(name);
  if (value.is_null())
    return fallback;
  if (value.is_bool())
    return value.as_bool();
  const std::string_view text = value.is_string() ? value.as_string() : value.is_number() ? value.number_text() : "";
  for (const std::string_view yes : {"true", "True", "TRUE", "t", "T", "1"})
    if (text == yes)
      return true;
  for (const std::string_view no : {"false", "False", "FALSE", "f", "F", "0"})
    if (text == no)
      return false;
  return field_error(name, "true or false", value);
}

Result<Nanos> HandlerContext::duration_field(std::string_view name, Nanos fallback) const {
  const json::Value value = field(name);
  if (value.is_null())
    return fallback;
  const Result<Nanos> duration = parse_duration(value);
  if (!duration.ok() || *duration < Nanos(0))
    return field_error(name, "a duration such as 90, \"30m\" or \"24h\", not negative", value);
  return *duration;
}

Result<std::vector<std::string_view>> HandlerContext::list_field(std::string_view name) const {
  const json::Value value = field(name);
  std::vector<std::string_view> items;
  const Status too_many(Code::kInvalid, "field \"" + std::string(name) + "\" has more than " +
                                            std::to_string(limits::kListItemsMax) + " items");
  if (value.is_string()) {
    std::string_view rest = value.as_string();
    for (std::string_view item; take_item(rest, item);) {
      if (items.size() >= limits::kListItemsMax && !mutant(Mutant::kListsUnbounded))
        return too_many;
      items.push_back(item);
    }
    return items;
  }
  if (!value.is_array() && !value.is_null())
    return field_error(name, "a list of strings", value);
  for (const json::Value& element : value.elements()) {
    if (!element.is_string())
      return field_error(name, "a list of strings", value);
    if (items.size() >= limits::kListItemsMax && !mutant(Mutant::kListsUnbounded))
      return too_many;
    items.push_back(element.as_string());
  }
  return items;
}

}  // namespace coffer::core
