// Completion in a shell: `complete -C PROGRAM NAME` runs the program with COMP_LINE set, and it prints the words that
// fit.
#pragma once

#include <optional>
#include <vector>

#include "cli/command.h"

namespace coffer::cli {

// An exit code when this run was for the shell (COMP_LINE, -autocomplete-install, -autocomplete-uninstall), else
// nothing.
std::optional<int> complete(const Invocation& invocation, const std::vector<Command>& commands);

}  // namespace coffer::cli
