#include "crypto/rs256.h"

#include <openssl/evp.h>

#include "crypto/certificate.h"
#include "crypto/owned.h"

namespace coffer::crypto {
namespace {

constexpr int kKeyBitsMin = 2048;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;

}  // namespace

Result<std::string> sign_rs256(const SecretBytes& pem, std::string_view message) {
  const KeyPtr key = key_of(pem);
  if (key == nullptr || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key.get()) < kKeyBitsMin)
    return Status(Code::kInvalid, "is no private key of RSA of 2048 bits or more");
  const DigestContext context(EVP_MD_CTX_new());
  const auto* data = reinterpret_cast<const unsigned char*>(message.data());
  std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())), '\0');
  std::size_t size = out.size();
  if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, data, message.size()) != 1)
    return Status(Code::kInternal, "OpenSSL refused to sign");
  out.resize(size);
  return out;
}

}  // namespace coffer::crypto
