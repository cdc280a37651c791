// Who is in the Raft group, as of the state's applied index: a record that every member's applier writes for each
// configuration entry, so that it outlives the log and goes along with snapshots. The bytes are the same on all
// members (docs/formats/raft-entry.md). Pure functions, any thread.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "raft/types.h"
#include "store/backend.h"

namespace coffer::core {

struct RaftGroupRecord {
  Index index;     // of the configuration's entry
  WallTime time;   // cluster time of that entry
  raft::Configuration configuration;
};

// Where it stands.
const std::string& group_key();
store::Op group_op(const RaftGroupRecord& record);
// kDataLoss when it is damaged; nothing when the state was made before there was one, or nothing was applied yet.
Result<std::optional<RaftGroupRecord>> read_group(const store::View& view);

// The caller's part of a snapshot's header (store::SnapshotMeta::extra): configuration and cluster time.
std::string encode_snapshot_extra(const raft::Configuration& configuration, WallTime time);
struct SnapshotExtra {
  raft::Configuration configuration;
  WallTime time;
};
Result<SnapshotExtra> decode_snapshot_extra(std::string_view bytes);

}  // namespace coffer::core
