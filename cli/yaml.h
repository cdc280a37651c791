// YAML output of a JSON value, in the style that Go's YAML library prints: keys sorted, lists not indented below their
// key.
#pragma once

#include <string>

#include "base/json.h"

namespace coffer::cli {

// Without a newline at the end. Numbers go through a double, as they do there.
std::string yaml(const json::Value& value);

}  // namespace coffer::cli
