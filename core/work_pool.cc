#include "core/work_pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

constexpr int kNiceness = 5;

}  // namespace

WorkPool::WorkPool(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i)
    threads_.emplace_back([this] { serve(); });
}

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
}

bool WorkPool::submit(std::unique_ptr<Exchange>& exchange) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || queue_.size() >= kRequestsQueuedMax)
      return false;
    queue_.push_back(std::move(exchange));
  }
  changed_.notify_one();
  return true;
}

void WorkPool::serve() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
  while (true) {
    std::unique_ptr<Exchange> exchange;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (stopped_)
        return;
      exchange = std::move(queue_.front());
      queue_.pop_front();
    }
    exchange->pipeline->work->perform();
    Home* home = exchange->home;
    home->resume_later(std::move(exchange));
  }
}

}  // namespace coffer::core
