// Threads for what requests need and no run may do itself, above all password hashes. They run at a lower priority than
// the rest of the server, so that a storm of logins takes nothing from those who are logged in.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/login.h"
#include "core/request.h"

namespace coffer::core {

// Work that waits for the system or for somebody else, and computes next to nothing: it has a thread of its own, so
// that neither it nor a storm of logins holds up the other.
class WaitingWork : public PreparedWork {};

// Thread-safe. The homes of its exchanges outlive it.
class WorkPool {
 public:
  static constexpr std::size_t kRequestsQueuedMax = 256;

  // `threads` for what computes, and one for what waits.
  explicit WorkPool(unsigned threads);
  // What is under way ends; what waits is dropped, so their connections must be gone by then.
  ~WorkPool();

  // Performs exchange->pipeline->work, then Home::resume_later. False, and the exchange stays, when too many wait.
  bool submit(std::unique_ptr<Exchange>& exchange);

  // The server stops: what waits is resumed with its work refused, and nothing is taken any more. A stop would else
  // last as long as a queue that anybody can fill.
  void refuse_waiting();

 private:
  struct Lane {
    std::deque<std::unique_ptr<Exchange>> queue;  // guarded by mutex_
  };
  void serve(Lane& lane);

  std::mutex mutex_;
  std::condition_variable changed_;
  Lane computing_;
  Lane waiting_;
  bool refusing_ = false;  // guarded by mutex_
  bool stopped_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace coffer::core
