// Reads the YAML that people write for data: mappings and lists in blocks, scalars plain, quoted, literal or folded,
// JSON where a value begins with '{' or '[', comments. No anchors, tags, complex keys or several documents.
#pragma once

#include <string_view>

#include "base/json.h"

namespace coffer::cli {

// kInvalid names the line that is not understood, never its content. Depth and size are bounded as JSON's are.
Result<json::Value> read_yaml(Arena& arena, std::string_view text);

}  // namespace coffer::cli
