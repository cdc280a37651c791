// What the autopilot saw last, for those who ask: nothing on a node that does not lead.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "core/autopilot.h"

namespace coffer::core {

// Any thread.
class PilotBoard {
 public:
  void put(std::shared_ptr<const PilotState> state) {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
  }
  // Null: this node does not lead, or has not looked yet.
  std::shared_ptr<const PilotState> get() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const PilotState> state_;  // guarded by mutex_
};

}  // namespace coffer::core
