// HMAC-SHA-256 with the key's two hash states prepared once, so that a short message costs two compressions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/secret.h"
#include "crypto/sha256.h"

namespace coffer::crypto {

// Immutable after construction: any number of threads may call the const members at once.
class HmacKey {
 public:
  explicit HmacKey(std::span<const std::uint8_t> key);
  explicit HmacKey(const SecretBytes& key) : HmacKey(key.reveal()) {}
  HmacKey(HmacKey&&) noexcept = default;
  HmacKey& operator=(HmacKey&&) noexcept = default;

  Digest256 mac(std::span<const std::uint8_t> message) const noexcept;
  Digest256 mac(std::string_view message) const noexcept;
  // Over the pieces one after the other; the caller sees to it that the border between them is unambiguous.
  Digest256 mac(std::initializer_list<std::span<const std::uint8_t>> pieces) const noexcept;

  // Constant time; a truncated tag (16 bytes or more) is compared with the tag's first bytes, a shorter one never
  // matches.
  bool verify(std::span<const std::uint8_t> message, std::span<const std::uint8_t> tag) const noexcept;

 private:
  SecretBytes states_;  // the inner, then the outer hash state after the padded key: as secret as the key
};

// A key that is used once.
Digest256 hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> message);

}  // namespace coffer::crypto
