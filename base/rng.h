// Randomness is an argument. A failure of the source is an error of the caller's operation, never a zero key or nonce
// (advisory J5).
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace coffer {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // Fills all of `out` or fails; after a failure the content of `out` must not be used. Any thread.
  virtual Status fill(std::span<std::uint8_t> out) = 0;
};

// getrandom(2); lives as long as the process. Any thread.
RandomSource& system_random();

}  // namespace coffer
