// Whom a member asks that lost touch with its cluster.
#pragma once

#include <vector>

#include "core/cluster.h"
#include "core/joiner.h"

namespace coffer::core {

// The configured ones, then the other members at their API addresses. How those are trusted nothing says but the
// configuration of the others: as the first of them, with its name for all only if all of them expect the same.
std::vector<JoinTarget> return_targets(const std::vector<JoinTarget>& configured, const Members& members,
                                       raft::NodeId self);

}  // namespace coffer::core
