// Arithmetic in GF(2^8) modulo 0x11b without tables and without branches on the operands.
#pragma once

#include <cstdint>

namespace coffer::seal::gf256 {

inline std::uint8_t mul(std::uint8_t a, std::uint8_t b) noexcept {
  std::uint8_t product = 0;
  for (int bit = 0; bit < 8; ++bit) {
    product ^= static_cast<std::uint8_t>(-(b & 1) & a);
    const auto reduce = static_cast<std::uint8_t>(-(a >> 7) & 0x1b);
    a = static_cast<std::uint8_t>(static_cast<std::uint8_t>(a << 1) ^ reduce);
    b >>= 1;
  }
  return product;
}

inline std::uint8_t square(std::uint8_t a) noexcept { return mul(a, a); }

// a^254, which is 1/a, and 0 for 0. The exponent's bits are 11111110, fixed: seven squares, six products.
inline std::uint8_t inverse(std::uint8_t a) noexcept {
  std::uint8_t power = a;
  for (int i = 0; i < 6; ++i)
    power = mul(square(power), a);
  return square(power);
}

}  // namespace coffer::seal::gf256
