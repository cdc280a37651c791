// The command `server`: flags for server/run.h.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

Command server_command();

}  // namespace coffer::cli
