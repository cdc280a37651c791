// Internal to crypto/: librnp, which is loaded by whoever needs it, so that no other start pays for it.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/pgp.h"

namespace coffer::crypto {

// `text` encrypted to `key`; with a null `text` only looks whether that could be done, and the message is empty.
// kInvalid: the key is none, or cannot be used. kUnavailable: there is no library. One thread at a time.
Result<PgpMessage> pgp_encrypt(std::string_view key, const std::string_view* text);

}  // namespace coffer::crypto
