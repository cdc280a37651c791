#include "core/body_pipe.h"

#include <utility>

#include "base/limits.h"
#include "core/restore.h"

namespace coffer::core {

bool pipes_body(const Request& request) noexcept {
  const std::string_view path = request.path.view();
  return request.operation == Operation::kWrite && (path == kRestorePath || path == kForcedRestorePath);
}

void BodyPipe::on_ready(std::function<void()> ready) {
  const std::lock_guard lock(mutex_);
  ready_ = std::move(ready);
}

bool BodyPipe::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

bool BodyPipe::has_room() const {
  const std::lock_guard lock(mutex_);
  return held_.size() < limits::kPipeBytesMax;
}

void BodyPipe::put(std::string_view piece) {
  const std::lock_guard lock(mutex_);
  held_ += piece;
  came_.notify_one();
}

void BodyPipe::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  came_.notify_one();
}

void BodyPipe::break_off(Status why) {
  const std::lock_guard lock(mutex_);
  if (!ended_ && broken_.ok())
    broken_ = std::move(why);
  came_.notify_one();
}

Result<std::string> BodyPipe::take(Nanos time_max) {
  std::unique_lock lock(mutex_);
  const auto told = [this] { return !held_.empty() || ended_ || !broken_.ok(); };
  // Under the lock, so that the connection, which takes `ready` away first, may go when that returned.
  if (!std::exchange(wanted_, true) && ready_)
    ready_();
  if (!came_.wait_for(lock, time_max, told))
    return Status(Code::kUnavailable, "the rest of the body did not come in time");
  if (!broken_.ok())
    return broken_;
  const bool was_full = held_.size() >= limits::kPipeBytesMax;
  std::string taken = std::exchange(held_, {});
  if (was_full && ready_)
    ready_();
  return taken;
}

}  // namespace coffer::core
