// What ceremonies have in common over the API (core/lifecycle, sys_rekey.cc, sys_root.cc): shares come in, keys go out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/pgp.h"
#include "seal/seal_config.h"

namespace coffer::core {

struct CallContext;

// The answer has no envelope where the path begins with `bare`, as Vault's has none, and is told both ways elsewhere.
// kInvalid for a request that wants it wrapped: who has no token makes no record. `what` begins that text.
Status shape_answer(CallContext& ctx, std::string_view bare, std::string_view what);

// One share and the nonce of what it is given for, from the request's fields.
struct GivenShare {
  std::string nonce;
  SecretBytes share;
};
Result<GivenShare> given_share(const CallContext& ctx);

// The stored configuration of the seal, part of what the transaction read; and how many shares it says there are.
Result<std::string> stored_seal(CallContext& ctx);
Result<seal::ShareCounts> stored_counts(CallContext& ctx);

// The public keys of a field, in bytes. kInvalid and kTooLarge name the field and the key's number.
Result<std::vector<std::string>> pgp_keys_field(const CallContext& ctx, std::string_view field);
Result<std::string> pgp_key_of(std::string_view text, std::string_view field);

// Adds two members, in hexadecimal and in base64: the shares or, when they were encrypted to keys, these messages.
void add_shares(json::ObjectBuilder& body, json::Arena& arena, std::string_view hex_member,
                std::string_view base64_member, const std::vector<SecretBytes>& shares,
                const std::vector<crypto::PgpMessage>& encrypted);

}  // namespace coffer::core
