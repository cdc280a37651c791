// Restoring a snapshot: what a request for it must say (docs/raft.md).
#pragma once

#include <string_view>

namespace coffer::core {

// The request's header that asks for a restore whatever keys the snapshot has, as `operator raft snapshot restore
// -force` sends it. On a node that is not initialized it stands for the token that nobody has yet (decision D-2).
inline constexpr std::string_view kForceHeader = "X-Vault-Raft-Snapshot-Force";
inline constexpr std::string_view kForceHeaderValue = "true";
inline constexpr std::string_view kRestorePath = "sys/storage/raft/snapshot";
inline constexpr std::string_view kForcedRestorePath = "sys/storage/raft/snapshot-force";

}  // namespace coffer::core
