// The work that the Raft core asks of its shell.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "raft/read_index.h"
#include "raft/types.h"

namespace coffer::raft {

struct Leadership {
  Role role = Role::kFollower;
  Term term;
  NodeId leader = kNobody;  // as far as this node knows
  Index first;              // leader only: the empty entry of its term; it serves once this is applied
};

// One batch. The shell does, in this order:
//   1. `failure`: stop the node. Nothing else in the batch counts.
//   2. `install`: switch to the snapshot's state and Log::reset_to() its index (the bytes are those that came as
//   `spool`).
//   3. `truncate_from`, `append`, `hard_state`: into the log.
//   4. `send`: at once; nothing here waits for the sync.
//   5. if `persist` is not 0: sync (on another thread if it likes), then Core::persisted(persist). Batches may share a
//   sync; the
//      highest number covers the lower ones. A sync that fails stops the node.
//   6. `apply`: to the state, in order, publish, then Core::applied(last). All of it is in this node's own synced log.
//   7. `reads`, `snapshots`, `leadership`.
// Steps 4 to 7 may run while the sync is under way.
struct Ready {
  Status failure;
  std::shared_ptr<const SnapshotMeta> install;
  std::uint64_t spool = 0;
  std::optional<Index> truncate_from;
  std::vector<store::LogRecord> append;
  std::optional<store::HardState> hard_state;
  std::uint64_t persist = 0;
  std::vector<Message> send;
  std::vector<store::LogRecord> apply;
  std::vector<ReadResult> reads;
  std::vector<NodeId> snapshots;  // peers that need a snapshot: stream the state there and report snapshot_done()
  std::optional<Leadership> leadership;  // when it changed
};

}  // namespace coffer::raft
