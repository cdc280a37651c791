#include "crypto/aes_gcm.h"

#include <openssl/evp.h>

#include <limits>

#include "base/check.h"
#include "base/secret.h"
#include "crypto/fetched.h"

namespace coffer::crypto {
namespace {

int as_int(std::size_t size) {
  COFFER_CHECK(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(size);
}

void add_aad(EVP_CIPHER_CTX* context, const AesGcm::Aad& aad) {
  int done = 0;
  for (const auto& piece : {aad.first, aad.second}) {
    if (!piece.empty())
      COFFER_CHECK(EVP_CipherUpdate(context, nullptr, &done, piece.data(), as_int(piece.size())) == 1);
  }
}

void transform(EVP_CIPHER_CTX* context, std::span<const std::uint8_t> in, std::uint8_t* out) {
  int done = 0;
  if (in.empty())
    return;
  COFFER_CHECK(EVP_CipherUpdate(context, out, &done, in.data(), as_int(in.size())) == 1);
  COFFER_CHECK(done == as_int(in.size()));
}

}  // namespace

void AesGcm::Free::operator()(evp_cipher_ctx_st* context) const noexcept { EVP_CIPHER_CTX_free(context); }

AesGcm::AesGcm() noexcept = default;
AesGcm::~AesGcm() = default;
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;

void AesGcm::set_key(AesKeyView key) {
  if (context_ == nullptr)
    context_.reset(EVP_CIPHER_CTX_new());
  COFFER_CHECK(context_ != nullptr);
  COFFER_CHECK(EVP_CipherInit_ex2(context_.get(), fetched_aes_256_gcm(), key.data(), nullptr, 1, nullptr) == 1);
}

void AesGcm::clear() noexcept { context_.reset(); }

void AesGcm::seal(GcmNonceView nonce, const Aad& aad, std::span<const std::uint8_t> plaintext, std::uint8_t* out) {
  EVP_CIPHER_CTX* context = context_.get();
  COFFER_CHECK(context != nullptr);
  COFFER_CHECK(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), 1, nullptr) == 1);
  add_aad(context, aad);
  transform(context, plaintext, out);
  int done = 0;
  std::uint8_t* tag = out + plaintext.size();
  COFFER_CHECK(EVP_CipherFinal_ex(context, tag, &done) == 1);
  COFFER_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kGcmTagBytes, tag) == 1);
}

bool AesGcm::open(GcmNonceView nonce, const Aad& aad, std::span<const std::uint8_t> sealed, std::uint8_t* out) {
  EVP_CIPHER_CTX* context = context_.get();
  COFFER_CHECK(context != nullptr);
  if (sealed.size() < kGcmTagBytes)
    return false;
  const auto ciphertext = sealed.first(sealed.size() - kGcmTagBytes);
  // Taken before decrypting: `out` may be the ciphertext's place. The control call takes the tag as mutable but only
  // reads it.
  auto* tag = const_cast<std::uint8_t*>(sealed.data() + ciphertext.size());
  COFFER_CHECK(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), 0, nullptr) == 1);
  COFFER_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kGcmTagBytes, tag) == 1);
  add_aad(context, aad);
  transform(context, ciphertext, out);
  int done = 0;
  std::uint8_t unused[kGcmTagBytes];
  if (EVP_CipherFinal_ex(context, unused, &done) == 1)
    return true;
  if (!ciphertext.empty())
    wipe(out, ciphertext.size());
  return false;
}

}  // namespace coffer::crypto
