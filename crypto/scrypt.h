// scrypt (RFC 7914): a key out of a passphrase, at a cost in memory and time that guessing pays too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/secret.h"
#include "base/status.h"

namespace coffer::crypto {

// Memory is 128 * block * 2^cost_bits bytes.
struct ScryptCost {
  unsigned cost_bits = 16;
  unsigned block = 8;
  unsigned parallel = 1;
  bool operator==(const ScryptCost&) const = default;
};
inline constexpr ScryptCost kScryptCostMax{20, 16, 4};

// kInvalid beyond kScryptCostMax or for a cost of 0, kUnavailable without the memory. Any thread.
Result<SecretBytes> scrypt(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t> salt,
                           const ScryptCost& cost, std::size_t size);

}  // namespace coffer::crypto
