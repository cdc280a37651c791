// AES-256-GCM with a 12-byte nonce and a 16-byte tag. The caller is responsible for never using a nonce twice with one
// key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"

struct evp_cipher_ctx_st;

namespace coffer::crypto {

inline constexpr std::size_t kAesKeyBytes = 32;
inline constexpr std::size_t kGcmNonceBytes = 12;
inline constexpr std::size_t kGcmTagBytes = 16;

using AesKeyView = std::span<const std::uint8_t, kAesKeyBytes>;
using GcmNonceView = std::span<const std::uint8_t, kGcmNonceBytes>;

// A prepared key schedule. After set_key() neither seal() nor open() allocates. One thread at a time (the cipher
// context holds the message's state). The schedule is wiped when the object goes or is keyed anew.
class AesGcm {
 public:
  AesGcm() noexcept;
  ~AesGcm();
  AesGcm(AesGcm&&) noexcept;
  AesGcm& operator=(AesGcm&&) noexcept;

  bool has_key() const noexcept { return context_ != nullptr; }
  void set_key(AesKeyView key);
  void clear() noexcept;

  // What is authenticated but not encrypted, in up to two pieces that count as one string.
  struct Aad {
    std::span<const std::uint8_t> first;
    std::span<const std::uint8_t> second = {};
  };

  // Writes ciphertext ‖ tag: exactly plaintext.size() + 16 bytes at `out`, which may be the plaintext's own place.
  void seal(GcmNonceView nonce, const Aad& aad, std::span<const std::uint8_t> plaintext, std::uint8_t* out);

  // `sealed` is ciphertext ‖ tag; writes sealed.size() - 16 bytes at `out`. False when it does not verify; then `out`
  // holds zeros.
  [[nodiscard]] bool open(GcmNonceView nonce, const Aad& aad, std::span<const std::uint8_t> sealed, std::uint8_t* out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

}  // namespace coffer::crypto
