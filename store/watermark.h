// Refuses writes before the disk is full, so that log and state never meet a full one. Asked by the proposer; any
// thread.
#pragma once

#include <atomic>
#include <string>

#include "base/disk.h"

namespace coffer::store {

class DiskWatermark {
 public:
  // Writes are refused while less than `bytes_kept_free` is free, and accepted again from twice as much on.
  DiskWatermark(Disk& disk, std::string folder, std::uint64_t bytes_kept_free)
      : disk_(disk), folder_(std::move(folder)), bytes_kept_free_(bytes_kept_free) {}

  // Measures; call it every second or so. A disk that cannot be asked counts as full.
  void measure();
  // kUnavailable while writes are refused.
  Status check() const;

 private:
  Disk& disk_;
  const std::string folder_;
  const std::uint64_t bytes_kept_free_;
  std::atomic<bool> refusing_{false};
};

}  // namespace coffer::store
