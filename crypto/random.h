// Keys and nonces drawn from a RandomSource, with the two checks that advisory J5 asks for: a failed draw fails the
// caller's operation, and an all-zero result is never used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/rng.h"
#include "base/secret.h"

namespace coffer::crypto {

// Fills all of `out`, or fails and leaves zeros in it. A result of only zeros is drawn once more and then refused (for
// 6 bytes and more an honest source gives that practically never). Any thread that may use `random`.
Status draw(RandomSource& random, std::span<std::uint8_t> out);

// `size` secret bytes, drawn as above.
Result<SecretBytes> draw_secret(RandomSource& random, std::size_t size);

}  // namespace coffer::crypto
