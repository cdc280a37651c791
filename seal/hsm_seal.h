// The seal whose key is in an HSM: `seal "pkcs11"`. A restart unseals by itself as long as the HSM can be reached.
#pragma once

#include <memory>

#include "hsm/client.h"
#include "seal/seal.h"

namespace coffer::seal {

inline constexpr std::string_view kPkcs11Kind = "pkcs11";

// A remote seal (seal/remote_seal.h; docs/formats/remote_seal.md). Any thread; calls wait for each other.
std::unique_ptr<KeyWrapper> make_hsm_seal(std::shared_ptr<hsm::Client> client);

}  // namespace coffer::seal
