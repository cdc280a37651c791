// The command `server`: flags for server/run.h.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::core {
class Engine;
}

namespace coffer::cli {

// `engines` besides the built-in ones outlive the command.
Command server_command(std::vector<core::Engine*> engines = {});
Command diagnose_command();  // operator diagnose
Command validate_command();  // operator validate-config

}  // namespace coffer::cli
