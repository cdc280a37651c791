// Removes leases that have been irrevocable for as long as the configuration says, so that an outside that is gone for
// good does not keep them forever. What they were for may be left outside; the log names each that goes.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/call.h"

namespace coffer::core {

// tick() from one thread, the shell's timer.
class IrrevocableSweep {
 public:
  // `services` outlives it and every entry that it started.
  explicit IrrevocableSweep(const Services& services) : services_(services), state_(std::make_shared<State>()) {}
  ~IrrevocableSweep() { state_->stopped = true; }

  // Starts a look at the next page of them, once a minute, when this node leads and a time is configured. True when it
  // did.
  bool tick(BootTime now);
  bool idle() const { return !state_->busy; }

 private:
  struct State {
    std::atomic<bool> busy{false};
    std::atomic<bool> stopped{false};
    std::string at;  // where the next look begins; whoever is busy
  };
  const Services& services_;
  std::shared_ptr<State> state_;
  BootTime due_{};
};

}  // namespace coffer::core
