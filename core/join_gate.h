// What a leader remembers of those who ask to be let in: how often it was asked for the seal's records, and which
// challenges were answered. Both are bounded, whoever asks.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

// Any thread.
class JoinGate {
 public:
  static constexpr double kChallengesHeldMax = 60;      // may be asked for at once, by all together
  static constexpr double kChallengesPerSecond = 2;     // later on
  // Of one address, so that no other is kept out by it.
  static constexpr double kSourceChallengesHeldMax = 12;
  static constexpr double kSourceChallengesPerSecond = 0.4;
  static constexpr std::size_t kSourcesKeptMax = 1024;  // that asked of late
  static constexpr std::size_t kAnswersKeptMax = 4096;  // answered within the time of a challenge

  // kUnavailable: asked too often, by this address or by all together; later it is answered again.
  Status may_ask(std::string_view address, WallTime now);
  // A challenge counts once: kDenied when another request answered it. The same request may run again.
  Status answered(std::string_view challenge, std::string_view request_id, WallTime now);

  // What is remembered at the moment.
  struct Kept {
    std::size_t sources;
    std::size_t answers;
  };
  Kept kept() const;

 private:
  struct Allowance {
    double left;
    WallTime at{};
    void refill(double held_max, double per_second, WallTime now);
  };
  struct Answer {
    std::string request_id;
    WallTime at;
  };
  mutable std::mutex mutex_;
  Allowance of_all_{kChallengesHeldMax};        // guarded by mutex_
  std::map<std::string, Allowance, std::less<>> of_sources_;  // guarded by mutex_
  std::map<std::string, Answer, std::less<>> answers_;  // guarded by mutex_
};

}  // namespace coffer::core
