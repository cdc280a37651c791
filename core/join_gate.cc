#include "core/join_gate.h"

#include <algorithm>

#include "base/mutant.h"
#include "core/join.h"

namespace coffer::core {

void JoinGate::Allowance::refill(double held_max, double per_second, WallTime now) {
  if (now <= at)
    return;
  left = std::min(held_max, left + std::chrono::duration<double>(now - at).count() * per_second);
  at = now;
}

Status JoinGate::may_ask(std::string_view address, WallTime now) {
  const Status refused(Code::kUnavailable, "too many nodes ask to join: try again later");
  const std::lock_guard lock(mutex_);
  of_all_.refill(kChallengesHeldMax, kChallengesPerSecond, now);
  auto source = of_sources_.find(address);
  const bool full = of_sources_.size() >= kSourcesKeptMax && !mutant(Mutant::kJoinAsksUnbounded);
  if (source == of_sources_.end() && full)
    std::erase_if(of_sources_, [now](const auto& one) {
      Allowance then = one.second;
      then.refill(kSourceChallengesHeldMax, kSourceChallengesPerSecond, now);
      return then.left >= kSourceChallengesHeldMax;  // as one that never asked
    });
  if (source == of_sources_.end()) {
    if (full && of_sources_.size() >= kSourcesKeptMax)
      return refused;
    source = of_sources_.emplace(address, Allowance{kSourceChallengesHeldMax, now}).first;
  }
  source->second.refill(kSourceChallengesHeldMax, kSourceChallengesPerSecond, now);
  if (source->second.left < 1 || of_all_.left < 1)
    return refused;
  source->second.left -= 1;
  of_all_.left -= 1;
  return ok_status();
}

Status JoinGate::answered(std::string_view challenge, std::string_view request_id, WallTime now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(answers_, [now](const auto& one) { return now - one.second.at > kChallengeTimeMax; });
  const auto found = answers_.find(challenge);
  if (found != answers_.end())
    return found->second.request_id == request_id ? ok_status()
                                                  : Status(Code::kDenied, "the challenge was not answered");
  if (answers_.size() >= kAnswersKeptMax && !mutant(Mutant::kJoinAnswersUnbounded))
    return Status(Code::kUnavailable, "too many nodes join: try again later");
  answers_.emplace(challenge, Answer{std::string(request_id), now});
  return ok_status();
}

JoinGate::Kept JoinGate::kept() const {
  const std::lock_guard lock(mutex_);
  return {of_sources_.size(), answers_.size()};
}

}  // namespace coffer::core
