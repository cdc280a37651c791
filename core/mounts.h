// The mount table: one record a mount (docs/formats/mount_table.md). Ids are never reused, so what a disabled mount
// left behind can never appear under another.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/status.h"
#include "core/engine.h"
#include "core/layout.h"
#include "core/txn_impl.h"

namespace coffer::core {

enum class MountTable : std::uint8_t { kSecret = 1, kAuth = 2 };

struct MountRecord {
  MountTable table = MountTable::kSecret;
  MountInfo info;  // path relative to its table: "secret/", "token/"
  // Where requests meet it: "secret/", "auth/token/".
  std::string route() const { return table == MountTable::kAuth ? "auth/" + info.path : info.path; }
  // Local mounts and cubbyholes stay in this cluster.
  store::KeyClass key_class() const;
};

// Fixed ids of what every cluster has. Enabled mounts count from kFirstMountId.
inline constexpr MountId kTokenMountId{1};
inline constexpr MountId kCubbyholeMountId{2};
inline constexpr MountId kIdentityMountId{3};
inline constexpr MountId kFirstMountId{16};

std::string encode(const MountRecord& record);
// kDataLoss when it is no such record.
Result<MountRecord> decode_mount(std::string_view plaintext);

// A record with a new accessor and UUID, and no id yet.
Result<MountRecord> new_mount(MountTable table, std::string_view type, std::string_view path, RandomSource& random);

// Reads every record in the transaction, so that two mounts at one path conflict. In order of ids.
Result<std::vector<MountRecord>> read_mounts(TxnImpl& txn);
// Nothing when there is none at `path` of `table`.
Result<std::optional<MountRecord>> find_mount(TxnImpl& txn, MountTable table, std::string_view path);

// Takes the next id, checks the path against every other mount and writes the record. kInvalid: "path is already in use
// at kv/".
Status add_mount(TxnImpl& txn, MountRecord& record);
Status put_mount(TxnImpl& txn, const MountRecord& record);
Status erase_mount(TxnImpl& txn, MountId id);

}  // namespace coffer::core
