#include "crypto/xaes.h"

#include <openssl/evp.h>

#include <cstring>
#include <memory>

#include "base/check.h"
#include "crypto/fetched.h"

namespace coffer::crypto {
namespace {

constexpr std::size_t kBlockBytes = 16;
using Block = std::array<std::uint8_t, kBlockBytes>;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

void encrypt_blocks(EVP_CIPHER_CTX* context, const std::uint8_t* in, std::uint8_t* out, int size) {
  int done = 0;
  COFFER_CHECK(EVP_EncryptUpdate(context, out, &done, in, size) == 1 && done == size);
}

// CMAC's first subkey: the encrypted zero block, doubled in GF(2^128), without a branch on its top bit.
Block first_subkey(EVP_CIPHER_CTX* context) {
  const Block zero{};
  Block subkey;
  encrypt_blocks(context, zero.data(), subkey.data(), kBlockBytes);
  std::uint8_t carry = 0;
  for (std::size_t i = kBlockBytes; i-- > 0;) {
    const std::uint8_t next = subkey[i] >> 7;
    subkey[i] = static_cast<std::uint8_t>(subkey[i] << 1 | carry);
    carry = next;
  }
  subkey[kBlockBytes - 1] ^= static_cast<std::uint8_t>(-carry & 0x87);
  return subkey;
}

}  // namespace

SecretBytes xaes_derive(AesKeyView key, XaesPrefixView prefix) {
  const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
  COFFER_CHECK(context != nullptr);
  COFFER_CHECK(EVP_EncryptInit_ex2(context.get(), fetched_aes_256_ecb(), key.data(), nullptr, nullptr) == 1);

  // Each half of the key is the CMAC of one whole block: counter, label 'X', separator, prefix.
  Block subkey = first_subkey(context.get());
  std::array<std::uint8_t, 2 * kBlockBytes> blocks{};
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint8_t* block = blocks.data() + half * kBlockBytes;
    block[1] = static_cast<std::uint8_t>(half + 1);
    block[2] = 'X';
    std::memcpy(block + 4, prefix.data(), prefix.size());
    for (std::size_t i = 0; i < kBlockBytes; ++i)
      block[i] ^= subkey[i];
  }
  SecretBytes derived(kAesKeyBytes);
  encrypt_blocks(context.get(), blocks.data(), derived.reveal_mutable().data(), static_cast<int>(blocks.size()));
  wipe(subkey.data(), subkey.size());
  wipe(blocks.data(), blocks.size());
  return derived;
}

void xaes_seal(AesKeyView key, XaesNonceView nonce, const AesGcm::Aad& aad, std::span<const std::uint8_t> plaintext,
               std::uint8_t* out) {
  const SecretBytes derived = xaes_derive(key, nonce.first<kXaesPrefixBytes>());
  AesGcm gcm;
  gcm.set_key(derived.reveal().first<kAesKeyBytes>());
  gcm.seal(nonce.last<kGcmNonceBytes>(), aad, plaintext, out);
}

bool xaes_open(AesKeyView key, XaesNonceView nonce, const AesGcm::Aad& aad, std::span<const std::uint8_t> sealed,
               std::uint8_t* out) {
  const SecretBytes derived = xaes_derive(key, nonce.first<kXaesPrefixBytes>());
  AesGcm gcm;
  gcm.set_key(derived.reveal().first<kAesKeyBytes>());
  return gcm.open(nonce.last<kGcmNonceBytes>(), aad, sealed, out);
}

}  // namespace coffer::crypto
