#include "http/body.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"

namespace coffer::http {

bool BodyBudget::take(Size size, Who who, std::size_t bytes) noexcept {
  const auto kind = static_cast<std::size_t>(size);
  const auto within = [bytes](std::atomic<std::size_t>& held, std::size_t bound) {
    if (held.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bound || mutant(Mutant::kHttpBodiesUnbounded))
      return true;
    held.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  };
  if (who == Who::kGuest && !within(guests_held_[kind], bounds_[kind] / kGuestsParts[kind]))
    return false;
  if (within(held_[kind], bounds_[kind]))
    return true;
  if (who == Who::kGuest)
    guests_held_[kind].fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

void BodyBudget::give_back(Size size, Who who, std::size_t bytes) noexcept {
  const auto kind = static_cast<std::size_t>(size);
  COFFER_CHECK(held_[kind].fetch_sub(bytes, std::memory_order_relaxed) >= bytes);
  if (who == Who::kGuest)
    COFFER_CHECK(guests_held_[kind].fetch_sub(bytes, std::memory_order_relaxed) >= bytes);
}

std::size_t BodyBudget::held() const noexcept {
  return held_[0].load(std::memory_order_relaxed) + held_[1].load(std::memory_order_relaxed);
}

LargeMemory& LargeMemory::operator=(LargeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool LargeMemory::resize(std::size_t size) noexcept {
  if (size <= size_) {
    // Whole pages go.
    if (size != size_ && ::munmap(data_ + size, size_ - size) != 0)
      return false;
    size_ = size;
    data_ = size == 0 ? nullptr : data_;
    return true;
  }
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return false;
  if (data_ != nullptr) {
    std::memcpy(data, data_, size_);
    wipe(data_, size_);
    ::munmap(data_, size_);
  }
  data_ = static_cast<char*>(data);
  size_ = size;
  return true;
}

BodyBudget::~BodyBudget() {
  while (dirty())
    clean_some();
}

void BodyBudget::discard(LargeMemory&& memory, Who who, std::size_t used, std::size_t charged) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    waste_.reserve(waste_.size() + 1);
  } catch (const std::bad_alloc&) {
    wipe(memory.data(), used);
    memory.resize(0);
    give_back(Size::kLarge, who, charged);
    return;
  }
  waste_.push_back({std::move(memory), who, used, charged});
  dirty_.store(true, std::memory_order_relaxed);
}

// From the end, so that what is left stays one mapping.
void BodyBudget::clean_some() noexcept {
  Waste waste;
  {
    const std::lock_guard lock(mutex_);
    if (waste_.empty())
      return;
    waste = std::move(waste_.back());
    waste_.pop_back();
    dirty_.store(!waste_.empty(), std::memory_order_relaxed);
  }
  const std::size_t after = (std::max(waste.used, kPieceBytes) - kPieceBytes) / kPieceBytes * kPieceBytes;
  wipe(waste.memory.data() + after, waste.used - after);
  // A mapping that cannot be cut stays as large as it was until nothing in it is left.
  const std::size_t left = waste.memory.resize(after) ? std::min(waste.charged, after) : waste.charged;
  give_back(Size::kLarge, waste.who, waste.charged - left);
  if (after != 0)
    discard(std::move(waste.memory), waste.who, after, left);
}

bool BodyBuffer::append(std::string_view bytes) {
  if (bytes.size() > capacity_ - size_ && !grow(size_ + bytes.size()))
    return false;
  std::memcpy(data_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

bool BodyBuffer::grow(std::size_t needed) {
  std::size_t capacity = std::max<std::size_t>({needed, capacity_ * 2, 4096});
  if (expected_ >= needed)
    capacity = std::min(capacity, expected_);
  if (capacity > limits::kSmallBodyBytesMax)
    return grow_large(capacity);
  if (!budget_.take(BodyBudget::Size::kSmall, who_, capacity))
    return false;
  char* data = static_cast<char*>(std::malloc(capacity));
  if (data == nullptr) {
    budget_.give_back(BodyBudget::Size::kSmall, who_, capacity);
    return false;
  }
  if (size_ != 0)
    std::memcpy(data, data_, size_);
  const std::size_t kept = size_;
  clear();
  data_ = data;
  size_ = kept;
  capacity_ = capacity;
  return true;
}

bool BodyBuffer::grow_large(std::size_t capacity) {
  const bool was_small = large_.size() == 0;
  const std::size_t more = was_small ? capacity : capacity - capacity_;
  if (!budget_.take(BodyBudget::Size::kLarge, who_, more))
    return false;
  // All that was announced: what is not touched yet costs nothing, and nothing is ever moved.
  if (capacity > large_.size() && !large_.resize(std::max(capacity, expected_))) {
    budget_.give_back(BodyBudget::Size::kLarge, who_, more);
    return false;
  }
  if (was_small && size_ != 0) {
    const std::size_t kept = size_;
    std::memcpy(large_.data(), data_, kept);
    LargeMemory large = std::move(large_);
    clear();
    large_ = std::move(large);
    size_ = kept;
  }
  data_ = large_.data();
  capacity_ = capacity;
  return true;
}

void BodyBuffer::clear() noexcept {
  if (data_ == nullptr)
    return;
  if (large_.size() != 0) {
    budget_.discard(std::move(large_), who_, size_, capacity_);
  } else {
    wipe(data_, size_);
    std::free(data_);
    budget_.give_back(BodyBudget::Size::kSmall, who_, capacity_);
  }
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

}  // namespace coffer::http
