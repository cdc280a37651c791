// The cell through which the applier hands a new immutable object to all readers: one pointer, swapped as a whole.
//
// load() copies a shared_ptr under a spin lock that is held for a few instructions; a thread that meets it taken for
// long yields, because the holder may have been preempted. Compared in bench/store_bench.cc with
// std::atomic<std::shared_ptr> (whose unlock in this standard library is a data race by the letter and to the thread
// sanitizer) and with std::mutex.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

namespace coffer::store {

template <typename T>
class Published {
 public:
  std::shared_ptr<const T> load() const {
    lock();
    std::shared_ptr<const T> copy = value_;
    unlock();
    return copy;
  }

  // The old object, if this was its last owner, is destroyed by the caller after the lock is released.
  void store(std::shared_ptr<const T> fresh) {
    lock();
    value_.swap(fresh);
    unlock();
  }

 private:
  static constexpr int kSpinsMax = 64;

  void lock() const noexcept {
    while (locked_.exchange(true, std::memory_order_acquire)) {
      for (int i = 0; i < kSpinsMax && locked_.load(std::memory_order_relaxed); ++i) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      }
      if (locked_.load(std::memory_order_relaxed))
        std::this_thread::yield();
    }
  }
  void unlock() const noexcept { locked_.store(false, std::memory_order_release); }

  mutable std::atomic<bool> locked_{false};
  std::shared_ptr<const T> value_;  // guarded by locked_
};

}  // namespace coffer::store
