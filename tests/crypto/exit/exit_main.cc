// Ends as a server does and asks, after all that OpenSSL had registered for the exit, whether it can still be used: a
// thread that ends at that moment must find what it frees. 0 when all is as it should be.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstdlib>

#include "crypto/library.h"

namespace {

// Not by using it: what is freed cannot be asked.
bool whole() { return OPENSSL_init_crypto(0, nullptr) == 1; }

bool kept = true;

}  // namespace

int main(int argc, char**) {
  kept = argc == 1;  // with an argument it is left to itself, and must be found gone
  // The first to register runs last.
  std::atexit([] {
    if (whole() != kept)
      _exit(1);
  });
  if (kept)
    coffer::crypto::keep_library_until_the_end();
  unsigned char digest[EVP_MAX_MD_SIZE];
  return EVP_Digest("a", 1, digest, nullptr, EVP_sha256(), nullptr) == 1 ? 0 : 2;
}
