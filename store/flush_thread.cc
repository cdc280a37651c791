#include "store/flush_thread.h"

#include "base/limits.h"

namespace coffer::store {

FlushThread::FlushThread(StateBackend& backend, std::function<void(const Status&)> on_failure,
                         std::chrono::seconds scrub_pause)
    : backend_(backend), on_failure_(std::move(on_failure)), scrub_pause_(scrub_pause) {
  backend_.set_flush_wanted([this] {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = true;
    }
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

FlushThread::~FlushThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  backend_.set_flush_wanted(nullptr);
}

void FlushThread::run() {
  if (const Status status = work(); !status.ok())
    on_failure_(status);
}

Status FlushThread::work() {
  bool scrubbing = true;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto due = [this] { return stop_ || wanted_; };
      if (scrubbing)
        // leaves the disk and the processor to others between steps
        wake_.wait_for(lock, limits::kScrubStepPause, due);
      else if (scrub_pause_.count() == 0)
        wake_.wait(lock, due);
      else
        scrubbing = !wake_.wait_for(lock, scrub_pause_, due);
      if (stop_ && !wanted_)
        return ok_status();
      wanted_ = false;
    }
    COFFER_ASSIGN(const bool flushed, backend_.flush_step());
    if (flushed || !scrubbing)
      continue;
    COFFER_ASSIGN(const bool pass_done, backend_.scrub_step(limits::kScrubStepRecordsMax));
    if (pass_done) {
      scrubs_done_.fetch_add(1, std::memory_order_relaxed);
      scrubbing = false;
    }
  }
}

}  // namespace coffer::store
