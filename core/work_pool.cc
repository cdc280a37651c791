#include "core/work_pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

constexpr int kNiceness = 5;

}  // namespace

WorkPool::WorkPool(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i)
    threads_.emplace_back([this] { serve(computing_); });
  threads_.emplace_back([this] { serve(waiting_); });
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
    Lane& lane = dynamic_cast<const WaitingWork*>(exchange->pipeline->work.get()) != nullptr ? waiting_ : computing_;
    if (stopped_ || refusing_ || lane.queue.size() >= kRequestsQueuedMax)
      return false;
    lane.queue.push_back(std::move(exchange));
  }
  changed_.notify_all();
  return true;
}

void WorkPool::refuse_waiting() {
  std::deque<std::unique_ptr<Exchange>> refused;
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    for (Lane* lane : {&computing_, &waiting_}) {
      std::ranges::move(lane->queue, std::back_inserter(refused));
      lane->queue.clear();
    }
  }
  for (std::unique_ptr<Exchange>& exchange : refused) {
    exchange->pipeline->work_refused = true;
    Home* home = exchange->home;
    home->resume_later(std::move(exchange));
  }
}

void WorkPool::serve(Lane& lane) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
  while (true) {
    std::unique_ptr<Exchange> exchange;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this, &lane] { return stopped_ || !lane.queue.empty(); });
      if (stopped_)
        return;
      exchange = std::move(lane.queue.front());
      lane.queue.pop_front();
    }
    exchange->pipeline->work->perform();
    Home* home = exchange->home;
    home->resume_later(std::move(exchange));
  }
}

}  // namespace coffer::core
