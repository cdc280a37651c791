#include "base/clock.h"

#include <ctime>

#include "base/check.h"

namespace coffer {
namespace {

Nanos read_clock(clockid_t id) {
  timespec ts{};
  COFFER_CHECK(clock_gettime(id, &ts) == 0);
  return std::chrono::seconds(ts.tv_sec) + Nanos(ts.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(read_clock(CLOCK_REALTIME)); }
  BootTime boot_now() const override { return BootTime(read_clock(CLOCK_BOOTTIME)); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace coffer
