// Work that mounts have without anybody asking (Engine::tend): what is over is removed, conversions go on.
// Each step is one transaction of the server's own; whoever leads carries on from what is stored.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "core/call.h"

namespace coffer::core {

// tick() from one thread, the shell's timer.
class Tender {
 public:
  explicit Tender(const Services& services) : services_(services), state_(std::make_shared<State>()) {}
  ~Tender() { state_->stopped = true; }

  // Starts the step of the mount whose turn it is, when this node leads and none is under way; true when it did.
  // A mount that had nothing to do is asked again after limits::kTendPause.
  bool tick(BootTime now);
  bool idle() const { return !state_->busy; }

 private:
  struct State {
    std::atomic<bool> busy{false};
    std::atomic<bool> stopped{false};
    std::atomic<bool> more{false};  // the last step wants another one soon
  };
  const Services& services_;
  std::shared_ptr<State> state_;
  std::map<std::uint64_t, BootTime> due_;  // when a mount is asked again, by its namespace and id
  std::uint64_t last_ = 0;
};

}  // namespace coffer::core
