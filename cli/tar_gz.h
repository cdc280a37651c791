// A .tar.gz of small files in memory, without a library: gzip around blocks that are not compressed.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace coffer::cli {

// Of the folder in a name: all before its last slash; and what follows that has 100 at most.
inline constexpr std::size_t kTarFolderBytesMax = 155;

// Names of at most 100 bytes, with '/' between folders; each file has mode 0600.
std::string tar_gz(const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace coffer::cli
