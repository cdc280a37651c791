// Shares of keys as those who hold them give them.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"

namespace coffer::cli {

// What stands behind -key, the argument, standard input for "-", or what is typed on the terminal, unseen, after `lead`
// and "`label` (will be hidden): ". kInvalid, with what to do, where nothing can be asked for.
Result<std::string> share_from(Context& context, std::string_view lead, std::string_view label);

}  // namespace coffer::cli
