// The command `server`: flags for server/run.h.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

Command server_command();
Command diagnose_command();  // operator diagnose

}  // namespace coffer::cli
