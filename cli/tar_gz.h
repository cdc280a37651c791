// A .tar.gz of small files in memory, without a library: gzip around blocks that are not compressed.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace coffer::cli {

// Names of at most 100 bytes, with '/' between folders; each file has mode 0600.
std::string tar_gz(const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace coffer::cli
