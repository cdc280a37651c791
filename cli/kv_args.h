// Data on the command line: key=value, key=@file, key=- for standard input, @file or - for a whole JSON object. A key
// given again makes a list; "\@" at the start of a value stands for "@".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace coffer::cli {

// Values live in `arena`. `in` is read to its end, at most once. kInvalid names the argument that is wrong, but of
// key=value only the key.
Result<std::map<std::string, json::Value>> parse_data(Arena& arena, const std::vector<std::string>& args, int in);

// The same with scalars as text; kInvalid for a value that is a list or object.
Result<std::map<std::string, std::string>> parse_text_data(Arena& arena, const std::vector<std::string>& args, int in);

json::Value object_of(Arena& arena, const std::map<std::string, json::Value>& members);
json::Value object_of(Arena& arena, const std::map<std::string, std::string>& members);

// The whole of a file or descriptor. The message ends as Go's: "open x: no such file or directory".
Result<std::string> read_file(const std::string& path);
Result<std::string> read_descriptor(int fd);

}  // namespace coffer::cli
