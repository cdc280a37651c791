// JSON of the core to and from the fields of messages.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"
#include "core/request.h"
#include "rpc/gateway.h"

namespace coffer::rpc {

using StringMap = google::protobuf::Map<std::string, std::string>;
using StringList = google::protobuf::RepeatedPtrField<std::string>;

// The answer's data as a tree: parts that the core keeps as text are read. Null when there is none.
Result<json::Value> tree_of(core::Exchange& exchange);

std::string text_of(const json::Value& value);
// Members of an object; each has a default for what is absent or of another type.
std::string string_of(const json::Value& object, std::string_view key);
std::int64_t integer_of(const json::Value& object, std::string_view key);
bool bool_of(const json::Value& object, std::string_view key);
json::Value object_of(const json::Value& object, std::string_view key);
void list_of(const json::Value& object, std::string_view key, StringList& out);
// Members of an object as text; those that are no strings as JSON.
void map_of(const json::Value& object, StringMap& out);

json::Value object_from(json::Arena& arena, const StringMap& map);
json::Value array_from(json::Arena& arena, const StringList& list);
// A client's JSON: an object, or null when empty. Borrows `text`.
Result<json::Value> parse_object(json::Arena& arena, const std::string& text, const json::Limits& limits,
                                 const char* field);

// What a request may hold, however its fields came to be JSON: kTooLarge over `limits.strings` keys and texts, or over
// `limits.depth` levels; else the bytes of all of them.
Result<std::size_t> check_data(const json::Value& data, const json::Limits& limits);

// "secret/" + "/data/" + path, for a mount with or without its slash.
std::string under(std::string_view mount, std::string_view middle, std::string_view path);

}  // namespace coffer::rpc
