#include "crypto/sha256_state.h"  // first: it decides how OpenSSL's headers are read

#include "crypto/hmac.h"

#include <array>
#include <cstring>

namespace coffer::crypto {
namespace {

constexpr std::size_t kBlockBytes = 64;
constexpr std::size_t kTagBytesMin = 16;

void prepare(SHA256_CTX* state, const std::array<std::uint8_t, kBlockBytes>& key, std::uint8_t pad) {
  std::array<std::uint8_t, kBlockBytes> block;
  for (std::size_t i = 0; i < kBlockBytes; ++i)
    block[i] = key[i] ^ pad;
  SHA256_Init(state);
  SHA256_Update(state, block.data(), block.size());
  wipe(block.data(), block.size());
}

const SHA256_CTX* states_of(const SecretBytes& states) noexcept {
  return reinterpret_cast<const SHA256_CTX*>(states.reveal().data());
}

Digest256 finish(SHA256_CTX& inner, const SHA256_CTX& outer_start) noexcept {
  Digest256 out;
  SHA256_Final(out.data(), &inner);
  SHA256_CTX outer = outer_start;
  SHA256_Update(&outer, out.data(), out.size());
  SHA256_Final(out.data(), &outer);  // Final leaves the chaining value of the result behind, nothing of the key
  return out;
}

}  // namespace

HmacKey::HmacKey(std::span<const std::uint8_t> key) : states_(2 * sizeof(SHA256_CTX)) {
  std::array<std::uint8_t, kBlockBytes> block{};
  if (key.size() > kBlockBytes) {
    Digest256 digest = sha256(key);
    std::memcpy(block.data(), digest.data(), digest.size());
    wipe(digest.data(), digest.size());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  auto* states = reinterpret_cast<SHA256_CTX*>(states_.reveal_mutable().data());
  prepare(&states[0], block, 0x36);
  prepare(&states[1], block, 0x5c);
  wipe(block.data(), block.size());
}

Digest256 HmacKey::mac(std::span<const std::uint8_t> message) const noexcept {
  const SHA256_CTX* states = states_of(states_);
  SHA256_CTX inner = states[0];
  SHA256_Update(&inner, message.data(), message.size());
  return finish(inner, states[1]);
}

Digest256 HmacKey::mac(std::string_view message) const noexcept {
  return mac(std::span(reinterpret_cast<const std::uint8_t*>(message.data()), message.size()));
}

Digest256 HmacKey::mac(std::initializer_list<std::span<const std::uint8_t>> pieces) const noexcept {
  const SHA256_CTX* states = states_of(states_);
  SHA256_CTX inner = states[0];
  for (const auto& piece : pieces)
    SHA256_Update(&inner, piece.data(), piece.size());
  return finish(inner, states[1]);
}

bool HmacKey::verify(std::span<const std::uint8_t> message, std::span<const std::uint8_t> tag) const noexcept {
  if (tag.size() < kTagBytesMin || tag.size() > sizeof(Digest256))
    return false;
  const Digest256 expected = mac(message);
  return equal_constant_time(std::span(expected).first(tag.size()), tag);
}

Digest256 hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> message) {
  return HmacKey(key).mac(message);
}

}  // namespace coffer::crypto
