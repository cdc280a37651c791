// JSON values as text in tables, and copies of them in the order in which Go prints maps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace coffer::cli {

// As Go's %v: "<nil>", map[a:1 b:2] with sorted keys, [1 a], numbers with their own digits.
std::string value_text(const json::Value& value);

// A string that is empty stays empty; everything else as above.
std::string scalar_text(const json::Value& value);

// True for names under which APIs answer seconds: ttl, period, ..._ttl, lease_max.
bool looks_like_duration(std::string_view key);

// value_text, or a duration when the key looks like one and the value is a whole number.
std::string field_text(std::string_view key, const json::Value& value);

std::optional<std::int64_t> whole_number(const json::Value* value);
std::int64_t number_or(const json::Value& object, std::string_view key, std::int64_t otherwise);
bool bool_or(const json::Value& object, std::string_view key, bool otherwise);
// The member when it is there and not null.
const json::Value* member(const json::Value& object, std::string_view key);

// The same tree with members sorted by key at every level, in `arena`.
json::Value sorted(Arena& arena, const json::Value& value);

// "2026-11-22T02:35:02.600Z" as "2026-11-22 02:35:02.6 +0000 UTC" and as "22 Nov 26 02:35 UTC"; text that is no such
// time stays as it is.
std::string long_time(std::string_view rfc3339);
std::string short_time(std::string_view rfc3339);

// Texts of a list in `object`; none where there is no list of that name.
std::vector<std::string> texts_of(const json::Value& object, std::string_view key);
// The way back.
json::Value texts_value(Arena& arena, const std::vector<std::string>& texts);

}  // namespace coffer::cli
