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

  enum class Push { kFull, kClosed, kQueued, kQueuedWake };

  // Any thread. kQueuedWake: the owner must be woken, nobody has done so since it drained last. kFull, kClosed: `item`
  // is untouched. `extra_items` is room beyond the bound, for what must get through when ordinary items fill the queue.
  Push push(T&& item, std::size_t extra_items = 0) {
    const std::lock_guard lock(mutex_);
    if (closed_)
      return Push::kClosed;
    if (items_.size() >= items_max_ + extra_items)
      return Push::kFull;
    items_.push_back(std::move(item));
    return std::exchange(signalled_, true) ? Push::kQueued : Push::kQueuedWake;
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
