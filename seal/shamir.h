// Shamir's secret sharing over GF(2^8) with the polynomial 0x11b, byte-compatible with the shares of HashiCorp Vault: a
// share is one byte for each byte of the secret, then its x coordinate. Running time and memory access depend on sizes
// and counts only (advisory J1).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::seal {

inline constexpr unsigned kSharesMax = 255;
inline constexpr std::size_t kShareOverheadBytes = 1;

// `shares` parts of which any `threshold` restore `secret` and fewer tell nothing. 2 <= threshold <= shares <= 255, and
// the secret is not empty; kInvalid otherwise. Fails when the random source does. x coordinates are distinct, not 0, in
// random order. Any thread.
Result<std::vector<SecretBytes>> shamir_split(const SecretBytes& secret, unsigned shares, unsigned threshold,
                                              RandomSource& random);

// The secret, or, when the parts do not belong together, other bytes: whoever calls verifies the result by opening
// something with it. kInvalid for fewer than 2 parts, unequal or too small sizes, an x coordinate of 0 or one that
// occurs twice. Any thread.
Result<SecretBytes> shamir_combine(std::span<const SecretBytes> shares);

}  // namespace coffer::seal
