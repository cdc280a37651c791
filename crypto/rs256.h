// RSASSA-PKCS1-v1_5 with SHA-256, as JOSE calls it RS256 (RFC 7518, section 3.3).
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace coffer::crypto {

// `pem` is a private key of RSA, of 2048 bits or more; kInvalid if it is none. Any thread.
Result<std::string> sign_rs256(const SecretBytes& pem, std::string_view message);

}  // namespace coffer::crypto
