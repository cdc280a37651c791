#include "core/join_gate.h"

#include <algorithm>

#include "core/join.h"

namespace coffer::core {

Status JoinGate::may_ask(WallTime now) {
  const std::lock_guard lock(mutex_);
  if (now > allowed_at_) {
    const double seconds = std::chrono::duration<double>(now - allowed_at_).count();
    allowed_ = std::min(kChallengesHeldMax, allowed_ + seconds * kChallengesPerSecond);
    allowed_at_ = now;
  }
  if (allowed_ < 1)
    return Status(Code::kUnavailable, "too many nodes ask to join: try again later");
  allowed_ -= 1;
  return ok_status();
}

Status JoinGate::answered(std::string_view challenge, std::string_view request_id, WallTime now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(answers_, [now](const auto& one) { return now - one.second.at > kChallengeTimeMax; });
  const auto found = answers_.find(challenge);
  if (found != answers_.end())
    return found->second.request_id == request_id ? ok_status()
                                                  : Status(Code::kDenied, "the challenge was not answered");
  if (answers_.size() >= kAnswersKeptMax)
    return Status(Code::kUnavailable, "too many nodes join: try again later");
  answers_.emplace(challenge, Answer{std::string(request_id), now});
  return ok_status();
}

}  // namespace coffer::core
