// Internal to crypto/: algorithms are fetched once a process, because a fetch by name takes locks and string compares.
#pragma once

#include <openssl/evp.h>

namespace coffer::crypto {

// Live until the process ends. Any thread. Stop the process when the provider lacks them: nothing works without.
const EVP_CIPHER* fetched_aes_256_gcm();
const EVP_CIPHER* fetched_aes_256_ecb();

}  // namespace coffer::crypto
