// The command line: finds the command, parses its flags, runs it and returns the exit code (0 done, 1 wrong usage, 2
// refused by the server or unreachable, 127 no such command).
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

// `extra` are commands that other parts of the program bring (the server); they stand among the others in help and
// completion.
int run(const Invocation& invocation, std::vector<Command> extra = {});
int run(const Invocation& invocation, std::vector<Command> extra, const Ports& ports);

// All commands of this folder, sorted by name.
std::vector<Command> builtin_commands();

}  // namespace coffer::cli
