#include "core/outside.h"

#include <system_error>
#include <utility>

#include "base/limits.h"
#include "core/call.h"
#include "core/contained.h"

namespace coffer::core {

void call_alone(CallContext& ctx, Nanos time_max, decltype(OutsideWork::call) call) {
  OutsideWork work;
  work.call = std::move(call);
  work.ends = ctx.now + time_max;
  work.alone = true;
  ctx.outside = std::move(work);
}

void after_audit(CallContext& ctx, std::function<void()> change) {
  if (ctx.services.calls == nullptr)
    return change();
  call_alone(ctx, limits::kOutsideTimeMax, [change = std::move(change)](Nanos, Response&, json::Arena&) {
    change();
    return ok_status();
  });
}

bool CallThreads::submit(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || queue_.size() >= tasks_queued_max_)
    return false;
  if (queue_.size() >= idle_ && threads_.size() < threads_max_) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      if (threads_.empty())
        return false;
    }
  }
  queue_.push_back(std::move(task));
  changed_.notify_one();
  return true;
}

void CallThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty())
      return;
    std::function<void()> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    // Whoever wants to know why hears it from the task itself; the others still have this thread.
    static_cast<void>(contained([&task] {
      task();
      return ok_status();
    }));
    task = nullptr;
    lock.lock();
  }
}

void CallThreads::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads)
    thread.join();
}

}  // namespace coffer::core
