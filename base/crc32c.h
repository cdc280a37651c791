// CRC-32C (Castagnoli): finds damaged bytes, not forged ones. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace coffer {

// `seed` is the result for the bytes before `data`, or any number that the checksum shall depend on; 0 to begin.
std::uint32_t crc32c(std::string_view data, std::uint32_t seed = 0) noexcept;

// The same result without special instructions; crc32c() picks it where the processor has none.
std::uint32_t crc32c_portable(std::string_view data, std::uint32_t seed = 0) noexcept;

}  // namespace coffer
