// A bounded queue from many threads to one, emptied as a whole: one wake-up a batch, however many items it holds.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace coffer::actors {

template <typename T>
class BatchQueue {
 public:
  explicit BatchQueue(std::size_t items_max) : items_max_(items_max) {}

  enum class Push { kFull, kQueued, kQueuedWake };

  // Any thread. kQueuedWake: the owner must be woken, nobody has done so since it drained last. kFull (or closed): `item` is untouched.
  Push push(T&& item) {
    const std::lock_guard lock(mutex_);
    if (closed_ || items_.size() >= items_max_)
      return Push::kFull;
    items_.push_back(std::move(item));
    return std::exchange(signalled_, true) ? Push::kQueued : Push::kQueuedWake;
  }

  // Any thread, for what must not be refused: reports of the owner's own helpers, which are few.
  bool push_unbounded(T&& item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    return !std::exchange(signalled_, true);
  }

  // Owner. `out` must be empty; its capacity is kept for the next round. False when there was nothing.
  bool drain(std::vector<T>& out) {
    const std::lock_guard lock(mutex_);
    signalled_ = false;
    items_.swap(out);
    return !out.empty();
  }

  // Later pushes are refused; what is queued can still be drained.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  const std::size_t items_max_;
  mutable std::mutex mutex_;
  std::vector<T> items_;     // guarded by mutex_
  bool signalled_ = false;   // guarded by mutex_
  bool closed_ = false;      // guarded by mutex_
};

}  // namespace coffer::actors
