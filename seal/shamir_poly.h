// Internal to seal/ and its constant-time test: the step of splitting that touches the secret.
#pragma once

#include <cstdint>
#include <span>

namespace coffer::seal {

// y = c[k-1] x^k + … + c[0] x + secret, for each byte of the secret; `coefficients` holds one row of secret.size()
// bytes a power, the first row for x. `y` is as long as `secret`, which is not empty.
void shamir_evaluate(std::uint8_t x, std::span<const std::uint8_t> secret, std::span<const std::uint8_t> coefficients,
                     std::span<std::uint8_t> y);

}  // namespace coffer::seal
