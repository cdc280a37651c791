// Whether writes come faster than they can be committed: not a burst but a queue that stays. A window in which even the
// quickest write took longer than the bound says so, and one in which some write was quick says that it is over; so a
// few slow ones among quick ones change nothing.
// Threads: one but for overloaded(). No clock: times are arguments.
#pragma once

#include <algorithm>
#include <atomic>

#include "base/clock.h"

namespace coffer::core {

class OverloadGate {
 public:
  struct Options {
    Nanos delay_max{std::chrono::seconds(3)};  // from arrival to commit; 0: never overloaded
    Nanos window{std::chrono::seconds(1)};
  };
  explicit OverloadGate(const Options& options) : options_(options) {}

  // A write that came `delay` ago is committed.
  void took(Nanos delay) { quickest_ = std::min(quickest_, delay); }
  // Often. `waiting`: there are writes that are not committed.
  void tick(BootTime now, bool waiting) {
    if (options_.delay_max <= Nanos(0) || now < window_ends_)
      return;
    window_ends_ = now + options_.window;
    if (quickest_ == Nanos::max())
      stalled_ = waiting ? stalled_ + options_.window : Nanos(0);
    else
      stalled_ = Nanos(0);
    const bool slow = quickest_ == Nanos::max() ? stalled_ > options_.delay_max : quickest_ > options_.delay_max;
    const bool idle = quickest_ == Nanos::max() && !waiting;
    const bool was = overloaded_.load(std::memory_order_relaxed);
    overloaded_.store(slow || (was && !idle && quickest_ > options_.delay_max / 2), std::memory_order_relaxed);
    quickest_ = Nanos::max();
  }
  bool overloaded() const noexcept { return overloaded_.load(std::memory_order_relaxed); }

 private:
  const Options options_;
  BootTime window_ends_{};
  Nanos quickest_ = Nanos::max();  // of this window
  Nanos stalled_{0};               // how long nothing was committed although something waits
  std::atomic<bool> overloaded_{false};
};

}  // namespace coffer::core
