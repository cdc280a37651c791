// The seal that opens by itself, from its stanza and the environment.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "seal/seal.h"
#include "server/config.h"

namespace coffer::server {

// kInvalid names the setting that is wrong. Nothing is asked of an HSM yet. VAULT_HSM_* and VAULT_STATIC_SEAL_* go
// before the stanza's and after it, as they do for Vault.
Result<std::unique_ptr<seal::KeyWrapper>> make_automatic_seal(SealStanza stanza, const Environment& variable);

}  // namespace coffer::server
