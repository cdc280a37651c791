// Password hashes: bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999), as crypt(3) of libxcrypt
// computes it. One call takes tens of milliseconds by design.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::crypto {

inline constexpr unsigned kBcryptCost = 10;             // 2^10 rounds
inline constexpr std::size_t kBcryptSaltBytes = 16;
inline constexpr std::size_t kBcryptPasswordBytesMax = 72;  // more would be ignored by the algorithm

// "$2b$10$…", 60 characters. kInvalid: a password longer than kBcryptPasswordBytesMax or with a zero byte in it, or a
// salt of another size.
Result<std::string> bcrypt_hash(std::string_view password, std::span<const std::uint8_t> salt,
                                unsigned cost = kBcryptCost);

// False for a wrong password and for what is no hash. The comparison takes constant time.
bool bcrypt_matches(std::string_view password, std::string_view hash);

// Whether `text` has the form of a hash that bcrypt_matches() can check: $2a$, $2b$ or $2y$, cost 4 to 16.
bool is_bcrypt_hash(std::string_view text) noexcept;

}  // namespace coffer::crypto
