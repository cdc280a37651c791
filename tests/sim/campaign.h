// Many seeds and what they add up to. Its state is a text file of a name and a number a line, so that a long run can be
// interrupted.
#pragma once

#include <map>
#include <string>

#include "tests/sim/world.h"

namespace coffer::sim {

class Campaign {
 public:
  SimReport run(std::uint64_t seed);

  bool load(const std::string& path);
  void save(const std::string& path) const;

  std::uint64_t seeds() const { return get("seeds"); }
  std::uint64_t failures() const { return get("failures"); }
  std::uint64_t last_seed() const { return get("last_seed"); }
  std::uint64_t speculative_runs() const { return get("speculative runs"); }
  // Seeds in which a fault of this kind was seen.
  std::uint64_t seeds_with(Fault fault) const { return get(std::string("seeds with ") + fault_name(fault)); }
  // How much faster than real time, by this process's processor time.
  double speed() const;
  std::string text() const;

 private:
  std::uint64_t get(const std::string& name) const;

  std::map<std::string, std::uint64_t> sums_;
};

}  // namespace coffer::sim
