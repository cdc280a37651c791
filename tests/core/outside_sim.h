// Crash schedules around a system outside (reliability row T21), from one number: requests that make and revoke users,
// calls that fail, come late or are lost, nodes that die at any point and leaders that follow them. Whatever happens, a
// user that was made and not dropped has a lease; and when everything heals, none is left.
#pragma once

#include <cstdint>
#include <string>

namespace coffer::core::testing {

struct OutsideReport {
  std::string failure;  // empty: the invariants held
  std::uint64_t crashes = 0;
  std::uint64_t created = 0;
  std::uint64_t answered = 0;
  std::uint64_t late = 0;
};

OutsideReport run_outside_schedule(std::uint64_t seed);

}  // namespace coffer::core::testing
