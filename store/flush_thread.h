// The thread that commits overlay generations and scrubs the state in between: a shell around StateBackend's
// flush_step() and scrub_step(). Owned by whoever composes the store; the backend must outlive it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"
#include "store/state_backend.h"

namespace coffer::store {

class FlushThread {
 public:
  // `on_failure` runs once, on this thread, with the failure that ended it (kIo, kDataLoss): the node must stop. The
  // backend's set_flush_wanted is taken. A first scrub begins at once, then one every `scrub_pause` (zero: no more
  // after the first).
  FlushThread(StateBackend& backend, std::function<void(const Status&)> on_failure, std::chrono::seconds scrub_pause);
  // Commits what was handed over; what was not yet stays in the log.
  ~FlushThread();
  FlushThread(const FlushThread&) = delete;
  FlushThread& operator=(const FlushThread&) = delete;

  // Any thread. Complete passes of the scrub so far, for metrics.
  std::uint64_t scrubs_done() const noexcept { return scrubs_done_.load(std::memory_order_relaxed); }

 private:
  void run();
  Status work();

  StateBackend& backend_;
  const std::function<void(const Status&)> on_failure_;
  const std::chrono::seconds scrub_pause_;
  std::atomic<std::uint64_t> scrubs_done_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;    // guarded by mutex_
  bool wanted_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::store
