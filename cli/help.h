// Help pages and the flags that commands share.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace coffer::cli {

// The groups of a command: those of the client, those of the output, its own.
std::vector<FlagGroup> flag_groups(const Command& command);

std::string main_help(const std::vector<Command>& commands, const Invocation& invocation);
std::string command_help(const Command& command, const std::vector<Command>& commands, const Invocation& invocation);

}  // namespace coffer::cli
