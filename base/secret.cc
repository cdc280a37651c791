#include "base/secret.h"

#include <openssl/crypto.h>

#include <cstring>
#include <new>
#include <utility>

namespace coffer {
namespace {

// The arena is small and for keys; bigger buffers (bodies) would exhaust it.
constexpr std::size_t kArenaObjectBytesMax = 4096;

std::uint8_t* allocate(std::size_t size) {
  if (size == 0)
    return nullptr;
  void* p = nullptr;
  if (size <= kArenaObjectBytesMax && CRYPTO_secure_malloc_initialized() != 0)
    p = OPENSSL_secure_malloc(size);
  if (p == nullptr)
    p = ::operator new(size);
  return static_cast<std::uint8_t*>(p);
}

void release(std::uint8_t* data, std::size_t size) noexcept {
  if (data == nullptr)
    return;
  wipe(data, size);
  if (CRYPTO_secure_allocated(data) != 0)
    OPENSSL_secure_free(data);
  else
    ::operator delete(data);
}

}  // namespace

void wipe(void* data, std::size_t size) noexcept { explicit_bzero(data, size); }

bool equal_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

SecretBytes::SecretBytes(std::size_t size) : data_(allocate(size)), size_(size) {
  if (size != 0)
    std::memset(data_, 0, size);
}

SecretBytes SecretBytes::copy_of(std::span<const std::uint8_t> bytes) {
  SecretBytes out(bytes.size());
  if (!bytes.empty())
    std::memcpy(out.data_, bytes.data(), bytes.size());
  return out;
}

SecretBytes SecretBytes::copy_of(std::string_view text) {
  return copy_of(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    release(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() { release(data_, size_); }

SecretBytes SecretBytes::clone() const { return copy_of(reveal()); }

bool init_secret_arena(std::size_t bytes) noexcept { return CRYPTO_secure_malloc_init(bytes, 32) == 1; }

}  // namespace coffer
