// Room on the disk of the state for what is not written yet: below the watermark writes are refused, and a copy of the
// state must not be what brings a node there.
#pragma once

#include <string>

#include "base/disk.h"

namespace coffer::core {

// False: with `more` bytes in `folder`, or without them, less than `free_bytes_min` would be left.
inline Result<bool> has_room(Disk& disk, const std::string& folder, std::uint64_t free_bytes_min, std::uint64_t more) {
  COFFER_ASSIGN(const std::uint64_t free_bytes, disk.free_bytes(folder));
  return free_bytes >= free_bytes_min && free_bytes - free_bytes_min >= more;
}

}  // namespace coffer::core
