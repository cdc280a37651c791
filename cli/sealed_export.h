// An export under a passphrase (docs/formats/export.md): AES-256-GCM, the key by scrypt. The text says that it is one
// and how its key is derived, so nothing but the passphrase is needed to read it.
#pragma once

#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/scrypt.h"

namespace coffer::cli {

bool is_sealed_export(std::string_view text);

// Fails when the random source does, or without memory for the key's derivation.
Result<std::string> seal_export(std::string_view plaintext, const SecretBytes& passphrase, RandomSource& random,
                                const crypto::ScryptCost& cost = {});

// kInvalid for a text of another form; kDenied when the passphrase is wrong or the text was changed.
Result<SecretBytes> open_export(std::string_view text, const SecretBytes& passphrase);

}  // namespace coffer::cli
