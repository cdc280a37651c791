// Calls to systems outside: what a request does between its first entry, which says what is about to be made and how to
// undo it, and its second, which says that it was made (docs/request-path.md).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/request.h"

namespace coffer::core {

struct CallContext;

// Set by a handler of the server's own, or made of what an engine's handler asks for. The request's writes commit
// first; then `call` runs, once, while this node leads and before `ends`; then `then`, in a transaction, with what
// became of the call; then the answer leaves.
struct OutsideWork {
  std::function<Status(Nanos time_max, Response& response, json::Arena& arena)> call;
  WallTime ends{};  // cluster time
  // May run again after a conflict. When it fails nothing of it is kept and its failure is the answer; when the call
  // failed, that is.
  std::function<Status(CallContext& ctx, const Status& called)> then;
  // No entry goes before it: it runs when the line of the request was accepted. Without a `then` no run follows either,
  // and what it leaves is the answer, whatever has become of the state meanwhile.
  bool alone = false;
};

// A `call` alone, for at most `time_max` from now.
void call_alone(CallContext& ctx, Nanos time_max, decltype(OutsideWork::call) call);

// What a handler changes in this node's memory alone: done when the line of the request was accepted, not before, so
// that whoever cannot be audited changes nothing. At once where there is no thread for calls, as in tests.
void after_audit(CallContext& ctx, std::function<void()> change);

// Threads for calls that may hang, and a bounded queue before them.
class CallPool {
 public:
  virtual ~CallPool() = default;
  // Any thread. False when too many wait already: the task was not taken. What is taken runs.
  virtual bool submit(std::function<void()> task) = 0;
};

// Threads start with the first task and end in stop(), after what was taken has run.
class CallThreads final : public CallPool {
 public:
  CallThreads(std::size_t threads_max, std::size_t tasks_queued_max)
      : threads_max_(threads_max), tasks_queued_max_(tasks_queued_max) {}
  ~CallThreads() override { stop(); }

  bool submit(std::function<void()> task) override;
  // Nothing is taken any more. Waits for what was.
  void stop();

 private:
  void work();

  const std::size_t threads_max_;
  const std::size_t tasks_queued_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;  // the rest is guarded by mutex_
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace coffer::core
