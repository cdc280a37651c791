// A file of the spool folder that goes with its owner.
#pragma once

#include <string>
#include <utility>

#include "base/disk.h"

namespace coffer::core {

class SpoolFile {
 public:
  SpoolFile() = default;  // none
  // `disk` outlives it.
  SpoolFile(Disk& disk, std::string path) : disk_(&disk), path_(std::move(path)) {}
  SpoolFile(SpoolFile&& other) noexcept : disk_(other.disk_), path_(other.release()) {}
  SpoolFile& operator=(SpoolFile&& other) noexcept {
    std::swap(disk_, other.disk_);
    path_.swap(other.path_);
    return *this;
  }
  ~SpoolFile() {
    if (!path_.empty())
      static_cast<void>(disk_->remove(path_));  // what stays is removed at the next start
  }
  const std::string& path() const noexcept { return path_; }
  // It is somebody else's from here on.
  std::string release() { return std::exchange(path_, {}); }

 private:
  Disk* disk_ = nullptr;
  std::string path_;  // empty: none
};

}  // namespace coffer::core
