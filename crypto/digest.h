// Hashes by their names, for callers who choose one: SHA-2 and SHA-3 (FIPS 180-4, FIPS 202), as OpenSSL computes them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::crypto {

// `algorithm`: sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512. The raw digest;
// kInvalid for any other name.
Result<std::string> digest_by_name(std::string_view algorithm, std::string_view data);

}  // namespace coffer::crypto
