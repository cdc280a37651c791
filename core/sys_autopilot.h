// sys/storage/raft/autopilot/…
#pragma once

#include <vector>

#include "core/path_table.h"

namespace coffer::core {

void add_autopilot_specs(std::vector<PathSpec>& specs);

}  // namespace coffer::core
