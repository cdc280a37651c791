// Where the core's own records stand: all below mount 0 of their namespace. Names are fixed forever; ids in names are
// lower-case hex of fixed width, so that byte order is number order.
#pragma once

#include <string>
#include <string_view>

#include "base/strong.h"
#include "store/key.h"

namespace coffer::core::layout {

inline constexpr MountId kSystemMount{0};
inline constexpr NamespaceId kRootNamespace{0};
// Ids below are of the mounts that every namespace has; enabled mounts count from here.
inline constexpr MountId kFirstMountId{16};

// Everything that core::Published is derived from begins with this. kShared.
inline constexpr std::string_view kCorePrefix = "core/";
// Sealed by the root key, not by the barrier (seal/keyring.h).
inline constexpr std::string_view kKeyring = "core/keyring";
inline constexpr std::string_view kMountPrefix = "core/mount/";    // + 8 hex digits of the id
inline constexpr std::string_view kMountCounter = "core/mount-counter";
inline constexpr std::string_view kPolicyPrefix = "core/policy/";  // + name
inline constexpr std::string_view kNamespacePrefix = "core/namespace/";  // + 8 hex digits of the id
inline constexpr std::string_view kNamespaceCounter = "core/namespace-counter";
// Policies of namespaces: 8 hex digits of the namespace's id + '/' + name.
inline constexpr std::string_view kInnerPolicyPrefix = "core/inner-policy/";
inline constexpr std::string_view kAuditPrefix = "core/audit/";    // + path without its '/'
inline constexpr std::string_view kConfigPrefix = "core/config/";    // + a setting's name (core/settings.h)
inline constexpr std::string_view kVersionPrefix = "core/version/";  // + a version of the server that ran here
inline constexpr std::string_view kJobPrefix = "core/job/";        // + id
inline constexpr std::string_view kQuotaPrefix = "core/quota/";      // + kind + '/' + name
inline constexpr std::string_view kQuotaConfig = "core/quota-config";
inline constexpr std::string_view kMemberPrefix = "core/member/";    // + 16 hex digits of the node's number
inline constexpr std::string_view kMigrationPrefix = "core/migration/";  // + id of a move
// Written with every new job, so that requests in flight which a job makes invalid lose to it.
inline constexpr std::string_view kJobMark = "core/job-mark";

// kNotReplicated: who is in the Raft group (core/group_record.h). The applier writes it, in clear.
inline constexpr std::string_view kGroup = "raft/group";
// Likewise: of the last restore (core/restored.h).
inline constexpr std::string_view kRestored = "raft/restored";

// kClusterLocal. `hash` is a TokenHash in hex.
inline constexpr std::string_view kTokenPrefix = "token/id/";          // + hash
inline constexpr std::string_view kAccessorPrefix = "token/accessor/"; // + hash of the accessor
inline constexpr std::string_view kChildPrefix = "token/child/";       // + parent's hash + '/' + child's hash
inline constexpr std::string_view kExpiryPrefix = "token/expiry/";     // + 16 hex digits of nanoseconds + '/' + hash
inline constexpr std::string_view kWaitingPrefix = "token/waiting/";   // + hash: a request that waits for others

// Leases, kClusterLocal. `key` is the last segment of a lease's id. In the order of expiry they stand with tokens, as
// time + "/l" + 8 hex digits of the mount + key.
inline constexpr std::string_view kLeasePrefix = "lease/rec/";         // + key
inline constexpr std::string_view kLeaseTokenPrefix = "lease/token/";  // + token's hash + '/' + key
inline constexpr std::string_view kLeaseBadPrefix = "lease/bad/";      // + key: irrevocable ones
// In the lease's own namespace: every lease, and every token that ends, by its id.
inline constexpr std::string_view kLeaseIdPrefix = "lease/id/";        // + id
// Clients that were seen (core/activity.h), kClusterLocal.
inline constexpr std::string_view kActivityPrefix = "activity/";       // + month + '/' + what they are
inline constexpr std::string_view kActivityConfig = "activity-config";
// What the last tidy operation found, kClusterLocal.
inline constexpr std::string_view kTidyPrefix = "tidy/";               // + "leases" or "tokens"

inline store::StoreKey core_key(std::string_view rest) {
  return {store::KeyClass::kShared, kRootNamespace, kSystemMount, rest};
}
inline store::StoreKey token_key(std::string_view rest) {
  return {store::KeyClass::kClusterLocal, kRootNamespace, kSystemMount, rest};
}

// Readable without any key: how the root key is sealed, and what the cluster is called (name, newline, id).
inline constexpr std::string_view kSealConfig = "seal/config";
inline constexpr std::string_view kClusterInfo = "seal/cluster";
// Shares as they were told, encrypted to people's keys; kClusterLocal, as the seal they belong to.
inline constexpr std::string_view kUnsealShareBackup = "share-backup/unseal";
inline constexpr std::string_view kRecoveryShareBackup = "share-backup/recovery";

// Whether a stored key is one of the core's own. What core::Published is derived from is among them, and must be read
// as of the same view.
bool is_own_key(std::string_view stored) noexcept;

// Where the policies of a namespace stand; ends in '/'.
std::string policy_folder(NamespaceId ns);
std::string policy_record(NamespaceId ns, std::string_view name);
std::string namespace_record(NamespaceId id);

// A node of the cluster.
std::string member_record(std::uint64_t number);

// Appends `digits` lower-case hex digits.
void append_hex(std::string& out, std::uint64_t value, int digits);
// The mounts that every namespace has carry the same id in each: their rows name the namespace too.
std::string mount_record(MountId id, NamespaceId ns = kRootNamespace);

}  // namespace coffer::core::layout
