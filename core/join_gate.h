// What a leader remembers of those who ask to be let in: how often it was asked for the seal's records, and which
// challenges were answered. Both are bounded, whoever asks.
#pragma once

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
  static constexpr double kChallengesHeldMax = 60;      // may be asked for at once
  static constexpr double kChallengesPerSecond = 2;     // later on
  static constexpr std::size_t kAnswersKeptMax = 4096;  // answered within the time of a challenge

  // kUnavailable: asked too often, by all together; later it is answered again.
  Status may_ask(WallTime now);
  // A challenge counts once: kDenied when another request answered it. The same request may run again.
  Status answered(std::string_view challenge, std::string_view request_id, WallTime now);

 private:
  struct Answer {
    std::string request_id;
    WallTime at;
  };
  std::mutex mutex_;
  double allowed_ = kChallengesHeldMax;         // guarded by mutex_
  WallTime allowed_at_{};                       // guarded by mutex_
  std::map<std::string, Answer, std::less<>> answers_;  // guarded by mutex_
};

}  // namespace coffer::core
