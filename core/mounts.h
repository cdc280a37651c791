// The mount table: one record a mount (docs/formats/mount_table.md). Ids are never reused, so what a disabled mount
// left behind can never appear under another.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "core/engine.h"
#include "core/layout.h"
#include "core/txn_impl.h"

namespace coffer::core {

enum class MountTable : std::uint8_t { kSecret = 1, kAuth = 2 };

// What `tune` sets beyond what engines see.
struct MountTuning {
  std::vector<std::string> audit_non_hmac_request_keys;
  std::vector<std::string> audit_non_hmac_response_keys;
  std::vector<std::string> passthrough_request_headers;
  std::vector<std::string> allowed_response_headers;
  std::vector<std::string> allowed_managed_keys;
  std::vector<std::string> delegated_auth_accessors;
  std::string listing_visibility;  // "", "hidden" or "unauth"
  std::string token_type;          // of an auth method; "" is default-service
  std::string plugin_version;
  std::string identity_token_key;
  bool trim_request_trailing_slashes = false;
  // Of an auth method. What is not set is the system's.
  bool lockout_set = false;
  bool lockout_disable = false;
  std::uint64_t lockout_threshold = 0;
  Nanos lockout_duration{0};
  Nanos lockout_counter_reset{0};
};

struct MountRecord {
  MountTable table = MountTable::kSecret;
  MountInfo info;  // path relative to its table: "secret/", "token/"
  MountTuning tuning;
  // No path leads to it any more. It stays until its leases are revoked, because that needs its engine and its data.
  bool disabled = false;
  // On its way into another namespace: `disabled` meanwhile, and both places are taken (core/jobs.h).
  struct Move {
    NamespaceId ns{0};
    std::string path;
  };
  std::optional<Move> moving;
  // Where requests meet it: "secret/", "auth/token/".
  std::string route() const { return table == MountTable::kAuth ? "auth/" + info.path : info.path; }
  // Local mounts and cubbyholes stay in this cluster.
  store::KeyClass key_class() const;
  // What tokens keep for themselves stands in one place whatever the namespace, so that it goes with the token.
  NamespaceId storage_namespace() const {
    return info.type == "cubbyhole" ? layout::kRootNamespace : info.namespace_id;
  }
};

// Fixed ids of what every cluster has. Enabled mounts count from kFirstMountId.
inline constexpr MountId kTokenMountId{1};
inline constexpr MountId kCubbyholeMountId{2};
inline constexpr MountId kIdentityMountId{3};
using layout::kFirstMountId;

std::string encode(const MountRecord& record);
// kDataLoss when it is no such record.
Result<MountRecord> decode_mount(std::string_view plaintext);

// A record with a new accessor and UUID, and no id yet.
Result<MountRecord> new_mount(MountTable table, std::string_view type, std::string_view path, RandomSource& random);

// Reads every record in the transaction, so that two mounts at one path conflict. In order of ids.
Result<std::vector<MountRecord>> read_mounts(TxnImpl& txn);
// Nothing when there is none at `path` of `table` in the namespace.
Result<std::optional<MountRecord>> find_mount(TxnImpl& txn, NamespaceId ns, MountTable table, std::string_view path);

// Takes the next id, checks the path against every other mount and writes the record. kInvalid: "path is already in use
// at kv/".
Status add_mount(TxnImpl& txn, MountRecord& record);
// As add_mount checks it: nothing but the mount itself stands at its path, nor is on its way there.
Status check_mount_path(TxnImpl& txn, const MountRecord& record);
// The same for one that is there and shall stand at its new path.
Status move_mount(TxnImpl& txn, const MountRecord& record);
Status put_mount(TxnImpl& txn, const MountRecord& record);
Status erase_mount(TxnImpl& txn, MountId id, NamespaceId ns);

}  // namespace coffer::core
