// One number for a whole set of records, kept up to date record by record: the sum modulo 2^128 of a keyed hash of
// each. Adding and removing commute, so any order of the same changes gives the same sum, and two replicas with one key
// can compare theirs. It finds damage, not forgery: the key stands in the file that it guards.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string_view>

namespace coffer::store {

using SetHashKey = std::array<std::uint8_t, 16>;

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// SipHash-2-4 with 128 bits of output.
Hash128 siphash128(const SetHashKey& hash_key, std::string_view bytes) noexcept;
// The same over the key's length (4 bytes), the key and the value.
Hash128 keyed_hash(const SetHashKey& hash_key, std::string_view key, std::string_view value) noexcept;

class SetHash {
 public:
  explicit SetHash(const SetHashKey& hash_key, Hash128 sum = {}) noexcept : hash_key_(hash_key), sum_(sum) {}
  void add(std::string_view key, std::string_view value) noexcept;
  void remove(std::string_view key, std::string_view value) noexcept;
  const Hash128& sum() const noexcept { return sum_; }
  const SetHashKey& hash_key() const noexcept { return hash_key_; }

 private:
  SetHashKey hash_key_;
  Hash128 sum_;
};

}  // namespace coffer::store
