// Work that exceeds one entry: its first entry made the effect visible and left a record; here are its further steps,
// each idempotent and one entry, which whoever leads carries on until the record is gone.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/call.h"
#include "core/tidy.h"

namespace coffer::core {

// Part of a request's transaction: from the commit on the job runs.
Status add_job(TxnImpl& txn, const Job& job);

// Part of a request's transaction: from the commit on no path leads to the mount; a job ends its leases and tokens,
// then takes its data away and the row.
Status disable_mount(TxnImpl& txn, MountRecord& record);

// Part of a request's transaction: from the commit on no path leads to the mount; the job `id` ends its leases and
// tokens, copies its data sealed anew into record.moving's namespace, and then the mount answers there; what was copied
// goes from where it was. Where that cannot be done (a lease that cannot be revoked, a namespace that is being deleted)
// the mount comes back as it was, and the move's record says that it failed.
Status start_move(TxnImpl& txn, MountRecord& record, std::string_view id);
// Whether what an earlier move of the mount left behind is still there.
Result<bool> moved_just_now(TxnImpl& txn, const MountRecord& record);

// A transaction of the server's own, without a request: runs, proposes, runs again after a conflict. Owns itself until
// `done` was called, which happens once, on the thread of start() or on the node's.
class SystemTask final : public SystemCommit {
 public:
  using Work = std::function<Status(TxnImpl&, const Published&, json::Arena&)>;
  using Done = std::function<void(const Status&)>;
  // `services` outlives the task.
  static void start(const Services& services, Work work, Done done);

  void done(CommitOutcome outcome, Index index, Status status) override;

 private:
  SystemTask(const Services& services, Work work, Done done)
      : services_(services), work_(std::move(work)), done_(std::move(done)) {}
  Status prepare(Proposal& proposal);
  void run();
  void finish(const Status& status);

  const Services& services_;
  Work work_;
  Done done_;
  unsigned runs_ = 0;
  json::Arena arena_;         // what was noted of the last run lives here until it is committed
  TxnImpl::Buffers buffers_;
};

// Carries on the jobs of the published state, one step of one job at a time. tick() from one thread, the shell's timer.
class JobRunner {
 public:
  explicit JobRunner(const Services& services) : services_(services), state_(std::make_shared<State>()) {}
  ~JobRunner() { state_->stopped = true; }

  // Starts the next step when there is a job, this node leads and no step is under way. True when a step was started.
  bool tick();
  bool idle() const { return !state_->busy; }

 private:
  // How far a job has come with what it reads through; lost with the leadership, and then it begins anew.
  struct Progress {
    std::string at;       // position; empty: the beginning
    bool ended = false;   // every lease of the mount was ended; now they are waited for
    bool copying = false;    // a move: nobody holds anything of the mount any more
    bool hopeless = false;   // a lease of the mount is irrevocable
    TidyPlace tidy;
  };
  struct State {
    std::atomic<bool> busy{false};
    std::atomic<bool> stopped{false};
    std::size_t turn = 0;                      // tick()'s thread
    std::map<std::string, Progress> progress;  // by job; whoever is busy
  };
  static Status step(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job, Progress& progress);
  static Status end_prefix(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                           Progress& progress);
  static Status end_leases(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                           const Route& route, Progress& progress);
  static Result<bool> leases_gone(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                                  const Route& route, Progress& progress);
  static Status move(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                     Progress& progress);
  const Services& services_;
  std::shared_ptr<State> state_;
};

}  // namespace coffer::core
