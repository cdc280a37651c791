// A small secret encrypted under one of several keys that may be tried (docs/formats/static_seal.md). AES-GCM alone
// does not bind a ciphertext to one key; the commitment in the envelope does, so trying keys tells an attacker nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::seal {

inline constexpr std::size_t kEnvelopeKeyIdBytesMax = 255;
inline constexpr std::size_t kEnvelopeBytesMax = 4096;

struct EnvelopeKey {
  std::string id;   // public; helps to find the key and to say which one is missing
  SecretBytes key;  // 32 bytes
};

// `context` says what the secret is and must be the same when opening. Fails only when the random source does. Any
// thread.
Result<std::string> seal_envelope(const EnvelopeKey& key, const SecretBytes& secret, std::string_view context,
                                  RandomSource& random);

// Tries the key with the envelope's id first, then the others. kDenied: none of the keys made it. kDataLoss: damaged,
// or made for another context. Any thread.
Result<SecretBytes> open_envelope(std::span<const EnvelopeKey> keys, std::string_view envelope,
                                  std::string_view context);

// The id written in an envelope, or empty when it is damaged.
std::string_view envelope_key_id(std::string_view envelope) noexcept;

}  // namespace coffer::seal
