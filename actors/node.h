// One member of the Raft group: proposer, Raft core and applier, moved by one thread. It performs what the pure classes
// decide (raft/core.h, core/proposer.h): writes the log, applies to the store, publishes, answers.
//
// Order for a committed batch: apply to the store, derive, publish, and only then wake who waits, so that whoever saw
// an index acknowledged is served from a view at or above it.
//
// A node that fails (its log or its state cannot be trusted any more) answers everything that it was given at once,
// refuses what comes later, and drops steps for the applier unrun.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/batch_queue.h"
#include "actors/log_syncer.h"
#include "base/log.h"
#include "core/lifecycle.h"
#include "core/observer.h"
#include "core/overload.h"
#include "core/proposer.h"
#include "raft/core.h"
#include "store/state_backend.h"

namespace coffer::actors {

// Threads: work(), tick() and stop() belong to the node's thread (the actor's); the Committer calls to any.
class Node final : public core::Committer, public core::ApplierPort, private core::BatchEnd {
 public:
  struct Options {
    raft::Options raft;
    core::Proposer::Options proposer;
    Nanos commit_time_max{std::chrono::seconds(30)};  // after it the outcome is called unknown
    // Writes are refused while the disk has fewer free bytes; 0 for a store without a disk.
    std::uint64_t free_bytes_min = 0;
    core::OverloadGate::Options overload;
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
    std::function<void()> serves;  // node's thread: this node leads and everything before is applied; once a term
  };

  // Replays nothing yet: that happens in the first work(). kDataLoss when log and state do not fit together.
  static Result<std::unique_ptr<Node>> create(const Options& options, Ports ports);
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

  // Any thread, for metrics and status.
  Index applied_index() const { return Index(applied_.load(std::memory_order_relaxed)); }
  Index commit_index() const { return Index(committed_.load(std::memory_order_relaxed)); }

 private:
  struct Input {
    std::unique_ptr<core::Exchange> exchange;  // a request's proposal
    core::CommitSink* sink = nullptr;
    std::unique_ptr<core::Proposal> proposal;  // the server's own
    core::SystemCommit* done = nullptr;
    std::function<void()> step;                // between two batches, then publish, then
    std::function<void()> then;
    core::Ticket abandoned = 0;                // will not run again
    std::uint64_t persisted = 0;               // report of the log's thread
    Status status;
    BootTime arrived{};                        // of a proposal, set by handle()
    BootTime deadline{};                       // of a proposal: its answer is due in any case; set by handle()
    bool is_proposal() const { return exchange != nullptr || proposal != nullptr; }
  };

  Node(const Options& options, Ports ports, std::unique_ptr<raft::Core> core);
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

  const Options options_;
  Ports ports_;
  BatchQueue<Input> inputs_;
  std::unique_ptr<raft::Core> core_;
  core::Proposer proposer_;
  std::unique_ptr<LogSyncer> syncer_;
  core::OverloadGate overload_;

  // Node's thread.
  std::vector<Input> batch_;
  std::deque<Input> held_;  // waits for the flusher; bounded by the queue's own limit, and each by its deadline
  std::unordered_map<core::Ticket, Input> waiting_;
  std::uint64_t next_ticket_ = 1;
  bool serving_ = false;
  bool failed_ = false;
  bool disk_low_ = false;
  BootTime disk_check_due_{};

  std::atomic<std::uint64_t> serving_term_{0};
  std::atomic<std::int64_t> time_offset_{0};  // cluster time minus boot time
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> committed_{0};
};

}  // namespace coffer::actors
