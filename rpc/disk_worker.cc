#include "rpc/disk_worker.h"

#include <utility>

namespace coffer::rpc {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{250};

}  // namespace

DiskWorker::DiskWorker(const Clock& clock, Nanos silence_max)
    : clock_(clock), silence_max_(silence_max), thread_([this] { run(); }) {}

DiskWorker::~DiskWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void DiskWorker::post(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_one();
}

void DiskWorker::watch(Transfer& transfer) {
  transfer.moved(clock_.boot_now());
  const std::lock_guard lock(mutex_);
  transfers_.insert(&transfer);
}

void DiskWorker::forget(Transfer& transfer) {
  const std::lock_guard lock(mutex_);
  transfers_.erase(&transfer);
}

void DiskWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!jobs_.empty()) {
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
      continue;
    }
    if (stopping_)
      return;
    changed_.wait_for(lock, kWatchInterval, [this] { return stopping_ || !jobs_.empty(); });
    // Under the lock: none of them can go meanwhile. After jobs, which may have been why others stood still.
    if (!jobs_.empty())
      continue;
    const BootTime now = clock_.boot_now();
    for (Transfer* transfer : transfers_) {
      if (now - transfer->last_moved() > silence_max_)
        transfer->give_up();
    }
  }
}

}  // namespace coffer::rpc
