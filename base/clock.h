// Time is an argument. Nothing outside base/ and server/ asks the operating system for it (a tidy check sees to that).
#pragma once

#include <chrono>
#include <cstdint>

namespace coffer {

using Nanos = std::chrono::nanoseconds;

struct WallTag {
  using duration = Nanos;
};
struct BootTag {
  using duration = Nanos;
};
// Civil time, nanoseconds since 1970 in UTC. May jump. For display, TTLs go by cluster time, which is of this type too.
using WallTime = std::chrono::time_point<WallTag, Nanos>;
// CLOCK_BOOTTIME: never jumps, counts suspend. For deadlines, elections and leases of reads.
using BootTime = std::chrono::time_point<BootTag, Nanos>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall_now() const = 0;  // any thread
  virtual BootTime boot_now() const = 0;  // any thread
};

// The operating system's clock; lives as long as the process.
const Clock& system_clock();

// A clock that a test moves by hand. Not thread-safe.
class ManualClock final : public Clock {
 public:
  WallTime wall_now() const override { return wall_; }
  BootTime boot_now() const override { return boot_; }
  void advance(Nanos by) {
    wall_ += by;
    boot_ += by;
  }
  void jump_wall(Nanos by) { wall_ += by; }

 private:
  WallTime wall_{std::chrono::hours(24 * 365 * 50)};
  BootTime boot_{std::chrono::seconds(1)};
};

}  // namespace coffer
