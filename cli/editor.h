// A text in the user's own editor.
#pragma once

#include <string>

#include "base/status.h"
#include "cli/invocation.h"

namespace coffer::cli {

// Writes the text to a file that only the user reads, in memory where the system has such a folder, runs VAULT_EDITOR,
// VISUAL, EDITOR or vi on it, and returns what it holds then. The file, and whatever the editor left beside it, is
// overwritten and removed, after a failure and after SIGINT, SIGTERM and SIGHUP too.
Result<std::string> edit_text(const Invocation& invocation, const std::string& text);

}  // namespace coffer::cli
