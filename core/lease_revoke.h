// Revoking one lease: what its engine must do outside, and what is written when that is done. The two halves stand in
// two transactions with the call between them; either may be repeated, by this node or another.
#pragma once

#include <optional>

#include "core/lease_store.h"
#include "core/published.h"

namespace coffer::core {

// Of a lease whose time is over or that was ended. With nothing to do outside it is gone when this commits; else it is
// marked, so that nobody renews it meanwhile, and the call is returned. A failure is written into the record, as
// conclude_revocation does.
Result<std::optional<OutsideCall>> plan_revocation(TxnImpl& txn, const Published& published, json::Arena& arena,
                                                   const LeaseRecord& lease);

// The call came back. Only success counts: then the lease goes, or, when it was an intent whose call may come late,
// waits to be revoked once more. After limits::kRevokeTriesMax failures it is irrevocable.
Status conclude_revocation(TxnImpl& txn, const Published& published, json::Arena& arena, std::string_view key,
                           const Status& called);

// Ends a lease, or revokes a token with what is below it; those made after `until` are left. With `force` a lease goes
// at once and nothing is called outside.
Status end_named(TxnImpl& txn, const Published& published, json::Arena& arena, const LeaseStore::Named& named,
                 WallTime until, bool force);

// Removes it whatever its engine says; what it was for may be left outside.
Status forget_lease(TxnImpl& txn, const Published& published, json::Arena& arena, const LeaseRecord& lease);

}  // namespace coffer::core
