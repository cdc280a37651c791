// XAES-256-GCM (C2SP): AES-256-GCM with a 24-byte nonce. The first 12 bytes select a derived key, the last 12 are that
// key's nonce, so nonces may be drawn at random without counting, or a derived key may be kept for many messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/secret.h"
#include "crypto/aes_gcm.h"

namespace coffer::crypto {

inline constexpr std::size_t kXaesNonceBytes = 24;
inline constexpr std::size_t kXaesPrefixBytes = 12;

using XaesNonceView = std::span<const std::uint8_t, kXaesNonceBytes>;
using XaesPrefixView = std::span<const std::uint8_t, kXaesPrefixBytes>;

// The AES-256-GCM key for all nonces that begin with `prefix`. Any thread.
SecretBytes xaes_derive(AesKeyView key, XaesPrefixView prefix);

// One message each; for what is sealed rarely (keyrings, envelopes). As AesGcm::seal and AesGcm::open. Any thread.
void xaes_seal(AesKeyView key, XaesNonceView nonce, const AesGcm::Aad& aad, std::span<const std::uint8_t> plaintext,
               std::uint8_t* out);
[[nodiscard]] bool xaes_open(AesKeyView key, XaesNonceView nonce, const AesGcm::Aad& aad,
                             std::span<const std::uint8_t> sealed, std::uint8_t* out);

}  // namespace coffer::crypto
