#include "crypto/es512.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "crypto/derived_key.h"
#include "crypto/owned.h"

namespace coffer::crypto {
namespace {

constexpr int kCoordinateBytes = 66;

using Number = Owned<BIGNUM, BN_clear_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Signature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

Status failed() { return Status(Code::kInternal, "OpenSSL refused a P-521 key"); }

}  // namespace

struct Es512Key::Key {
  KeyPtr pair;
};

Es512Key::Es512Key(std::unique_ptr<Key> key) : key_(std::move(key)) {}
Es512Key::~Es512Key() = default;

Result<std::unique_ptr<const Es512Key>> Es512Key::derive(const SecretBytes& seed) {
  auto key = std::make_unique<Key>();
  key->pair = derive_p521_key(seed);
  if (!key->pair)
    return failed();
  return std::unique_ptr<const Es512Key>(new Es512Key(std::move(key)));
}

Result<std::string> Es512Key::sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new());
  std::array<unsigned char, 160> der{};
  std::size_t size = der.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha512(), nullptr, key_->pair.get()) != 1 ||
      EVP_DigestSign(context.get(), der.data(), &size, reinterpret_cast<const unsigned char*>(message.data()),
                     message.size()) != 1)
    return failed();
  const unsigned char* at = der.data();
  const Signature parts(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  std::array<unsigned char, kEs512SignatureBytes> raw{};
  if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), raw.data(), kCoordinateBytes) != kCoordinateBytes ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), raw.data() + kCoordinateBytes, kCoordinateBytes) != kCoordinateBytes)
    return failed();
  return std::string(reinterpret_cast<const char*>(raw.data()), raw.size());
}

bool Es512Key::verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != kEs512SignatureBytes)
    return false;
  const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
  const Signature parts(ECDSA_SIG_new());
  Number r(BN_bin2bn(raw, kCoordinateBytes, nullptr));
  Number s(BN_bin2bn(raw + kCoordinateBytes, kCoordinateBytes, nullptr));
  if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1)
    return false;
  (void)r.release();  // the signature's from here on
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size <= 0)
    return false;
  const DigestContext context(EVP_MD_CTX_new());
  const bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha512(), nullptr,
                                                    key_->pair.get()) == 1 &&
                    EVP_DigestVerify(context.get(), der, static_cast<std::size_t>(size),
                                     reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  OPENSSL_free(der);
  return good;
}

Result<std::string> Es512Key::public_pem() const {
  const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PUBKEY(out.get(), key_->pair.get()) != 1)
    return failed();
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace coffer::crypto
