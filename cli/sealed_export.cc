#include "cli/sealed_export.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "crypto/aes_gcm.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kTitle = "coffer-sealed-export-1\n";
constexpr std::size_t kSaltBytes = 16;
// Cost (3 bytes) ‖ salt ‖ nonce: authenticated with the ciphertext that follows.
constexpr std::size_t kHeadBytes = 3 + kSaltBytes + crypto::kGcmNonceBytes;
constexpr std::size_t kLineLetters = 76;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Result<crypto::AesGcm> cipher_for(const SecretBytes& passphrase, std::string_view head) {
  const auto byte = [head](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(head[at])); };
  const crypto::ScryptCost cost{byte(0), byte(1), byte(2)};
  const std::string_view salt = head.substr(3, kSaltBytes);
  COFFER_ASSIGN(const SecretBytes key,
                crypto::scrypt(bytes_of(passphrase.reveal_text()), bytes_of(salt), cost, crypto::kAesKeyBytes));
  crypto::AesGcm cipher;
  cipher.set_key(crypto::AesKeyView(key.reveal().data(), crypto::kAesKeyBytes));
  return cipher;
}

crypto::GcmNonceView nonce_of(std::string_view head) {
  return crypto::GcmNonceView(bytes_of(head.substr(3 + kSaltBytes, crypto::kGcmNonceBytes)).data(),
                              crypto::kGcmNonceBytes);
}

}  // namespace

bool is_sealed_export(std::string_view text) { return text.starts_with(kTitle); }

Result<std::string> seal_export(std::string_view plaintext, const SecretBytes& passphrase, RandomSource& random,
                                const crypto::ScryptCost& cost) {
  std::string sealed{static_cast<char>(cost.cost_bits), static_cast<char>(cost.block),
                     static_cast<char>(cost.parallel)};
  sealed.resize(kHeadBytes + plaintext.size() + crypto::kGcmTagBytes);
  COFFER_TRY(random.fill({reinterpret_cast<std::uint8_t*>(sealed.data()) + 3, kHeadBytes - 3}));
  const std::string head = sealed.substr(0, kHeadBytes);
  COFFER_ASSIGN(crypto::AesGcm cipher, cipher_for(passphrase, head));
  cipher.seal(nonce_of(head), {bytes_of(kTitle), bytes_of(head)}, bytes_of(plaintext),
              reinterpret_cast<std::uint8_t*>(sealed.data()) + kHeadBytes);
  const std::string letters = base64_encode(sealed);
  std::string out(kTitle);
  for (std::size_t at = 0; at < letters.size(); at += kLineLetters)
    out.append(letters, at, kLineLetters).append("\n");
  return out;
}

Result<SecretBytes> open_export(std::string_view text, const SecretBytes& passphrase) {
  if (!is_sealed_export(text))
    return Status(Code::kInvalid, "it is no sealed export");
  std::string letters(text.substr(kTitle.size()));
  std::erase_if(letters, [](char c) { return c == '\n' || c == '\r'; });
  const Result<std::string> sealed = base64_decode(letters);
  if (!sealed.ok() || sealed->size() < kHeadBytes + crypto::kGcmTagBytes)
    return Status(Code::kInvalid, "the sealed export is damaged");
  const std::string_view head = std::string_view(*sealed).substr(0, kHeadBytes);
  const std::string_view body = std::string_view(*sealed).substr(kHeadBytes);
  COFFER_ASSIGN(crypto::AesGcm cipher, cipher_for(passphrase, head));
  SecretBytes out(body.size() - crypto::kGcmTagBytes);
  if (!cipher.open(nonce_of(head), {bytes_of(kTitle), bytes_of(head)}, bytes_of(body), out.reveal_mutable().data()))
    return Status(Code::kDenied, "the passphrase is wrong, or the export was changed");
  return out;
}

}  // namespace coffer::cli
