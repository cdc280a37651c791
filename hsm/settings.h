// What an operator says of an HSM: the module of PKCS#11 (OASIS, v2.40) that reaches it, the slot, the PIN and the
// keys.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace coffer::hsm {

// Mechanisms by their numbers in PKCS#11.
inline constexpr std::uint64_t kRsaOaep = 0x0009;
inline constexpr std::uint64_t kAesCbcPad = 0x1085;
inline constexpr std::uint64_t kAesGcm = 0x1087;
inline constexpr std::uint64_t kSha256Hmac = 0x0251;

// A number as people write those of PKCS#11: in decimal, or in hexadecimal behind "0x". Nothing for anything else.
inline std::optional<std::uint64_t> number_of(std::string_view text) {
  const bool hex = text.starts_with("0x");
  const char* const end = text.data() + text.size();
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data() + (hex ? 2 : 0), end, number, hex ? 16 : 10);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

// A key in the HSM: by label, by id (CKA_ID, bytes), or by both.
struct KeyName {
  std::string label;
  std::string id;
  bool empty() const noexcept { return label.empty() && id.empty(); }
};

struct Settings {
  std::string library;      // path of the module
  std::string slot;         // its number as a text, or empty
  std::string token_label;  // else the token's label…
  std::string token_serial; // …or serial number; with none of the three there must be one token
  SecretBytes pin;          // empty: no login
  KeyName key;
  KeyName hmac_key;         // with kAesCbcPad
  std::uint64_t mechanism = 0;  // 0: the first of AES-GCM, AES-CBC with HMAC, RSA-OAEP that the key and the token allow
  std::string oaep_hash = "sha256";  // sha1, sha224, sha256, sha384, sha512
  bool generate_key = false;    // where there is none
  bool force_rw_session = false;
};

}  // namespace coffer::hsm
