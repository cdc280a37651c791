// The way out when most voters are gone for good: a member that is stopped is given another configuration, as an entry
// of a new term behind all that its log holds. Nothing that it has is lost; what only others had is.
#pragma once

#include <optional>

#include "base/status.h"
#include "raft/types.h"
#include "store/backend.h"
#include "store/log.h"

namespace coffer::actors {

struct GroupRecovery {
  raft::Configuration from;
  Index last;     // of the log before it
  Index applied;  // of the state
  Term term;      // of the new entry
};

// As of the newest entry in the log, applied or not, and else of the state; nothing when neither tells.
Result<std::optional<raft::Configuration>> newest_configuration(const store::Backend& backend, const store::Log& log);

// What recover_group() would do. kInvalid when there is nothing to go by, `self` is no member, or `to` leaves it out or
// has no voter; kUnavailable when a snapshot was just being installed: the node has to be started once more first.
Result<GroupRecovery> plan_recovery(const store::Backend& backend, const store::Log& log, raft::NodeId self,
                                    const raft::Configuration& to);
// Durable when it returns; after a failure the log must be opened again. The node is not running.
Status recover_group(store::Log& log, const store::Backend& backend, const GroupRecovery& plan,
                     const raft::Configuration& to);

}  // namespace coffer::actors
