#include "store/watermark.h"

namespace coffer::store {

void DiskWatermark::measure() {
  const auto free = disk_.free_bytes(folder_);
  const std::uint64_t needed = refusing_.load(std::memory_order_relaxed) ? 2 * bytes_kept_free_ : bytes_kept_free_;
  refusing_.store(!free.ok() || *free < needed, std::memory_order_relaxed);
}

Status DiskWatermark::check() const {
  if (!refusing_.load(std::memory_order_relaxed))
    return ok_status();
  return Status(Code::kUnavailable, "the disk of " + folder_ +
                                        " is nearly full: free space or enlarge it, then writes go on by themselves");
}

}  // namespace coffer::store
