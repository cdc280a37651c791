// From what an engine's handler says of a lease to its record and its answer.
#pragma once

#include "core/call.h"
#include "core/lease_record.h"

namespace coffer::core {

// After a handler that set ctx.lease: writes the record in the handler's transaction and completes the answer. With a
// call to make, the record is an intent and ctx.outside says how it goes on.
Status grant_lease(CallContext& ctx);

// From now on, within what its mount allows; a warning where that is less than asked for. kInvalid: nothing left.
struct LeaseTerm {
  Nanos ttl{0};
  WallTime expires{};
};
Result<LeaseTerm> renewed_term(CallContext& ctx, const LeaseRecord& lease, const MountInfo& mount, Nanos increment);

// The lifetimes that leases of a mount have: its own, or the system's.
Nanos default_lease_ttl(const MountInfo& mount, const SystemConfig& system);
Nanos max_lease_ttl(const MountInfo& mount, const SystemConfig& system);

}  // namespace coffer::core
