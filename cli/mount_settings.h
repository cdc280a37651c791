// Settings that secrets engines and auth methods have in common: flags, bodies of requests, and what lists show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/table.h"

namespace coffer::cli {

// Flags of enable and tune.
std::vector<Flag> tunable_flags();
// The flags that were given, under the same names with underscores.
void add_tunables(Context& context, json::ObjectBuilder& body);
// -options and -version; null when neither was given.
json::Value options_of(Context& context);
// "" leaves a setting alone, "system" takes the server's.
std::string ttl_for_tune(std::int64_t nanos);

// A mount as JSON and YAML show it.
json::Value printable_mount(Arena& arena, const json::Value& mount);
// Type, accessor and description behind the path.
Row mount_row(const std::string& path, const json::Value& mount);
// All columns of -detailed, and the titles above them; the sixth is `sixth`.
Row detailed_mount_titles(const std::string& sixth);
Row detailed_mount_row(const std::string& path, const json::Value& mount, const std::string& sixth);

}  // namespace coffer::cli
