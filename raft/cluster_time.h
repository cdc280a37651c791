// Cluster time: what leases and tokens are counted in. The leader hands it out in entries and heartbeats; between two
// of them a node adds its own monotonic clock. It never goes back, whatever wall clocks and leaders do.
//
// Threads: one (the node's). now() of another thread reads a copy that the shell publishes.
#pragma once

#include "base/clock.h"

namespace coffer::raft {

class ClusterTime {
 public:
  // `floor` is the time of the last entry in the log: nothing earlier is ever told.
  ClusterTime(WallTime floor, BootTime boot) : base_(floor), boot_(boot) {}

  // The time at `boot`, which never goes back between calls.
  WallTime now(BootTime boot);

  // A heartbeat or entry of the leader said `leader_time`. A later time is taken at once; a node that ran ahead of its
  // leader goes at 0.9 of its own clock until the leader has caught up.
  void observe(WallTime leader_time, BootTime boot);

  // The node became leader. One that heard an earlier leader goes on from there and slews towards `wall`; one that has
  // just started takes the later of the last entry and `wall`.
  void lead(BootTime boot, WallTime wall);
  // While leading, from time to time: the target may move (the operator corrects the clock).
  void steer(BootTime boot, WallTime wall);

  // How far the wall clock is ahead of cluster time, as of the last lead() or steer().
  Nanos wall_lead() const noexcept { return difference_; }

  // Beyond this difference the operator is warned.
  static constexpr Nanos kWarnDifference{std::chrono::seconds(5)};

 private:
  void advance(BootTime boot);

  WallTime base_;        // the time at boot_
  BootTime boot_;
  Nanos slew_left_{0};   // how much is still to be gained (or lost, when negative) by running faster (slower)
  Nanos difference_{0};
  bool heard_ = false;   // a leader since this node started
};

}  // namespace coffer::raft
