// Answers in the format that was asked for.
#pragma once

#include "cli/command.h"
#include "cli/secret.h"

namespace coffer::cli {

// Each returns an exit code: 0, or 1 for a format that cannot show this.
int output_secret(Context& context, const Secret& secret);
int output_list(Context& context, const Secret& secret);             // data.keys
int output_map(Context& context, const json::Value& object);         // table of its members
int output_data(Context& context, const json::Value& value);         // json or yaml of it, in the order given
int output_strings(Context& context, const std::vector<std::string>& strings);

// The value as json, yaml or Go's plain text; exit code 1 when there is none.
int output_raw_field(Context& context, const std::optional<json::Value>& value, std::string_view field);

// `title` between '=' signs above the path.
void output_path(Context& context, std::string_view path, std::string_view title);
// A title above a table of `object`.
std::string map_banner(std::string_view title, const json::Value& object);

// A reply that is a secret: 2 and the error printed as "<lead>: <error>" when it failed, else nothing is printed.
bool report(Context& context, const Reply& reply, std::string_view lead);

}  // namespace coffer::cli
