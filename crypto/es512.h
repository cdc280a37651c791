// ECDSA over P-521 with SHA-512, as JOSE calls it ES512: a signature is r and s, 66 bytes each.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace coffer::crypto {

inline constexpr std::size_t kEs512SignatureBytes = 132;

// Immutable after construction; any thread.
class Es512Key {
 public:
  // The same seed gives the same key; it holds at least 32 bytes of secret.
  static Result<std::unique_ptr<const Es512Key>> derive(const SecretBytes& seed);
  ~Es512Key();
  Es512Key(const Es512Key&) = delete;
  Es512Key& operator=(const Es512Key&) = delete;

  Result<std::string> sign(std::string_view message) const;
  // False for a signature of another key, message or form.
  bool verify(std::string_view message, std::string_view signature) const;
  // SubjectPublicKeyInfo, as PEM.
  Result<std::string> public_pem() const;

 private:
  struct Key;
  explicit Es512Key(std::unique_ptr<Key> key);
  std::unique_ptr<Key> key_;
};

}  // namespace coffer::crypto
