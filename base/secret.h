// Bytes that must not leak: keys, tokens, shares, plaintext that outlives a request. Wiped when freed, move-only,
// compared in constant time, with no iterators, no stream operator, no conversion to a string type and no operator==.
// Reading is one named call that is easy to grep: reveal().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace coffer {

// Overwrites memory in a way that the compiler keeps.
void wipe(void* data, std::size_t size) noexcept;

// Constant time for equal sizes; sizes are not secret.
bool equal_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept;

class SecretBytes {
 public:
  SecretBytes() noexcept = default;
  explicit SecretBytes(std::size_t size);  // zero-filled
  static SecretBytes copy_of(std::span<const std::uint8_t> bytes);
  static SecretBytes copy_of(std::string_view text);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes clone() const;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Valid until this object is moved from, assigned or destroyed.
  std::span<const std::uint8_t> reveal() const noexcept { return {data_, size_}; }
  std::string_view reveal_text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  std::span<std::uint8_t> reveal_mutable() noexcept { return {data_, size_}; }

  bool equals(const SecretBytes& other) const noexcept { return equal_constant_time(reveal(), other.reveal()); }

 private:
  std::uint8_t* data_ = nullptr;  // owned; from the locked arena when one is set up and has room, else the heap
  std::size_t size_ = 0;
};

// Sets up the locked, dump-excluded arena that later SecretBytes come from. `bytes` is a power of two. Call once,
// before any thread starts. False when memory could not be locked: the caller decides whether that stops the process.
bool init_secret_arena(std::size_t bytes) noexcept;

}  // namespace coffer
