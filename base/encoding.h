// Bytes as text: base64, hexadecimal, base62, UUIDs. Decoders are strict, so that one value has one text: no characters
// outside the alphabet, no bits set after the last byte. Errors name the position and never the content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer {

// Standard alphabet with padding; line ends inside the text are skipped when decoding.
std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);
Result<SecretBytes> base64_decode_secret(std::string_view text);

// URL alphabet, written without padding, read with or without it.
std::string base64url_encode(std::string_view bytes);
Result<std::string> base64url_decode(std::string_view text);

// Lower case; both cases are read.
std::string hex_encode(std::string_view bytes);
Result<std::string> hex_decode(std::string_view text);
Result<SecretBytes> hex_decode_secret(std::string_view text);

// `length` characters of 0-9A-Za-z, each as likely as any other.
Result<std::string> random_base62(RandomSource& random, std::size_t length);

// 8-4-4-4-12 in lower case.
std::string uuid_text(std::string_view sixteen_bytes);
Result<std::string> random_uuid(RandomSource& random);  // version 4
// The same of 16 random bytes that the caller has, to kUuidTextBytes bytes at `to`.
inline constexpr std::size_t kUuidTextBytes = 36;
void write_random_uuid(std::span<std::uint8_t, 16> random, char* to) noexcept;
bool is_uuid(std::string_view text) noexcept;

}  // namespace coffer
