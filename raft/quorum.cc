#include "raft/quorum.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/mutant.h"
#include "raft/entry.h"

namespace coffer::raft {

std::uint64_t reached_by_majority(std::span<const std::uint64_t> values) {
  if (values.empty())
    return 0;
  COFFER_CHECK(values.size() <= kVotersMax);
  std::array<std::uint64_t, kVotersMax> sorted;
  const auto end = std::copy(values.begin(), values.end(), sorted.begin());
  std::sort(sorted.begin(), end, std::greater<>());
  if (mutant(Mutant::kAckBeforeQuorum))
    return sorted.front();
  return sorted[majority_of(values.size()) - 1];
}

VoteResult tally(std::size_t voters, std::size_t granted, std::size_t refused) noexcept {
  COFFER_CHECK(granted + refused <= voters);
  if (voters > 0 && granted >= majority_of(voters))
    return VoteResult::kWon;
  if (voters - refused < majority_of(voters))
    return VoteResult::kLost;
  return VoteResult::kPending;
}

}  // namespace coffer::raft
