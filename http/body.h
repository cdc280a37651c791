// Memory for request bodies. All bodies of a server together stay below an allowance, small and large ones apart, so
// that clients that send much and slowly cannot take the machine's memory or each other's turn (advisory K1).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

namespace coffer::http {

// Shared by all connections. Any thread.
class BodyBudget {
 public:
  enum class Size : std::uint8_t { kSmall, kLarge };

  BodyBudget(std::size_t small_bytes, std::size_t large_bytes) : bounds_{small_bytes, large_bytes} {}

  bool take(Size size, std::size_t bytes) noexcept;
  void give_back(Size size, std::size_t bytes) noexcept;
  std::size_t held() const noexcept;

 private:
  std::array<std::size_t, 2> bounds_;
  std::array<std::atomic<std::size_t>, 2> held_{};
};

// One body as it arrives, contiguous. Grows by doubling and charges what it allocates before it allocates; wipes what
// it lets go. Used by one thread at a time.
class BodyBuffer {
 public:
  explicit BodyBuffer(BodyBudget& budget) : budget_(budget) {}
  ~BodyBuffer() { clear(); }
  BodyBuffer(const BodyBuffer&) = delete;
  BodyBuffer& operator=(const BodyBuffer&) = delete;

  // The body will not exceed this; growth stops there. Call while empty.
  void set_expected(std::size_t bytes) noexcept { expected_ = bytes; }
  // False when the allowance is used up; then the content is as before.
  bool append(std::string_view bytes);
  // Wiped and given back.
  void clear() noexcept;

  std::string_view view() const noexcept { return {data_, size_}; }
  std::size_t size() const noexcept { return size_; }

 private:
  bool grow(std::size_t needed);

  BodyBudget& budget_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t expected_ = 0;  // 0: not known
  BodyBudget::Size charged_ = BodyBudget::Size::kSmall;
};

}  // namespace coffer::http
