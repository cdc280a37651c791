// The simulator's only source of chance.
#pragma once

#include <cstdint>

#include "base/check.h"

namespace coffer::sim {

__extension__ using Wide = unsigned __int128;

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [0, n).
  std::uint64_t below(std::uint64_t n) {
    COFFER_CHECK(n > 0);
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * n) >> 64);
  }
  // In [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  bool chance(unsigned of_10000) { return below(10'000) < of_10000; }

 private:
  std::uint64_t state_;
};

}  // namespace coffer::sim
