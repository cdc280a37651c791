// HKDF with SHA-256 (RFC 5869): keys for separate purposes out of one secret.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/secret.h"

namespace coffer::crypto {

// Extract and expand. `size` is at most 255 * 32 bytes (a check: sizes are constants of the caller). Any thread.
SecretBytes hkdf_sha256(std::span<const std::uint8_t> secret, std::span<const std::uint8_t> salt, std::string_view info,
                        std::size_t size);

}  // namespace coffer::crypto
