// One member of the Raft group: proposer, Raft core and applier, moved by one thread. It performs what the pure classes
// decide (raft/core.h, core/proposer.h): writes the log, applies to the store, publishes, answers.
//
// Order for a committed batch: apply to the store, derive, publish, and only then wake who waits, so that whoever saw
// an index acknowledged is served from a view at or above it.
//
// With a transport it is one member of several: what Raft sends goes out there, and what comes in waits in a queue of
// its own (raft::Inbox), so that neither messages nor proposals crowd the other out. node_start.cc is how it begins,
// node_group.cc what the layers above ask of the group, node_snapshot.cc how snapshots go and come, node_restore.cc how
// another state takes the place of the group's.
//
// A node that fails (its log or its state cannot be trusted any more) answers everything that it was given at once,
// refuses what comes later, and drops steps for the applier unrun.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/batch_queue.h"
#include "actors/log_syncer.h"
#include "actors/snapshot_desk.h"
#include "actors/waiters.h"
#include "core/group.h"
#include "core/lifecycle.h"
#include "core/overload.h"
#include "core/proposer.h"
#include "core/restoring.h"
#include "raft/transport.h"

namespace coffer::actors {

// Threads: work(), tick() and stop() belong to the node's thread (the actor's); the calls of Committer, Group and Inbox
// to any.
class Node final : public core::Committer,
                   public core::ApplierPort,
                   public core::Group,
                   public raft::Inbox,
                   private core::BatchEnd {
 public:
  struct Options {
    raft::Options raft;
    core::Proposer::Options proposer;
    Nanos commit_time_max{std::chrono::seconds(30)};  // after it the outcome is called unknown
    // Writes are refused while the disk has fewer free bytes; 0 for a store without a disk.
    std::uint64_t free_bytes_min = 0;
    core::OverloadGate::Options overload;
    Nanos read_time_max{std::chrono::seconds(2)};       // for read_index() and when_applied()
    Nanos hand_over_time_max{std::chrono::seconds(1)};  // half of it to let writes under way end
    // With a transport the log keeps these newest entries for followers that are a little behind: whichever is less.
    std::uint64_t log_kept_entries_max = 100'000;
    std::uint64_t log_kept_bytes_max = 64u << 20;
    // For snapshots on their way: made when it is not there. Empty for a node that is never one of several.
    std::string spool_folder;
  };
  enum class Begin : std::uint8_t {
    kSoleVoter,  // alone, or new and the first of its group; takes part at once
    kJoining,    // new: waits for a leader that adds it
    kMember,     // as the state says
  };
  // Everything is borrowed and outlives the node.
  struct Ports {
    store::Log& log;
    store::Backend& backend;
    store::StateBackend* state = nullptr;  // `backend` when it has generations to flush, else null
    core::StateObserver& observer;
    const Clock& clock;
    Logger& logger;
    std::function<void()> wake;                     // any thread: makes work() run soon
    std::function<void(const Status&)> fatal;       // node's thread, once: the process must end
    std::function<Result<std::uint64_t>()> free_bytes;  // of the disk; may be empty
    // Node's thread: this node leads and everything before is applied; once a term, and once more when it takes part
    // again and still leads.
    std::function<void()> serves;
    // For a group of several; all or none, and a spool folder with them. Calls back into the node end before the node.
    raft::Transport* transport = nullptr;
    store::SnapshotTarget* snapshots = nullptr;
    Disk* disk = nullptr;
    // Node's thread, whenever role, term or leader changed; may be empty.
    std::function<void(const raft::Leadership&)> leadership_changed = {};
    // For restore(); node's thread. Who is in the cluster; may be empty.
    std::function<core::Members()> members = {};
    // Likewise: whether this server can go on with such a state; may be empty.
    std::function<Status(const core::RestoreScan&)> may_restore = {};
    // Likewise, when another state was put in the place of the group's and published; may be empty.
    std::function<void()> restored = {};
  };

  // Replays nothing yet: that happens in the first work(). An installation of a snapshot that a crash cut short is
  // ended first. kDataLoss when log and state do not fit together; kInvalid when they do not fit `begin`: a joining
  // node has neither, a sole voter's tell of nobody else.
  static Result<std::unique_ptr<Node>> create(const Options& options, Ports ports, Begin begin = Begin::kSoleVoter);
  // Whether `id` is the only member of its group, as far as state and log know; a new store's node is. False for a node
  // that once began to join. Before create().
  static Result<bool> is_sole_voter(const store::Backend& backend, const store::Log& log, raft::NodeId id);
  ~Node() override;

  void work();
  void tick();
  // Refuses what is queued and in flight, joins the log's thread. Last call on the node's thread.
  void stop();

  void submit(std::unique_ptr<core::Exchange> exchange, core::CommitSink& sink) override;
  void submit_system(core::Proposal proposal, core::SystemCommit& done) override;
  void abandon(const core::Exchange& exchange) override;
  Term leader_term() const override { return Term(serving_term_.load(std::memory_order_acquire)); }
  bool is_leader() const override { return serving_term_.load(std::memory_order_acquire) != 0; }
  WallTime cluster_now() const override;
  bool lease_valid() const override;
  bool overloaded() const override { return overload_.overloaded(); }
  void on_applier(std::function<void()> step, std::function<void()> then) override;
  // What is published by now goes to the disk of the state soon (store::Backend::durable_index()). Any thread.
  void flush_state();

  // core::Group.
  void change_membership(raft::Change change, std::function<void(Status, Index)> done) override;
  void transfer_leadership(raft::NodeId to, std::function<void(Status)> done) override;
  void read_index(std::function<void(Result<Index>)> done) override;
  void when_applied(Index index, std::function<void(Status)> done) override;
  void take_part(bool part, std::function<void()> then) override;
  // A node that began kJoining and has nothing yet becomes the sole voter of a group of its own instead, for good.
  // `done` when it serves; kInvalid when it has joined others. Any thread.
  void lead_alone(std::function<void(const Status&)> done);
  void restore(std::string path, std::function<void(Status)> done) override;
  void save(std::function<void(Result<core::SavedState>)> done) override;
  core::GroupStatus group_status() const override;
  raft::NodeId leader() const override { return raft::NodeId(leader_.load(std::memory_order_acquire)); }
  // When the last message came of whom this node followed then. Any thread.
  BootTime leader_heard() const { return BootTime{Nanos(leader_heard_.load(std::memory_order_relaxed))}; }

  // raft::Inbox.
  bool receive(raft::Message message) override;
  bool receive_snapshot(raft::Message message, std::string path) override;
  std::string spool_folder() const override { return options_.spool_folder; }

  // Any thread, for metrics and status.
  Index applied_index() const { return Index(applied_.load(std::memory_order_relaxed)); }
  Index commit_index() const { return Index(committed_.load(std::memory_order_relaxed)); }
  // How often it came to be in a role since it started; a candidate before the vote counts as one.
  struct RoleChanges {
    std::uint64_t leader = 0;
    std::uint64_t candidate = 0;
    std::uint64_t follower = 0;
  };
  RoleChanges role_changes() const;

 private:
  struct Input {
    std::unique_ptr<core::Exchange> exchange;  // a request's proposal
    core::CommitSink* sink = nullptr;
    std::unique_ptr<core::Proposal> proposal;  // the server's own
    core::SystemCommit* done = nullptr;
    std::function<void()> step;                // between two batches, then publish, then
    std::function<void()> then;                // (null: nothing to publish)
    core::Ticket abandoned = 0;                // will not run again
    std::uint64_t persisted = 0;               // report of the log's thread
    Status status;
    BootTime arrived{};                        // of a proposal, set by handle()
    BootTime deadline{};                       // of a proposal: its answer is due in any case; set by handle()
    bool is_proposal() const { return exchange != nullptr || proposal != nullptr; }
  };

  // Leadership on its way to another.
  struct HandOver {
    raft::NodeId to = raft::kNobody;
    BootTime drained_by;
    BootTime deadline;
    std::vector<Owed> owed;
  };
  struct MembershipChange {
    Index index;
    Term term;
    BootTime deadline;
    Owed owed;
  };
  // A stream that this node has on its disk.
  struct StagedStream {
    core::RestoreScan scan;
    std::unique_ptr<store::Replacement> replacement;  // null: read once more when it is needed
    BootTime until;                                   // it goes then, unless the log names it
  };
  // What this node said of a stream that it was sent. It may get lost, and the leader waits for it.
  struct Told {
    raft::Message reply;
    BootTime again;
    unsigned left;  // times
  };
  // The leader's, from restore() until its entry is applied or can be in no log any more.
  struct Restore {
    explicit Restore(BootTime now) : staging(now) {}
    std::uint64_t number = 0;
    Owed owed;                      // null: told already
    Term term;
    std::string digest;             // empty: the stream is being read
    core::Members members;
    core::StreamStaging staging;
    Index index;                    // of the entry; 0: not proposed
    BootTime deadline;              // of the answer, when it is proposed
  };
  struct LogMark {
    Index index;
    std::uint64_t bytes;  // appended since the start, up to there
  };

  Node(const Options& options, Ports ports, std::unique_ptr<raft::Core> core, std::unique_ptr<SnapshotDesk> desk,
       WallTime applied_time, bool takes_part);
  using Push = BatchQueue<Input>::Push;
  Push push(Input&& input, std::size_t extra_items = 0);
  void refuse(Input& input, Push why);
  void handle(Input& input);
  void propose(Input& input);
  void refuse_overdue(BootTime now);
  core::Ticket ticket_of(const Input& input);
  Nanos time_left(const Input& input) const;
  void turn_away(Input& input, Status why);
  void answer(Input& input, core::CommitOutcome outcome, Index index, Status status);
  void deliver(core::Proposer::Answers answers) override;
  void publish() override;
  bool perform();
  Status write_log(raft::Ready& ready);
  Status apply(const std::vector<store::LogRecord>& records);
  void publish_state();
  void note_leadership();
  void publish_time();
  Status accepting_writes() const;
  bool flush_pressure() const;
  void check_disk(BootTime now);
  void fail(const Status& status);
  void give_up(const Status& why);
  void operate(Owed owed, std::function<void()> step);
  void report(std::function<void()> step);

  // node_start.cc
  static Status end_installation(SnapshotDesk& desk, const Ports& ports, WallTime& time);

  // node_group.cc
  bool serving() const { return participating_ && core_->serving() && core_->applied_index() >= serves_above_; }
  bool take_messages();
  void step(raft::Message message);
  bool step_held();
  void follow_leadership(const raft::Leadership& leadership);
  void note_role(raft::Role role);
  void publish_group();
  void begin_change(const raft::Change& change, const Owed& owed);
  void settle_change(Index index, Term term);
  void begin_hand_over(raft::NodeId to, Owed owed);
  bool has_other_voter() const;
  void move_leadership();
  void end_hand_over(const Status& status);
  void go_silent();
  void participate(bool part, const Owed& then);
  void begin_alone(const Owed& owed);
  void ask_reads();
  void take_reads(const std::vector<raft::ReadResult>& reads);
  void expire_waiters(BootTime now);
  void drop_waiters();
  Result<store::Op> group_record(const store::LogRecord& record) const;
  Status cut_log();
  void mark_log(const std::vector<store::LogRecord>& appended);

  // node_snapshot.cc
  void make_snapshot(raft::NodeId to);
  void begin_save(const Owed& owed, const std::shared_ptr<core::SavedState>& saved);
  void snapshot_written(const raft::Message& message, BootTime begun, const Result<std::string>& path);
  void snapshot_over(raft::NodeId to, BootTime begun, const Status& status);
  void put_off_snapshot(raft::NodeId to, const Status& why);
  void retry_snapshots(BootTime now);
  void snapshot_received(SnapshotDesk::Received received);
  Result<bool> is_sealed_state() const;
  Status install(const raft::Ready& ready);
  Status note_installed(std::uint64_t persisted);

  // node_restore.cc
  static Result<std::map<Index, std::string>> logged_streams(const store::Log& log, Index applied);
  Status stage_logged(std::map<Index, std::string> named);
  void begin_restore(const std::string& path, const Owed& owed);
  void stream_read(std::uint64_t number, Result<SnapshotDesk::Staged> staged);
  void send_stream(raft::NodeId to, const std::string& digest);
  void offer_streams(BootTime now);
  void note_stream(raft::NodeId of, std::uint64_t context, bool there);
  void move_restore(BootTime now);
  void propose_restore();
  void settle_restore(Index index, Term term);
  void end_restore(const Status& status);
  void update_drain();
  void stream_arrived(const raft::Message& message, Result<SnapshotDesk::Staged> staged);
  void keep_stream(SnapshotDesk::Staged staged);
  void part_with_streams(BootTime now);
  void drop_streams(BootTime now);
  void tell_again(BootTime now);
  bool is_named(const std::string& digest) const;
  void end_at_missing(raft::Message& message) const;
  void note_replacements(const std::vector<store::LogRecord>& appended);
  Status replace_state(const store::LogRecord& record);
  void tell_restored();
  bool settling(BootTime now);

  const Options options_;
  Ports ports_;
  BatchQueue<Input> inputs_;
  BatchQueue<raft::Message> messages_;
  std::atomic<std::size_t> message_bytes_{0};  // of entries in messages_
  std::unique_ptr<raft::Core> core_;
  core::Proposer proposer_;
  std::unique_ptr<LogSyncer> syncer_;
  core::OverloadGate overload_;
  std::unique_ptr<SnapshotDesk> desk_;  // null without a spool folder

  // Node's thread.
  std::vector<Input> batch_;
  std::deque<Input> held_;  // waits for the flusher; bounded by the queue's own limit, and each by its deadline
  std::unordered_map<core::Ticket, Input> waiting_;
  std::uint64_t next_ticket_ = 1;
  bool serving_ = false;
  Owed alone_;                          // told when a node that began alone serves
  std::uint64_t persist_asked_ = 0;     // of the log's thread
  std::uint64_t persist_reported_ = 0;
  bool failed_ = false;
  bool disk_low_ = false;
  BootTime disk_check_due_{};

  // Node's thread, for a group of several.
  std::vector<raft::Message> message_batch_;
  std::deque<raft::Message> held_appends_;  // wait for the flusher; a leader sends no more than may be under way
  bool participating_;
  Index serves_above_;       // what was under way when it began to be silent
  raft::NodeId last_leader_ = raft::kNobody;
  WallTime applied_time_;    // cluster time of the newest entry applied
  std::optional<MembershipChange> change_;
  std::optional<HandOver> hand_over_;
  bool silent_after_ = false;  // the hand-over
  std::vector<Owed> silent_then_;
  IndexWaiters waiters_;
  ReadRounds reads_;
  std::set<raft::NodeId> snapshots_under_way_;
  std::map<raft::NodeId, BootTime> snapshots_put_off_;   // when the peer is asked again where it is
  std::map<raft::NodeId, BootTime> snapshots_earliest_;  // no other is made for a peer before
  std::optional<SnapshotDesk::Received> received_;
  std::uint64_t spool_ = 0;
  std::uint64_t installed_by_ = 0;  // the sync that makes the last installation durable; 0 for none
  std::map<std::string, StagedStream> staged_;  // by digest
  std::map<Index, std::string> replaced_;       // entries kReplaced of the own log that are not applied: digests
  // Entries that were cut off, by the sync that makes the cut durable: until then a crash brings them back.
  std::multimap<std::uint64_t, std::string> cut_off_;
  std::optional<Restore> restore_;
  std::optional<Told> told_;
  core::StreamOffers stream_offers_;
  std::uint64_t restores_ = 0;
  Index restored_;                  // the entry of the last replacement that is in the state; 0 for none
  bool restored_news_ = false;      // and it was not told of yet
  BootTime settle_until_{};         // a leader stays so long, for others to hear that the last one is committed
  std::optional<BootTime> told_at_; // they have
  std::deque<LogMark> log_marks_;   // oldest first
  std::uint64_t log_bytes_ = 0;     // appended since the start

  std::atomic<std::uint64_t> serving_term_{0};
  std::atomic<std::int64_t> time_offset_{0};  // cluster time minus boot time
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<std::uint64_t> leader_{0};
  std::atomic<std::int64_t> leader_heard_{0};  // boot time
  std::atomic<bool> takes_part_{false};
  raft::Role last_role_ = raft::Role::kFollower;     // node's thread
  std::array<std::atomic<std::uint64_t>, 3> roles_{};  // leader, candidate, follower
  store::Published<core::GroupStatus> group_;
};

}  // namespace coffer::actors
