#include "core/seal_health.h"

namespace coffer::core {

SealHealth::SealHealth(seal::KeyWrapper* seal, const Clock& clock, Logger& log)
    : seal_(seal), clock_(clock), log_(log), due_(clock.boot_now() + kPause) {}

SealHealth::State SealHealth::state() const {
  const std::lock_guard lock(mutex_);
  return {std::string(seal_ == nullptr ? seal::kShamirKind : seal_->kind()), away_since_};
}

void SealHealth::note(const Status& status) {
  const std::lock_guard lock(mutex_);
  due_ = clock_.boot_now() + (status.ok() ? kPause : kPauseAway);
  if (status.ok() == !away_since_)
    return;
  if (status.ok()) {
    away_since_.reset();
    log_.info("seal", "the seal is well again");
  } else {
    away_since_ = clock_.wall_now();
    log_.error("seal", "the seal cannot be used: " + status.message());
  }
}

void SealHealth::tick(CallPool& threads) {
  if (seal_ == nullptr || !seal_->remote())
    return;
  {
    const std::lock_guard lock(mutex_);
    if (asking_ || clock_.boot_now() < due_)
      return;
    asking_ = true;
  }
  if (threads.submit([this] { ask(); }))
    return;
  const std::lock_guard lock(mutex_);
  asking_ = false;
}

void SealHealth::ask() {
  note(seal_->check());
  const std::lock_guard lock(mutex_);
  asking_ = false;
}

}  // namespace coffer::core
