#include "crypto/hkdf.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "crypto/hmac.h"

namespace coffer::crypto {

SecretBytes hkdf_sha256(std::span<const std::uint8_t> secret, std::span<const std::uint8_t> salt, std::string_view info,
                        std::size_t size) {
  COFFER_CHECK(size <= 255 * sizeof(Digest256));
  Digest256 extracted = hmac_sha256(salt, secret);
  const HmacKey key{std::span<const std::uint8_t>(extracted)};
  wipe(extracted.data(), extracted.size());

  const std::span<const std::uint8_t> info_bytes(reinterpret_cast<const std::uint8_t*>(info.data()), info.size());
  SecretBytes out(size);
  Digest256 block{};
  std::size_t filled = 0;
  for (std::uint8_t number = 1; filled < size; ++number) {
    const std::span<const std::uint8_t> previous(block.data(), number == 1 ? 0 : block.size());
    block = key.mac({previous, info_bytes, std::span<const std::uint8_t>(&number, 1)});
    const std::size_t take = std::min(block.size(), size - filled);
    std::memcpy(out.reveal_mutable().data() + filled, block.data(), take);
    filled += take;
  }
  wipe(block.data(), block.size());
  return out;
}

}  // namespace coffer::crypto
