// Memory for request bodies. All bodies of a server together stay below an allowance, small and large ones apart, so
// that clients that send much and slowly cannot take the machine's memory or each other's turn (advisory K1). Nothing
// here takes long: large bodies of a known length are never moved, and are wiped in pieces.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace coffer::http {

// Memory from the system. Untouched it costs nothing, so what is known to be needed can be taken at once.
class LargeMemory {
 public:
  LargeMemory() = default;
  LargeMemory(LargeMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  LargeMemory& operator=(LargeMemory&& other) noexcept;
  ~LargeMemory() { resize(0); }

  // Content up to the smaller size stays; growth copies it. False when the system has no more; then nothing changed.
  bool resize(std::size_t size) noexcept;
  char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// Shared by all connections. Any thread.
class BodyBudget {
 public:
  enum class Size : std::uint8_t { kSmall, kLarge };

  // Guests are those who have shown no live token: together they hold at most a part of each allowance, so that they
  // cannot take the turn of those who have.
  enum class Who : std::uint8_t { kKnown, kGuest };

  BodyBudget(std::size_t small_bytes, std::size_t large_bytes) : bounds_{small_bytes, large_bytes} {}
  ~BodyBudget();
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  bool take(Size size, Who who, std::size_t bytes) noexcept;
  void give_back(Size size, Who who, std::size_t bytes) noexcept;
  std::size_t held() const noexcept;

  // What was done with waits here to be wiped, and counts as held until it is. `used` bytes of it hold something,
  // `charged` were taken.
  void discard(LargeMemory&& memory, Who who, std::size_t used, std::size_t charged) noexcept;
  bool dirty() const noexcept { return dirty_.load(std::memory_order_relaxed); }
  // Wipes and returns one piece to the system.
  void clean_some() noexcept;

 private:
  static constexpr std::size_t kPieceBytes = 256u << 10;
  static constexpr std::array<std::size_t, 2> kGuestsParts{2, 4};  // a half of the small one, a quarter of the other
  struct Waste {
    LargeMemory memory;
    Who who;
    std::size_t used;  // bytes from the beginning that hold something
    std::size_t charged;
  };

  std::array<std::size_t, 2> bounds_;
  std::array<std::atomic<std::size_t>, 2> held_{};
  std::array<std::atomic<std::size_t>, 2> guests_held_{};  // of that
  std::atomic<bool> dirty_{false};
  std::mutex mutex_;
  std::vector<Waste> waste_;  // guarded by mutex_; at most one for each large body
};

// One body as it arrives, contiguous. Grows by doubling and charges what it allocates before it allocates; what it lets
// go is wiped. Used by one thread at a time.
class BodyBuffer {
 public:
  explicit BodyBuffer(BodyBudget& budget) : budget_(budget) {}
  ~BodyBuffer() { clear(); }
  BodyBuffer(const BodyBuffer&) = delete;
  BodyBuffer& operator=(const BodyBuffer&) = delete;

  // Whose body it is; a guest's unless said otherwise. Call while empty.
  void set_owner(BodyBudget::Who who) noexcept { who_ = who; }
  // The body will not exceed this; growth stops there. Call while empty.
  void set_expected(std::size_t bytes) noexcept { expected_ = bytes; }
  // False when the allowance is used up; then the content is as before.
  bool append(std::string_view bytes);
  // Wiped and given back; a large one by and by.
  void clear() noexcept;

  std::string_view view() const noexcept { return {data_, size_}; }
  std::size_t size() const noexcept { return size_; }

 private:
  bool grow(std::size_t needed);
  bool grow_large(std::size_t capacity);

  BodyBudget& budget_;
  char* data_ = nullptr;      // large_'s, or malloc's while it is small
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t expected_ = 0;  // 0: not known
  BodyBudget::Who who_ = BodyBudget::Who::kGuest;
  LargeMemory large_;         // bodies above limits::kSmallBodyBytesMax
};

}  // namespace coffer::http
