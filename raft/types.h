// The nouns of the Raft core: node numbers, configurations, messages between nodes, and the options of one node.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/strong.h"
#include "store/log.h"

namespace coffer::raft {

using NodeId = Strong<struct NodeIdTag>;  // chosen once for a node and never reused in its cluster
inline constexpr NodeId kNobody{0};

// Who takes part. Both lists are sorted and disjoint. Learners receive the log but are not counted.
struct Configuration {
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;

  bool is_voter(NodeId id) const noexcept;
  bool is_learner(NodeId id) const noexcept;
  bool contains(NodeId id) const noexcept { return is_voter(id) || is_learner(id); }
  bool operator==(const Configuration&) const = default;
};

// One step from a configuration to the next. Two majorities of neighbours always share a node.
struct Change {
  enum class Kind : std::uint8_t { kAddLearner, kPromote, kDemote, kRemove };
  Kind kind = Kind::kAddLearner;
  NodeId node;
};

// What a snapshot stands for: the state after `index`, in this configuration.
struct SnapshotMeta {
  Index index;
  Term term;
  Configuration configuration;
  WallTime time;  // cluster time of the entry at `index`
};

enum class MessageKind : std::uint8_t {
  kPreVote,
  kPreVoteReply,
  kVote,
  kVoteReply,
  kAppend,          // also the probe and the news of a commit, then without entries
  kAppendReply,
  kHeartbeat,       // round 0 only tells the commit index and gets no reply
  kHeartbeatReply,
  kSnapshot,        // sent by the shell, which streams the bytes; stepped in at the receiver once they are all there
  kTimeoutNow,      // campaign at once, your leader stands aside
  kReadIndex,       // a follower asks its leader
  kReadIndexReply,
  kStaged,          // the sender has the bytes of a kSnapshot that was `staged`, or (reject) not; the shell's alone
};

struct Message {
  MessageKind kind = MessageKind::kAppend;
  bool reject = false;
  bool force = false;        // votes: the leader asked for it, so its lease is no reason to refuse
  bool catching_up = false;  // replies: the sender lost data or is new, and may not vote
  bool staged = false;       // snapshot: not the group's own, but to be kept until an entry kReplaced names it
  NodeId from;
  NodeId to;
  Term term;
  Index index;  // append: entry before the first; vote: last entry; replies: matched or rejected entry; read: the index
  Term log_term;   // of `index` (append, vote)
  Index commit;
  Index hint;      // rejected append: where the sender's log may match; replies otherwise: the sender's last entry
  Term hint_term;
  Index catch_up_to;          // heartbeat, append: the receiver may not vote before its log reaches this
  std::uint64_t round = 0;    // heartbeat round, echoed
  std::uint64_t context = 0;  // read-index request or staged snapshot, echoed
  std::uint64_t incarnation = 0;
  WallTime time;              // the leader's cluster time
  std::vector<store::LogRecord> entries;
  std::shared_ptr<const SnapshotMeta> snapshot;
  std::uint64_t spool = 0;    // the shell's name for the received bytes of a snapshot; the core only carries it
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct Options {
  NodeId id;
  Nanos election_timeout{std::chrono::milliseconds(500)};  // waits are drawn from [1, 1.5) of this
  Nanos heartbeat_interval{std::chrono::milliseconds(50)};
  // How far two monotonic clocks may drift apart, in percent, with the margin for scheduling: a lease lasts
  // (100 - this) % of the election timeout.
  unsigned lease_drift_percent = 20;
  std::size_t append_bytes_max = 256u << 10;       // payload in one append message
  std::size_t inflight_messages_max = 64;          // appends under way to one peer
  std::size_t inflight_bytes_max = 4u << 20;
  std::size_t tail_bytes_max = 8u << 20;           // payload of synced entries kept in memory
  std::size_t unsynced_bytes_max = 32u << 20;      // proposals are refused above this
  std::size_t apply_bytes_max = 4u << 20;          // payload handed out for applying at once
  std::size_t reads_pending_max = 8192;
  std::uint64_t promote_lag_entries_max = 1024;    // a learner that is further behind is not promoted
  std::uint64_t random_seed = 1;                   // spreads election timeouts
};

}  // namespace coffer::raft
