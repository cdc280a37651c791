#include "core/cluster.h"

namespace coffer::core {

raft::NodeId member_number(const std::string& id) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : id)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return raft::NodeId((hash >> 1) | 1);
}

}  // namespace coffer::core
