// What ceremonies have in common over the API (core/lifecycle, sys_rekey.cc, sys_root.cc): shares come in, keys go out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "base/status.h"
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

json::Value encoded_list(json::Arena& arena, const std::vector<SecretBytes>& shares,
                         std::string (*encode)(std::string_view));

}  // namespace coffer::core
