// The seal that opens by itself, from its stanza and the environment.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/web_call.h"
#include "seal/seal.h"
#include "server/config.h"

namespace coffer::server {

// kInvalid names the setting that is wrong. Nothing is asked of the seal yet. What the environment names goes before
// the stanza; VAULT_STATIC_SEAL_*, and for a transit seal what a client of this server reads too (VAULT_ADDR,
// VAULT_TOKEN and the like), after it, as they do for Vault.
Result<std::unique_ptr<seal::KeyWrapper>> make_automatic_seal(SealStanza stanza, const Environment& variable,
                                                               const core::WebCall& call_web);

}  // namespace coffer::server
