#include "actors/log_syncer.h"

#include <utility>

namespace coffer::actors {

LogSyncer::LogSyncer(store::Log& log, std::function<void(std::uint64_t, const Status&)> report)
    : log_(log), report_(std::move(report)), thread_([this] { run(); }) {}

LogSyncer::~LogSyncer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogSyncer::request(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = number;
  }
  wake_.notify_one();
}

void LogSyncer::run() {
  std::uint64_t done = 0;
  for (;;) {
    std::uint64_t wanted = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || wanted_ > done; });
      if (wanted_ <= done)
        return;
      wanted = wanted_;
    }
    const Status status = log_.sync();
    done = wanted;
    report_(wanted, status);
    if (!status.ok())
      return;
  }
}

}  // namespace coffer::actors
