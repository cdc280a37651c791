// Wrapping tokens as JSON Web Tokens (X-Vault-Wrap-Format: jwt): the same single use, in a form whose origin and end
// anybody can check who has the public key. The key is derived from the keyring: it stands behind the barrier, and is
// the same on every node.
#pragma once

#include <string>
#include <string_view>

#include "core/published.h"
#include "core/request.h"

namespace coffer::core {

// What the key is derived from the keyring for.
inline constexpr std::string_view kWrapKeyPurpose = "wrapping jwt";

// Whether `text` has the form of one; says nothing of its truth.
bool looks_like_jwt(std::string_view text) noexcept;

// The token of `wrap` inside a signed text.
Result<std::string> sign_wrapping(const Published& published, const WrapInfo& wrap);

// The token inside `text`, in `arena`. kInvalid when it is not signed by this cluster, not of this kind, or over.
Result<std::string_view> wrapping_token_in(const Published& published, json::Arena& arena, std::string_view text,
                                           WallTime now);

}  // namespace coffer::core
