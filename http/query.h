// Query strings and form bodies: `a=1&b=2`, decoded once into an object of strings.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "base/json.h"
#include "base/status.h"

namespace coffer::http {

// What a query says besides its parameters.
struct Query {
  bool list = false;  // list=true or list=1
  bool scan = false;  // scan=true or scan=1
  bool help = false;  // help=true or help=1, or without a value
  // an object of the other parameters, or null when there is none; a name that comes several times is an array
  json::Value data;
};

// `text` is still encoded, without the '?'. kInvalid for a broken escape, text that is not UTF-8, an empty name, or
// more than limits::kQueryParametersMax parameters. Strings live in the arena or in `text`.
Result<Query> parse_query(Arena& arena, std::string_view text);

// The same for a form body, where `list`, `scan` and `help` are members like others. Null when empty.
Result<json::Value> parse_form(Arena& arena, std::string_view text);

}  // namespace coffer::http
