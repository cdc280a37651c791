// Automated snapshots: while this node leads, saves the state as the stored plans say, to the configured folder or to
// S3, and removes what is superseded. On threads of its own; whatever fails is noted, logged, and tried again when the
// next one is due. Nothing of it holds up a request or ends the process.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "core/call.h"
#include "core/s3_bucket.h"
#include "core/snapshot_door.h"
#include "core/snapshot_plan.h"

namespace coffer::core {

// Where the records stand (store keys of mount 0, class cluster-local).
inline constexpr std::string_view kSnapshotPlanPrefix = "snapshot/config/";    // + name
inline constexpr std::string_view kSnapshotStatusPrefix = "snapshot/status/";  // + name
Result<std::optional<SnapshotPlan>> stored_snapshot_plan(TxnImpl& txn, std::string_view name);
Result<SnapshotPlanStatus> stored_snapshot_status(TxnImpl& txn, std::string_view name);

class SnapshotKeeper {
 public:
  // What is borrowed outlives it. `services` has a group and a place.
  SnapshotKeeper(const Services& services, WebCall call, const Clock& clock)
      : services_(services), call_(std::move(call)), clock_(clock) {}
  ~SnapshotKeeper() { stop(); }

  // From one thread, the shell's timer. Looks about once a second whether one is due.
  void tick(BootTime now);
  // What is under way is given up at the next piece, or within a second or so of a silent storage; waits for that.
  void stop();

 private:
  static constexpr std::size_t kPlansAtOnceMax = 4;

  struct Planned {
    SnapshotPlan plan;
    SnapshotPlanStatus status;
  };
  void look();
  Result<std::vector<Planned>> due();
  void run(Planned& planned);
  void ended(const std::string& name);
  Result<std::string> save(const SnapshotPlan& plan);
  Result<std::unique_ptr<ArchiveSource>> source();
  Result<std::string> keep_local(const SnapshotPlan& plan, ArchiveSource& source, const std::string& name);
  Result<std::string> keep_s3(const SnapshotPlan& plan, ArchiveSource& source, const std::string& name);
  Result<bool> next_piece(ArchiveSource& source, std::string& out) const;
  void note(const SnapshotPlan& plan, const SnapshotPlanStatus& status);

  const Services& services_;
  const WebCall call_;
  const Clock& clock_;
  CallThreads thread_{1, 1};  // looks what is due
  // An endpoint that is silent holds up its own plan alone, as long as not all of these have one.
  CallThreads runners_{kPlansAtOnceMax, kSnapshotPlansMax};
  std::atomic<bool> busy_{false};
  std::atomic<bool> stopping_{false};
  BootTime due_{};                              // tick's
  std::mutex mutex_;
  std::set<std::string> running_;               // guarded by mutex_; or waits for a runner
  std::map<std::string, WallTime> last_start_;  // likewise: of plans that ran here, whatever became of their status
};

}  // namespace coffer::core
