// The border between a job on a thread of its own and that thread: what a library throws, running out of memory above
// all, is the failure of the one job.
#pragma once

#include <exception>
#include <new>
#include <utility>

#include "base/status.h"

namespace coffer::core {

// `job` returns a Status, or a Result.
template <typename Job>
auto contained(Job&& job) noexcept -> decltype(job()) {
  try {
    return std::forward<Job>(job)();
  } catch (const std::bad_alloc&) {
    return Status(Code::kUnavailable, "out of memory");
  } catch (const std::exception&) {
    return Status(Code::kInternal, "a library failed");
  }
}

}  // namespace coffer::core
