#include "crypto/es512.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <array>

#include "crypto/hkdf.h"

namespace coffer::crypto {
namespace {

constexpr int kCoordinateBytes = 66;
constexpr std::size_t kPointBytes = 1 + 2 * kCoordinateBytes;
// More than the order has, so that what is left over by the division favours no value.
constexpr std::size_t kScalarSeedBytes = 96;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Freer<Free>>;

using Number = Owned<BIGNUM, BN_clear_free>;
using Group = Owned<EC_GROUP, EC_GROUP_free>;
using Point = Owned<EC_POINT, EC_POINT_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Signature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

Status failed() { return Status(Code::kInternal, "OpenSSL refused a P-521 key"); }

// From 1 to the order less one.
Number scalar_of(const SecretBytes& seed, const BIGNUM* order, BN_CTX* context) {
  const SecretBytes wide = hkdf_sha256(seed.reveal(), {}, "coffer P-521 scalar", kScalarSeedBytes);
  Number number(BN_bin2bn(wide.reveal().data(), static_cast<int>(wide.reveal().size()), nullptr));
  Number most(BN_dup(order));
  if (!number || !most || BN_sub_word(most.get(), 1) != 1 ||
      BN_nnmod(number.get(), number.get(), most.get(), context) != 1 || BN_add_word(number.get(), 1) != 1)
    return nullptr;
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

PublicKey key_of(const BIGNUM* scalar, const std::array<unsigned char, kPointBytes>& point) {
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, SN_secp521r1, 0) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return nullptr;
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.get()) != 1)
    return nullptr;
  return PublicKey(made);
}

}  // namespace

struct Es512Key::Key {
  PublicKey pair;
};

Es512Key::Es512Key(std::unique_ptr<Key> key) : key_(std::move(key)) {}
Es512Key::~Es512Key() = default;

Result<std::unique_ptr<const Es512Key>> Es512Key::derive(const SecretBytes& seed) {
  const Owned<BN_CTX, BN_CTX_free> context(BN_CTX_secure_new());
  const Group group(EC_GROUP_new_by_curve_name(NID_secp521r1));
  if (!context || !group)
    return failed();
  const Number scalar = scalar_of(seed, EC_GROUP_get0_order(group.get()), context.get());
  const Point point(EC_POINT_new(group.get()));
  std::array<unsigned char, kPointBytes> bytes{};
  if (!scalar || !point ||
      EC_POINT_mul(group.get(), point.get(), scalar.get(), nullptr, nullptr, context.get()) != 1 ||
      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, bytes.data(), bytes.size(),
                         context.get()) != bytes.size())
    return failed();
  auto key = std::make_unique<Key>();
  key->pair = key_of(scalar.get(), bytes);
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
