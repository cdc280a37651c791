#include "store/set_hash.h"

#include <bit>
#include <cstddef>
#include <cstring>

#include "base/codec.h"

namespace coffer::store {
namespace {

// SipHash as its authors specify it (Aumasson and Bernstein, 2012), fed in pieces.
class SipState {
 public:
  explicit SipState(const SetHashKey& key) noexcept {
    const std::uint64_t k0 = load_u64(key.data());
    const std::uint64_t k1 = load_u64(key.data() + 8);
    v0_ = k0 ^ 0x736f6d6570736575ull;
    v1_ = k1 ^ 0x646f72616e646f6dull ^ 0xee;
    v2_ = k0 ^ 0x6c7967656e657261ull;
    v3_ = k1 ^ 0x7465646279746573ull;
  }

  void feed(std::string_view bytes) noexcept {
    size_ += bytes.size();
    if (held_ > 0) {
      const std::size_t taken = bytes.size() < 8 - held_ ? bytes.size() : 8 - held_;
      std::memcpy(tail_ + held_, bytes.data(), taken);
      held_ += taken;
      bytes.remove_prefix(taken);
      if (held_ < 8)
        return;
      word(load_u64(tail_));
      held_ = 0;
    }
    for (; bytes.size() >= 8; bytes.remove_prefix(8))
      word(load_u64(bytes.data()));
    if (!bytes.empty())
      std::memcpy(tail_, bytes.data(), bytes.size());
    held_ = bytes.size();
  }

  Hash128 finish() noexcept {
    std::memset(tail_ + held_, 0, sizeof tail_ - held_);
    tail_[7] = static_cast<char>(size_);
    word(load_u64(tail_));
    Hash128 out;
    v2_ ^= 0xee;
    rounds(4);
    out.low = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    rounds(4);
    out.high = v0_ ^ v1_ ^ v2_ ^ v3_;
    return out;
  }

 private:
  void word(std::uint64_t m) noexcept {
    v3_ ^= m;
    rounds(2);
    v0_ ^= m;
  }

  void rounds(int count) noexcept {
    for (int i = 0; i < count; ++i) {
      v0_ += v1_;
      v1_ = std::rotl(v1_, 13) ^ v0_;
      v0_ = std::rotl(v0_, 32);
      v2_ += v3_;
      v3_ = std::rotl(v3_, 16) ^ v2_;
      v0_ += v3_;
      v3_ = std::rotl(v3_, 21) ^ v0_;
      v2_ += v1_;
      v1_ = std::rotl(v1_, 17) ^ v2_;
      v2_ = std::rotl(v2_, 32);
    }
  }

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t size_ = 0;
  std::size_t held_ = 0;
  char tail_[8] = {};
};

}  // namespace

Hash128 siphash128(const SetHashKey& hash_key, std::string_view bytes) noexcept {
  SipState state(hash_key);
  state.feed(bytes);
  return state.finish();
}

Hash128 keyed_hash(const SetHashKey& hash_key, std::string_view key, std::string_view value) noexcept {
  SipState state(hash_key);
  char key_size[4];
  store_u32(key_size, static_cast<std::uint32_t>(key.size()));
  state.feed({key_size, sizeof key_size});
  state.feed(key);
  state.feed(value);
  return state.finish();
}

void SetHash::add(std::string_view key, std::string_view value) noexcept {
  const Hash128 one = keyed_hash(hash_key_, key, value);
  sum_.low += one.low;
  sum_.high += one.high + (sum_.low < one.low ? 1 : 0);
}

void SetHash::remove(std::string_view key, std::string_view value) noexcept {
  const Hash128 one = keyed_hash(hash_key_, key, value);
  const bool borrow = sum_.low < one.low;
  sum_.low -= one.low;
  sum_.high -= one.high + (borrow ? 1 : 0);
}

}  // namespace coffer::store
