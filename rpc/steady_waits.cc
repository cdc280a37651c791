#include "rpc/steady_waits.h"

#include <absl/synchronization/internal/per_thread_sem.h>
#include <absl/synchronization/internal/waiter.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>

namespace {

using absl::base_internal::ThreadIdentity;
using absl::synchronization_internal::KernelTimeout;
using absl::synchronization_internal::Waiter;

// What absl's other half, which is not replaced, does with the same bytes: it adds one and wakes who waits on them.
static_assert(ABSL_WAITER_MODE == ABSL_WAITER_MODE_FUTEX);
static_assert(sizeof(Waiter) == sizeof(std::atomic<std::int32_t>));

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

std::int64_t now_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

// The end on the monotonic clock; nothing for a wait without one.
std::optional<std::int64_t> end_of(KernelTimeout timeout) {
  if (!timeout.has_timeout())
    return std::nullopt;
  const timespec at = timeout.MakeAbsTimespec();
  const std::int64_t left = at.tv_sec * kNanosPerSecond + at.tv_nsec - now_ns(CLOCK_REALTIME);
  return now_ns(CLOCK_MONOTONIC) + left;
}

bool take_one(std::atomic<std::int32_t>& count) {
  std::int32_t seen = count.load(std::memory_order_relaxed);
  while (seen != 0)
    if (count.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire, std::memory_order_relaxed))
      return true;
  return false;
}

bool wait_for_one(std::atomic<std::int32_t>& count, std::optional<std::int64_t> end) {
  while (!take_one(count)) {
    timespec left{};
    if (end) {
      const std::int64_t nanos = *end - now_ns(CLOCK_MONOTONIC);
      if (nanos <= 0)
        return false;
      left = {nanos / kNanosPerSecond, nanos % kNanosPerSecond};
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
