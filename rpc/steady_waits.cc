#include "rpc/steady_waits.h"

#include <absl/synchronization/internal/per_thread_sem.h>
#include <absl/synchronization/internal/waiter.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace {

using absl::base_internal::ThreadIdentity;
using absl::synchronization_internal::KernelTimeout;
using absl::synchronization_internal::Waiter;
using coffer::BootTime;
using coffer::Nanos;

// What absl's other half, which is not replaced, does with the same bytes: it adds one and wakes who waits on them.
static_assert(ABSL_WAITER_MODE == ABSL_WAITER_MODE_FUTEX);
static_assert(sizeof(Waiter) == sizeof(std::atomic<std::int32_t>));

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

BootTime now() { return coffer::system_clock().boot_now(); }

// A moment may have been made just before a jump of the wall clock, or from absl's idea of it, which lags behind for
// some seconds. So no wait is longer than this; whoever waits within gRPC looks again what there is to do.
constexpr Nanos kWaitMax = std::chrono::seconds(1);

// The end on the clock that nobody sets; nothing for a wait without one.
std::optional<BootTime> end_of(KernelTimeout timeout) {
  if (!timeout.has_timeout())
    return std::nullopt;
  const timespec at = timeout.MakeAbsTimespec();
  const Nanos moment(at.tv_sec * kNanosPerSecond + at.tv_nsec);
  return now() + std::min(moment - Nanos(coffer::system_clock().wall_now().time_since_epoch()), kWaitMax);
}

bool take_one(std::atomic<std::int32_t>& count) {
  std::int32_t seen = count.load(std::memory_order_relaxed);
  while (seen != 0)
    if (count.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire, std::memory_order_relaxed))
      return true;
  return false;
}

bool wait_for_one(std::atomic<std::int32_t>& count, std::optional<BootTime> end) {
  while (!take_one(count)) {
    timespec left{};
    if (end) {
      const Nanos span = *end - now();
      if (span <= Nanos(0))
        return false;
      left = {span.count() / kNanosPerSecond, span.count() % kNanosPerSecond};
    }
    // A wake, a signal, a count that is there already and the end are all told apart by looking again.
    syscall(SYS_futex, &count, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, end ? &left : nullptr);
  }
  return true;
}

}  // namespace

extern "C" bool ABSL_INTERNAL_C_SYMBOL(AbslInternalPerThreadSemWait)(KernelTimeout timeout) {
  ThreadIdentity* const self = absl::synchronization_internal::GetOrCreateCurrentThreadIdentity();
  auto& count = *reinterpret_cast<std::atomic<std::int32_t>*>(self->waiter_state.data);
  if (self->blocked_count_ptr != nullptr)
    self->blocked_count_ptr->fetch_add(1, std::memory_order_relaxed);
  const bool woken = wait_for_one(count, end_of(timeout));
  if (self->blocked_count_ptr != nullptr)
    self->blocked_count_ptr->fetch_sub(1, std::memory_order_relaxed);
  return woken;
}

namespace coffer::rpc {

void wait_steadily() {}

}  // namespace coffer::rpc
