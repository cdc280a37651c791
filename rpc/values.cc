#include "rpc/values.h"

#include "base/mutant.h"

namespace coffer::rpc {

Result<json::Value> tree_of(core::Exchange& exchange) {
  if (exchange.response.data.is_null())
    return json::Value::null();
  std::string text;
  json::write(exchange.response.data, text);
  return json::parse_copy(exchange.arena, text, {limits::kJsonDepthMax * 2, SIZE_MAX, SIZE_MAX});
}

std::string text_of(const json::Value& value) {
  std::string text;
  json::write(value, text);
  return text;
}

std::string string_of(const json::Value& object, std::string_view key) {
  return std::string(object.string_or(key, ""));
}

std::int64_t integer_of(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  if (value == nullptr || !value->is_number())
    return 0;
  const auto number = value->as_int64();
  return number.ok() ? *number : 0;
}

bool bool_of(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

json::Value object_of(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_object() ? *value : json::Value::null();
}

void list_of(const json::Value& object, std::string_view key, StringList& out) {
  const json::Value* value = object.find(key);
  if (value == nullptr)
    return;
  for (const json::Value& element : value->elements()) {
    if (element.is_string())
      *out.Add() = std::string(element.as_string());
  }
}

void map_of(const json::Value& object, StringMap& out) {
  for (const json::Member& member : object.members())
    out[std::string(member.key())] =
        member.value.is_string() ? std::string(member.value.as_string()) : text_of(member.value);
}

json::Value object_from(json::Arena& arena, const StringMap& map) {
  json::ObjectBuilder object(arena, map.size());
  for (const auto& [name, value] : map)
    object.add(name, value);
  return object.build();
}

json::Value array_from(json::Arena& arena, const StringList& list) {
  json::ArrayBuilder array(arena, static_cast<std::size_t>(list.size()));
  for (const std::string& element : list)
    array.add(element);
  return array.build();
}

Result<json::Value> parse_object(json::Arena& arena, const std::string& text, const json::Limits& limits,
                                 const char* field) {
  if (text.empty())
    return json::Value::null();
  auto value = json::parse(arena, text, limits);
  if (!value.ok())
    return value.status().with_context(field);
  if (!value->is_object() && !value->is_null())
    return Status(Code::kInvalid, std::string(field) + ": not an object");
  return *value;
}

namespace {

struct Count {
  std::size_t strings = 0;
  std::size_t bytes = 0;
  void add(std::string_view text) {
    ++strings;
    bytes += text.size();
  }
};

// False when it is deeper than that.
bool count(const json::Value& value, std::size_t levels, Count& sum) {
  if (value.is_string())
    sum.add(value.as_string());
  if (!value.is_object() && !value.is_array())
    return true;
  if (levels == 0 && !mutant(Mutant::kJsonDepthUnchecked))
    return false;
  for (const json::Member& member : value.members()) {
    sum.add(member.key());
    if (!count(member.value, levels - 1, sum))
      return false;
  }
  for (const json::Value& element : value.elements()) {
    if (!count(element, levels - 1, sum))
      return false;
  }
  return true;
}

}  // namespace

Result<std::size_t> check_data(const json::Value& data, const json::Limits& limits) {
  Count sum;
  if (!count(data, limits.depth, sum))
    return Status(Code::kTooLarge, "the request has more than " + std::to_string(limits.depth) + " levels");
  if (sum.strings > limits.strings)
    return Status(Code::kTooLarge, "the request has more than " + std::to_string(limits.strings) + " keys and texts");
  return sum.bytes;
}

std::string under(std::string_view mount, std::string_view middle, std::string_view path) {
  while (!mount.empty() && mount.back() == '/')
    mount.remove_suffix(1);
  std::string whole(mount);
  whole += middle;
  whole += path;
  return whole;
}

}  // namespace coffer::rpc
