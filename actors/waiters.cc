#include "actors/waiters.h"

#include <algorithm>
#include <iterator>

namespace coffer::actors {

void IndexWaiters::add(Index index, Waiter waiter) {
  if (waiting_.size() >= waiters_max_)
    return waiter.owed->tell(Status(Code::kExhausted, "too many requests wait for an index"));
  waiting_.emplace(index, std::move(waiter));
}

void IndexWaiters::reached(Index applied) {
  while (!waiting_.empty() && waiting_.begin()->first <= applied) {
    const auto first = waiting_.extract(waiting_.begin());
    first.mapped().owed->tell(Status(), first.key());
  }
}

void IndexWaiters::expire(BootTime now) {
  std::erase_if(waiting_, [now](auto& entry) {
    if (now < entry.second.deadline)
      return false;
    entry.second.owed->tell(Status(Code::kUnavailable, "this node did not reach the index in time"));
    return true;
  });
}

void IndexWaiters::refuse_all(const Status& status) {
  for (auto& [index, waiter] : std::exchange(waiting_, {}))
    waiter.owed->tell(status);
}

void ReadRounds::ask(Waiter waiter) {
  if (waiters_ >= options_.waiters_max)
    return waiter.owed->tell(Status(Code::kExhausted, "too many reads wait for the leader's word"));
  ++waiters_;
  waiting_.push_back(std::move(waiter));
}

std::optional<std::uint64_t> ReadRounds::next(BootTime now) {
  if (waiting_.empty() || rounds_.size() >= options_.rounds_max || now < not_before_)
    return std::nullopt;
  rounds_.emplace(++last_round_, Round{now, std::exchange(waiting_, {})});
  return last_round_;
}

void ReadRounds::put_back(std::vector<Waiter> waiters) {
  std::move(waiters.begin(), waiters.end(), std::back_inserter(waiting_));
}

void ReadRounds::failed(std::uint64_t round, BootTime now) {
  const auto found = rounds_.extract(round);
  if (found.empty())
    return;
  put_back(std::move(found.mapped().waiters));
  not_before_ = now + options_.repeat_after / 10;
}

std::vector<Waiter> ReadRounds::answered(std::uint64_t round) {
  const auto found = rounds_.extract(round);
  if (found.empty())
    return {};
  waiters_ -= found.mapped().waiters.size();
  return std::move(found.mapped().waiters);
}

void ReadRounds::expire(BootTime now) {
  for (auto it = rounds_.begin(); it != rounds_.end();) {
    if (now - it->second.asked < options_.repeat_after) {
      ++it;
      continue;
    }
    put_back(std::move(it->second.waiters));
    it = rounds_.erase(it);
  }
  waiters_ -= std::erase_if(waiting_, [now](Waiter& waiter) {
    if (now < waiter.deadline)
      return false;
    waiter.owed->tell(Status(Code::kUnavailable, "no leader confirmed the read in time"));
    return true;
  });
}

void ReadRounds::refuse_all(const Status& status) {
  for (auto& [number, round] : std::exchange(rounds_, {}))
    put_back(std::move(round.waiters));
  waiters_ = 0;
  for (Waiter& waiter : std::exchange(waiting_, {}))
    waiter.owed->tell(status);
}

}  // namespace coffer::actors
