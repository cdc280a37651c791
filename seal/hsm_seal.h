// The seal whose key is in an HSM: `seal "pkcs11"`. A restart unseals by itself as long as the HSM can be reached.
#pragma once

#include <memory>

#include "hsm/client.h"
#include "seal/seal.h"

namespace coffer::seal {

inline constexpr std::string_view kPkcs11Kind = "pkcs11";

// What it wraps is sealed under a key of its own, which the HSM encrypts (docs/formats/hsm_seal.md): so whatever the
// mechanism, the result commits to one key and may be longer than the HSM takes. Any thread; calls wait for each other.
std::unique_ptr<KeyWrapper> make_hsm_seal(std::shared_ptr<hsm::Client> client);

}  // namespace coffer::seal
