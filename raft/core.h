// The Raft core of one node: takes messages, ticks, proposals and the reports of its shell, and returns the work to do
// (raft/ready.h). It has no thread, no I/O and no clock of its own; it reads old entries through the log port.
//
// Persisting is asynchronous: acknowledgements and votes wait inside until persisted() covers them, heartbeats never
// wait. Threads: one (the node's), except lease(), which any thread may ask.
// After a failure (Ready::failure) the node must stop; the core ignores all further input.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "raft/cluster_time.h"
#include "raft/entry.h"
#include "raft/lease.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/progress.h"
#include "raft/ready.h"

namespace coffer::raft {

class Core {
 public:
  // HardState::voted_for of a node that may not vote because it forgot what it had promised.
  static constexpr std::uint64_t kNoVote = ~std::uint64_t{0};

  // What the state says when the node starts. A shell that finds its state above the end of its log (a crash while a
  // snapshot was installed) resets the log to the state's index and term first.
  struct Start {
    Index applied;                 // the log holds everything above it
    Configuration configuration;   // as of `applied`; empty for a node that has yet to join
    WallTime time;                 // cluster time as of `applied`
    bool joining = false;          // nothing to go by (new or wiped): may not vote before a leader says it caught up
    Index replaced{};              // the last entry kReplaced that is applied; 0: none
  };

  // `clock` and `log` outlive the core. kDataLoss when log and state do not fit together or a record is damaged.
  static Result<std::unique_ptr<Core>> start(const Options& options, const Clock& clock, const store::Log& log,
                                             Start start);

  // Whether who saved this may not vote yet: it began without anything to go by and has not caught up.
  static bool catching_up(const store::HardState& state) noexcept { return state.voted_for == kNoVote; }

  // Every heartbeat interval, or oftener. A sole voter elects itself on the first.
  void tick();
  void step(Message message);
  // The entry's index. `payload` begins with kEntryHeaderBytes of room. Refused without any effect: kConflict when this
  // node does not lead `term`, kUnavailable during a transfer, kExhausted when too much waits for its sync.
  Result<Index> propose(Term term, std::string payload, EntryKind kind = EntryKind::kData);
  Result<Index> propose_change(Term term, const Change& change);
  // Hands leadership to `to`, or to the voter that has most of the log. Proposals are refused until it went or failed.
  Status transfer_leadership(NodeId to = kNobody);
  // The answer comes in Ready::reads, or never when the leader cannot be reached. kUnavailable: ask again later.
  Status read_index(std::uint64_t context);

  void persisted(std::uint64_t number);
  void applied(Index index);
  // The snapshot that Ready::snapshots asked for reached `to`, or was given up: either way the peer is asked where it
  // is.
  void snapshot_done(NodeId to);

  Ready take_ready();

  NodeId id() const noexcept { return options_.id; }
  Role role() const noexcept { return role_; }
  Term term() const noexcept { return hard_.term; }
  NodeId leader() const noexcept { return leader_; }
  Index commit_index() const noexcept { return commit_; }
  Index last_index() const noexcept { return log_.last_index(); }
  Index synced_index() const noexcept { return synced_; }
  Index applied_index() const noexcept { return applied_; }
  std::uint64_t incarnation() const noexcept { return hard_.incarnation; }
  // Leading, and everything before this leadership is applied here.
  bool serving() const noexcept { return role_ == Role::kLeader && applied_ >= first_of_term_; }
  bool may_vote() const noexcept { return hard_.voted_for != kNoVote; }
  bool transferring() const noexcept { return transferee_ != kNobody; }
  const Configuration& configuration() const noexcept { return membership_.current(); }
  bool configuration_committed() const noexcept { return membership_.current_index() <= commit_; }
  // Any thread.
  const ReadLease& lease() const noexcept { return lease_; }
  WallTime cluster_time() { return time_.now(clock_.boot_now()); }
  Nanos wall_lead() const noexcept { return time_.wall_lead(); }
  // Describes the state after applied_index().
  Result<SnapshotMeta> snapshot_meta() const;
  const Progress* progress_of(NodeId peer) const;
  bool log_matches(Index index, Term term) const { return log_.matches(index, term); }
  // Of an index between applied_index() and last_index().
  const Configuration& configuration_at(Index index) const { return membership_.at(index); }
  // Leading, and every peer that was heard of within an election timeout has been told that `index` is committed.
  bool told_all(Index index) const;

 private:
  // The vote of this term was given to somebody, it is not known to whom.
  static constexpr std::uint64_t kForgottenVote = kNoVote - 1;

  Core(const Options& options, const Clock& clock, const store::Log& log, const Start& start);
  Status replay(const Start& start, const store::Log& log);

