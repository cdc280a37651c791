#include "crypto/derived_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include <array>

#include "crypto/hkdf.h"
#include "crypto/owned.h"

namespace coffer::crypto {
namespace {

constexpr int kCoordinateBytes = 66;
constexpr std::size_t kPointBytes = 1 + 2 * kCoordinateBytes;
// More than the order has, so that what is left over by the division favours no value.
constexpr std::size_t kScalarSeedBytes = 96;

using Number = Owned<BIGNUM, BN_clear_free>;
using Group = Owned<EC_GROUP, EC_GROUP_free>;
using Point = Owned<EC_POINT, EC_POINT_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

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

KeyPtr pair_of(const BIGNUM* scalar, const std::array<unsigned char, kPointBytes>& point) {
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
  return KeyPtr(made);
}

}  // namespace

KeyPtr derive_p521_key(const SecretBytes& seed) {
  const Owned<BN_CTX, BN_CTX_free> context(BN_CTX_secure_new());
  const Group group(EC_GROUP_new_by_curve_name(NID_secp521r1));
  if (!context || !group)
    return nullptr;
  const Number scalar = scalar_of(seed, EC_GROUP_get0_order(group.get()), context.get());
  const Point point(EC_POINT_new(group.get()));
  std::array<unsigned char, kPointBytes> bytes{};
  if (!scalar || !point ||
      EC_POINT_mul(group.get(), point.get(), scalar.get(), nullptr, nullptr, context.get()) != 1 ||
      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, bytes.data(), bytes.size(),
                         context.get()) != bytes.size())
    return nullptr;
  return pair_of(scalar.get(), bytes);
}

}  // namespace coffer::crypto
