#include "crypto/library.h"

#include <openssl/crypto.h>

#include "base/check.h"

namespace coffer::crypto {

void keep_library_until_the_end() {
  COFFER_CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr) == 1);
}

void leave_thread() { OPENSSL_thread_stop(); }

}  // namespace coffer::crypto