  // core.cc
  void become_follower(Term term, NodeId leader);
  void leave_leadership();
  void drop_lease();
  void announce();
  bool sole_voter() const noexcept;
  bool voter() const noexcept { return membership_.current().is_voter(options_.id); }
  void reset_election_deadline();
  void wait_before_election(Nanos least, Nanos spread);
  std::uint64_t random();
  void fail(Status status);
  bool stale(const Message& message);
  void dispatch(Message& message);
  Message reply_to(const Message& message, MessageKind kind) const;
  void mark_hard_state();
  void send(Message message);
  void send_when_durable(Message message);
  std::uint64_t durable_at() const noexcept { return dirty_ ? next_persist_ : next_persist_ - 1; }
  void append_to_log(store::LogRecord record);
  void truncate_log(Index from);
  Status note_configuration(const store::LogRecord& record);
  void configuration_changed();
  void commit_to(Index index);
  void take_persist(Ready& ready);
  void take_apply(Ready& ready);

  // core_election.cc
  bool refuses_votes() const;
  bool log_is_current(const Message& request) const;
  void campaign(bool pre_vote, bool force);
  void wait_before_retry();
  void on_pre_vote(const Message& message);
  void on_vote(const Message& message);
  void on_vote_reply(const Message& message);
  void count_votes();
  void on_timeout_now(const Message& message);
  void become_leader();
  void append_first_entry(BootTime now);

  // core_follower.cc
  bool hear_leader(const Message& message);
  void on_append(Message& message);
  void accept_entries(std::vector<store::LogRecord>& entries);
  void reject_append(const Message& message);
  void acknowledge();
  void on_heartbeat(const Message& message);
  void on_snapshot(const Message& message);
  void heed_catch_up(Index until);
  void check_caught_up();

  // core_leader.cc
  void tick_leader(BootTime now);
  bool has_quorum_contact(BootTime now) const;
  Progress* find(NodeId peer);
  void note_peer(const Message& message, Progress& peer);
  void on_append_reply(const Message& message);
  void on_heartbeat_reply(const Message& message);
  void on_read_index(const Message& message);
  void check_amnesia(const Message& message, Progress& peer);
  // What a leader tells of its commit index: no more than its own readers see. A follower that showed an entry before
  // the leader does would make the leader's lease reads stale.
  Index visible() const noexcept { return std::min(commit_, applied_); }
  void replicate();
  void replicate_to(Progress& peer);
  bool send_append(Progress& peer);
  void send_commit(Progress& peer);
  void start_round(BootTime now);
  void check_rounds();
  void maybe_commit();
  void extend_lease(std::uint64_t round);
  void continue_transfer(Progress& peer);
  void finish_reads(const std::vector<ReadIndex::Waiting>& reads, bool ok);

  const Options options_;
  const Clock& clock_;
  LogView log_;
  Membership membership_;
  ClusterTime time_;
  std::uint64_t random_state_;

  store::HardState hard_;
  Role role_ = Role::kFollower;
  NodeId leader_ = kNobody;
  Index commit_;
  Index applied_;
  Index handed_out_;   // for applying
  Index replaces_;     // the last entry kReplaced that was handed out; 0: none
  Index replaced_;     // and the last that is applied: what the log holds up to it is of no use to anybody
  Index synced_;       // own log, durable
  bool failed_ = false;

  // Elections.
  BootTime election_deadline_;
  BootTime quiet_until_;      // no votes: an earlier life may have promised a leader to wait
  BootTime leader_heard_;
  bool heard_once_ = false;
  std::vector<NodeId> granted_;
  std::vector<NodeId> refused_;
  std::uint64_t own_vote_at_ = 0;  // the own vote counts once this is durable
  bool forced_ = false;
  unsigned campaigns_ = 0;         // since a leader was heard

  // Persisting.
  struct Unsynced {
    std::uint64_t number;
    Index last;
    std::size_t bytes;
  };
  struct Held {
    std::uint64_t number;
    Message message;
  };
  bool dirty_ = false;       // the next batch asks for a sync
  bool hard_dirty_ = false;
  std::uint64_t hard_at_ = 0;  // the batch that holds the newest hard state
  std::uint64_t next_persist_ = 1;
  std::uint64_t persisted_ = 0;
  Index written_;            // handed to the shell
  std::deque<Unsynced> unsynced_;
  std::size_t unsynced_bytes_ = 0;
  std::deque<Held> held_;
  Index commit_saved_;

  // Following.
  Index matched_;            // how far the log is known to equal the leader's
  Index acknowledged_;       // what the leader was told of it
  Index catch_up_to_;
  Index installing_;         // a snapshot that the shell is about to install; 0 for none
  std::uint64_t installing_at_ = 0;

  // Leading.
  std::vector<Progress> peers_;
  ReadIndex reads_;
  ReadLease lease_;
  bool lease_barred_ = false;   // a transfer was tried in this term: its message may still be under way
  Index first_of_term_;
  BootTime heartbeat_due_;
  BootTime quorum_check_due_;
  NodeId transferee_ = kNobody;
  bool transfer_sent_ = false;
  BootTime transfer_deadline_;

  Ready ready_;
};

}  // namespace coffer::raft
