// The command `server`: flags for server/run.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace coffer::core {
class Engine;
}

namespace coffer::cli {

// `engines` besides the built-in ones outlive the command.
Command server_command(std::vector<core::Engine*> engines = {});
// What configurations ask of the environment; `invocation` outlives it.
std::function<std::optional<std::string>(const std::string&)> environment_of(const Invocation& invocation);

Command diagnose_command();  // operator diagnose
Command validate_command();  // operator validate-config
Command recover_command();   // operator raft recover-quorum
Command inspect_command();   // operator raft snapshot inspect

}  // namespace coffer::cli
