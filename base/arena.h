// A bump allocator for what one request holds in plain text. Everything that was handed out is overwritten by reset()
// and by the destructor, so nothing that passed through a request stays in the heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace coffer {

// Owned by one request (or one function), used by one thread at a time, reusable after reset(). Memory handed out stays
// valid until reset() or destruction; objects in it are not destroyed, so only trivially destructible types go in.
class Arena {
 public:
  static constexpr std::size_t kFirstChunkBytes = 8192;
  static constexpr std::size_t kKeptBytesMax = 64u << 10;  // what reset() keeps for the next request

  Arena() noexcept = default;
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Never null. `align` is a power of two up to 16.
  void* allocate(std::size_t bytes, std::size_t align = 8) {
    std::size_t at = (used_ + align - 1) & ~(align - 1);
    if (at + bytes > capacity_) [[unlikely]]
      return allocate_slow(bytes);
    used_ = at + bytes;
    return current_ + at;
  }

  // A copy of `text` that lives as long as the arena's content.
  std::string_view copy(std::string_view text) {
    if (text.empty())
      return {};
    char* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  // Gives back the unused end of the last allocation: [start, start + kept) stays, the rest is wiped when the arena is.
  // No effect when `start` was not the last allocation.
  void shrink_last(void* start, std::size_t allocated, std::size_t kept) noexcept {
    auto* at = static_cast<std::uint8_t*>(start);
    if (at + allocated == current_ + used_ && kept < allocated) {
      high_water_ = used_ > high_water_ ? used_ : high_water_;
      used_ -= allocated - kept;
    }
  }

  // Overwrites everything that was handed out and makes it available again.
  void reset() noexcept;

  std::size_t bytes_used() const noexcept { return full_bytes_ + used_; }

 private:
  struct Chunk {
    std::uint8_t* data;
    std::size_t size;
    std::size_t used;  // bytes to wipe
  };

  void* allocate_slow(std::size_t bytes);
  void release() noexcept;

  std::uint8_t* current_ = nullptr;  // the chunk that allocations come from
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::size_t high_water_ = 0;       // of the current chunk, when shrink_last moved used_ back
  std::size_t full_bytes_ = 0;       // used bytes of earlier chunks
  std::vector<Chunk> chunks_;        // the last one is the current one
};

}  // namespace coffer
