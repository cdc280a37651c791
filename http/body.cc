#include "http/body.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"

namespace coffer::http {

bool BodyBudget::take(Size size, std::size_t bytes) noexcept {
  auto& held = held_[static_cast<std::size_t>(size)];
  const std::size_t before = held.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= bounds_[static_cast<std::size_t>(size)] || mutant(Mutant::kHttpBodiesUnbounded))
    return true;
  held.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

void BodyBudget::give_back(Size size, std::size_t bytes) noexcept {
  auto& held = held_[static_cast<std::size_t>(size)];
  const std::size_t before = held.fetch_sub(bytes, std::memory_order_relaxed);
  COFFER_CHECK(before >= bytes);
}

std::size_t BodyBudget::held() const noexcept {
  return held_[0].load(std::memory_order_relaxed) + held_[1].load(std::memory_order_relaxed);
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
  const auto size = capacity <= limits::kSmallBodyBytesMax ? BodyBudget::Size::kSmall : BodyBudget::Size::kLarge;
  if (!budget_.take(size, capacity))
    return false;
  char* data = static_cast<char*>(std::malloc(capacity));
  if (data == nullptr) {
    budget_.give_back(size, capacity);
    return false;
  }
  if (size_ != 0)
    std::memcpy(data, data_, size_);
  const std::size_t kept = size_;
  clear();
  data_ = data;
  size_ = kept;
  capacity_ = capacity;
  charged_ = size;
  return true;
}

void BodyBuffer::clear() noexcept {
  if (data_ == nullptr)
    return;
  wipe(data_, size_);
  std::free(data_);
  budget_.give_back(charged_, capacity_);
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

}  // namespace coffer::http
