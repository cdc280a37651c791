// The usual layout of an HCL file: two spaces a level, one blank line between blocks, equal signs in columns, comments
// kept.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::cli {

// kInvalid, naming line and column, when the text is no HCL; JSON has no layout to give and is refused too.
Result<std::string> format_hcl(std::string_view text);

}  // namespace coffer::cli
