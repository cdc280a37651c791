#include "base/arena.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/secret.h"

namespace coffer {

Arena::~Arena() { release(); }

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this == &other)
    return *this;
  release();
  current_ = std::exchange(other.current_, nullptr);
  used_ = std::exchange(other.used_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  high_water_ = std::exchange(other.high_water_, 0);
  full_bytes_ = std::exchange(other.full_bytes_, 0);
  chunks_ = std::exchange(other.chunks_, {});
  return *this;
}

void* Arena::allocate_slow(std::size_t bytes) {
  if (!chunks_.empty()) {
    chunks_.back().used = std::max(used_, high_water_);
    full_bytes_ += used_;
  }
  // Doubling keeps the number of chunks logarithmic; a large single wish gets a chunk of its own size.
  const std::size_t next =
      chunks_.empty() ? kFirstChunkBytes : std::min<std::size_t>(chunks_.back().size * 2, 4u << 20);
  const std::size_t size = std::max(next, (bytes + 15) & ~std::size_t{15});
  // What may throw comes first: whoever catches it goes on with this arena.
  chunks_.reserve(chunks_.size() + 1);
  current_ = static_cast<std::uint8_t*>(::operator new(size));
  chunks_.push_back({current_, size, 0});
  capacity_ = size;
  used_ = bytes;
  high_water_ = 0;
  return current_;
}

void Arena::reset() noexcept {
  if (chunks_.empty())
    return;
  chunks_.back().used = std::max(used_, high_water_);
  Chunk largest{nullptr, 0, 0};
  for (Chunk& chunk : chunks_) {
    wipe(chunk.data, chunk.used);
    // One chunk is kept, the largest that is not too large, so that the next request of this size needs no allocation.
    if (chunk.size <= kKeptBytesMax && chunk.size > largest.size) {
      ::operator delete(largest.data);
      largest = chunk;
    } else {
      ::operator delete(chunk.data);
    }
  }
  chunks_.clear();
  if (largest.data != nullptr)
    chunks_.push_back({largest.data, largest.size, 0});
  current_ = largest.data;
  capacity_ = largest.size;
  used_ = high_water_ = full_bytes_ = 0;
}

void Arena::release() noexcept {
  reset();
  if (!chunks_.empty())
    ::operator delete(chunks_.front().data);
  chunks_.clear();
  current_ = nullptr;
  capacity_ = 0;
}

}  // namespace coffer
