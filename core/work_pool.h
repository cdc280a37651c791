// Threads for what requests need and no run may do itself, above all password hashes. They run at a lower priority than
// the rest of the server, so that a storm of logins takes nothing from those who are logged in.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/request.h"

namespace coffer::core {

// Thread-safe. The homes of its exchanges outlive it.
class WorkPool {
 public:
  static constexpr std::size_t kRequestsQueuedMax = 256;

  explicit WorkPool(unsigned threads);
  // What is under way ends; what waits is dropped, so their connections must be gone by then.
  ~WorkPool();

  // Performs exchange->pipeline->work, then Home::resume_later. False, and the exchange stays, when too many wait.
  bool submit(std::unique_ptr<Exchange>& exchange);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Exchange>> queue_;  // guarded by mutex_
  bool stopped_ = false;                         // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace coffer::core
