// How the seal that opens by itself does: asked now and then, and told of what was seen besides. An unsealed node needs
// it no more before the next start; whoever runs it wants to know before that.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "core/outside.h"
#include "seal/seal.h"

namespace coffer::core {

// Thread-safe.
class SealHealth {
 public:
  static constexpr Nanos kPause = std::chrono::minutes(10);
  static constexpr Nanos kPauseAway = std::chrono::minutes(1);

  struct State {
    std::string kind;
    std::optional<WallTime> away_since;  // nothing: it is well
  };

  // `seal` is null for Shamir's, which is always well. All outlive this and what it has submitted.
  SealHealth(seal::KeyWrapper* seal, const Clock& clock, Logger& log);

  // The shell's timer. Asks on a thread of `threads` when it is time, and nothing is asked already.
  void tick(CallPool& threads);
  // What an attempt to use the seal came to.
  void note(const Status& status);
  State state() const;

 private:
  void ask();

  seal::KeyWrapper* const seal_;
  const Clock& clock_;
  Logger& log_;
  mutable std::mutex mutex_;  // guards the rest
  std::optional<WallTime> away_since_;
  BootTime due_{};
  bool asking_ = false;
};

}  // namespace coffer::core
