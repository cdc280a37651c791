// Lines of NAME="value", as shells and many programs read them.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::cli {

// Values in double quotes with \\, \", \$ and \` escaped, so that a POSIX shell reads the same text back; line breaks
// stay. kInvalid for a name that is none.
Result<std::string> write_dotenv(const std::map<std::string, std::string>& values);

// Takes comments, blank lines, "export ", and values without quotes, in single and in double ones. kInvalid names the
// line.
Result<std::map<std::string, std::string>> read_dotenv(std::string_view text);

}  // namespace coffer::cli
