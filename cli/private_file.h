// Files that a command writes for its user: whole or not at all, and read by nobody else.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::cli {

// Puts a new file of this mode in the place of whatever stands there, a link too: a reader sees the old content or the
// new, and after a failure (kIo, in the system's words) the old. Two who do it at once do not disturb each other.
// Something that is no file (a terminal, a pipe, a device) is written to.
Status replace_file(const std::string& path, std::string_view content, mode_t mode = 0600);

}  // namespace coffer::cli
