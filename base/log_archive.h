// Log files that are put aside: "vault.log" becomes "vault-1795344804000000000.log", by nanoseconds since 1970.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace coffer {

// Renames the file and deletes the oldest of those put aside beyond `archives_max`; 0: all are kept, -1: none is. A
// file of that name is never replaced. kIo when the file could not be renamed; nothing is deleted then.
Status archive_log(const std::string& file, std::int64_t nanos, int archives_max);

// 0 for what is not there.
std::size_t file_bytes(const std::string& file);

}  // namespace coffer
