#include "raft/cluster_time.h"

#include <algorithm>

namespace coffer::raft {
namespace {

constexpr std::int64_t kSlewDivisor = 10;  // at most a tenth faster or slower than the monotonic clock

}  // namespace

void ClusterTime::advance(BootTime boot) {
  if (boot <= boot_)
    return;
  const Nanos elapsed = boot - boot_;
  const Nanos room = elapsed / kSlewDivisor;
  const Nanos slew = std::clamp(slew_left_, -room, room);
  base_ += elapsed + slew;
  slew_left_ -= slew;
  boot_ = boot;
}

WallTime ClusterTime::now(BootTime boot) {
  advance(boot);
  return base_;
}

void ClusterTime::observe(WallTime leader_time, BootTime boot) {
  advance(boot);
  heard_ = true;
  if (leader_time >= base_) {
    base_ = leader_time;
    slew_left_ = Nanos(0);
  } else {
    slew_left_ = leader_time - base_;
  }
}

void ClusterTime::lead(BootTime boot, WallTime wall) {
  advance(boot);
  if (!heard_)
    base_ = std::max(base_, wall);
  heard_ = true;
  steer(boot, wall);
}

void ClusterTime::steer(BootTime boot, WallTime wall) {
  advance(boot);
  difference_ = wall - base_;
  slew_left_ = difference_;
}

}  // namespace coffer::raft
