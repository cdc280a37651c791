#include "crypto/fetched.h"

#include "base/check.h"

namespace coffer::crypto {
namespace {

EVP_CIPHER* fetch(const char* name) {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  COFFER_CHECK(cipher != nullptr);
  return cipher;
}

}  // namespace

const EVP_CIPHER* fetched_aes_256_gcm() {
  static const EVP_CIPHER* const cipher = fetch("AES-256-GCM");
  return cipher;
}

const EVP_CIPHER* fetched_aes_256_ecb() {
  static const EVP_CIPHER* const cipher = fetch("AES-256-ECB");
  return cipher;
}

}  // namespace coffer::crypto
