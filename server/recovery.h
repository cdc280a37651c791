// What is done to a data folder while no server runs on it, or before one begins: who a node is, and another list of
// the cluster's members when most of them are gone (actors/recovery.h).
#pragma once

#include <string>

#include "base/disk.h"
#include "base/log.h"
#include "base/status.h"
#include "store/backend.h"
#include "store/log.h"

namespace coffer::server {

// What a node that was given no id calls itself: drawn at its first start, and kept beside its data. A store that was
// made before ids were drawn belongs to "node".
Result<std::string> kept_node_id(Disk& disk, const std::string& folder, bool fresh);

// `folder`/raft/peers.json, when it is there: its list becomes the group's members, and the file is removed. kInvalid
// names what is wrong with it; nothing is changed then.
Status take_peers_file(Disk& disk, const std::string& folder, const std::string& node_id, store::Log& log,
                       const store::Backend& backend, Logger& logger);

struct QuorumRecovery {
  std::string folder;
  std::string node_id;
  std::size_t voters = 0;  // until now, this node among them if it was one
  std::size_t learners = 0;
  std::uint64_t last_index = 0;
  std::uint64_t applied_index = 0;
  bool done = false;
};

// Makes the node that `folder` belongs to the only voter of what it has; without `confirmed` it only says what would be
// done. `node_id` empty: as kept in the folder. kUnavailable while a server runs there.
Result<QuorumRecovery> recover_quorum(Disk& disk, const std::string& folder, std::string node_id, bool confirmed);

}  // namespace coffer::server
