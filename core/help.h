// Path help, told from the tables.
#pragma once

#include "core/path_table.h"

namespace coffer::core {

// What GET path?help=1 answers: {"help": text, "openapi": null, "see_also": null}. Of a mount itself: what it is, and
// its paths.
json::Value describe_mount(json::Arena& arena, const PathTable& table, std::string_view type);
json::Value describe_path(json::Arena& arena, const PathSpec& spec, std::string_view path);

}  // namespace coffer::core
