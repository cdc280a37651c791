// Sources of randomness for tests: a reproducible one, and one that fails or goes dead at the n-th draw.
#pragma once

#include <cstdint>
#include <span>

#include "base/rng.h"

namespace coffer::testing {

// SplitMix64: the same seed gives the same bytes.
class SeededRandom : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}

  Status fill(std::span<std::uint8_t> out) override {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0)
        word = next();
      out[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
    }
    return Status();
  }

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// Draws number `failing` (from 0) and later ones fail as told; a short read fills half before it fails.
class FailingRandom final : public SeededRandom {
 public:
  enum class How { kError, kShortRead, kZeros };
  FailingRandom(int failing, How how) : SeededRandom(7), failing_(failing), how_(how) {}

  int draws() const { return draws_; }

  Status fill(std::span<std::uint8_t> out) override {
    if (draws_++ < failing_)
      return SeededRandom::fill(out);
    if (how_ == How::kZeros) {
      for (std::uint8_t& byte : out)
        byte = 0;
      return Status();
    }
    if (how_ == How::kShortRead)
      (void)SeededRandom::fill(out.first(out.size() / 2));
    return Status(Code::kInternal, "the random source failed");
  }

 private:
  int failing_;
  How how_;
  int draws_ = 0;
};

}  // namespace coffer::testing
