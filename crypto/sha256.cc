#include "crypto/sha256_state.h"  // first: it decides how OpenSSL's headers are read

#include "crypto/sha256.h"

#include "base/secret.h"

namespace coffer::crypto {
namespace {

SHA256_CTX* as_context(std::uint8_t* state) noexcept { return reinterpret_cast<SHA256_CTX*>(state); }

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Digest256 sha256(std::span<const std::uint8_t> data) noexcept {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data.data(), data.size());
  Digest256 out;
  SHA256_Final(out.data(), &context);
  return out;
}

Digest256 sha256(std::string_view text) noexcept { return sha256(bytes_of(text)); }

Sha256::Sha256() noexcept {
  static_assert(sizeof(SHA256_CTX) == kStateBytes);
  SHA256_Init(as_context(state_.data()));
}

Sha256::~Sha256() { wipe(state_.data(), state_.size()); }

Sha256& Sha256::update(std::span<const std::uint8_t> data) noexcept {
  SHA256_Update(as_context(state_.data()), data.data(), data.size());
  return *this;
}

Sha256& Sha256::update(std::string_view text) noexcept { return update(bytes_of(text)); }

Digest256 Sha256::finish() noexcept {
  Digest256 out;
  SHA256_Final(out.data(), as_context(state_.data()));
  SHA256_Init(as_context(state_.data()));
  return out;
}

}  // namespace coffer::crypto
