// The leader's permission to answer reads alone: until when no other node can have been elected. The core moves it;
// readers of any thread ask after they took their view.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/mutant.h"

namespace coffer::raft {

class ReadLease {
 public:
  // Any thread. `now` is read after the view was taken.
  bool valid(BootTime now) const noexcept {
    const std::int64_t until = until_.load(std::memory_order_acquire);
    if (until == kNone)
      return false;
    return now.time_since_epoch().count() < until || mutant(Mutant::kReadAfterLease);
  }

  // The node's thread.
  void extend(BootTime until) noexcept { until_.store(until.time_since_epoch().count(), std::memory_order_release); }
  void drop() noexcept { until_.store(kNone, std::memory_order_release); }
  bool held() const noexcept { return until_.load(std::memory_order_relaxed) != kNone; }

 private:
  static constexpr std::int64_t kNone = INT64_MIN;
  std::atomic<std::int64_t> until_{kNone};
};

}  // namespace coffer::raft
