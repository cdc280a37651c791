// Arithmetic of majorities. An empty set of voters has no majority and agrees to nothing.
#pragma once

#include <cstdint>
#include <span>

namespace coffer::raft {

inline constexpr std::size_t majority_of(std::size_t voters) noexcept { return voters / 2 + 1; }

// The largest number that a majority of `values` (one a voter) has reached; 0 for none.
std::uint64_t reached_by_majority(std::span<const std::uint64_t> values);

enum class VoteResult { kPending, kWon, kLost };

// `granted` and `refused` are disjoint counts among `voters`.
VoteResult tally(std::size_t voters, std::size_t granted, std::size_t refused) noexcept;

}  // namespace coffer::raft
