// A key pair on P-521 out of a seed. Internal: es512.h and authority.h are for the others.
#pragma once

#include "base/secret.h"
#include "crypto/certificate.h"

namespace coffer::crypto {

// The same seed, of at least 32 bytes of secret, gives the same key. Null when the library failed. Any thread.
KeyPtr derive_p521_key(const SecretBytes& seed);

}  // namespace coffer::crypto
