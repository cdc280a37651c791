// What clients saw, and whether one object could have behaved so. Objects are independent, so each is checked alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coffer::sim {

// Register: kWrite (argument), kRead (result), kCas (expected, argument; result: the value that it found, so it swapped
// when that is `expected`). Counter (a folder that grows): kAdd (result: how many it listed before), kCount (result).
// Both: kRestore (argument: what the object is from then on).
struct Operation {
  enum class Kind : std::uint8_t { kRead, kWrite, kCas, kAdd, kCount, kRestore };
  Kind kind = Kind::kRead;
  std::int64_t argument = 0;
  std::int64_t expected = 0;
  std::int64_t result = 0;
  std::uint64_t invoked = 0;         // order of events in the whole history, not time
  std::uint64_t returned = kNever;   // kNever: it may or may not have happened
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
};

// True when some order explains all results and respects that what returned before another began comes first.
// `explored` counts the states that were looked at, if given; the search gives up (and says false) beyond `states_max`.
bool linearizable(std::vector<Operation> history, std::uint64_t states_max = 20'000'000,
                  std::uint64_t* explored = nullptr);

std::string describe(const std::vector<Operation>& history);

}  // namespace coffer::sim
