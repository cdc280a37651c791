// CURRENT names the state file in use. It is replaced atomically and synced, so a switch to the next generation file
// (restore, received snapshot, compaction) happens as a whole or not at all (docs/formats/current.md).
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/disk.h"
#include "store/lmdb_state.h"

namespace coffer::store {

// The name in `folder`/CURRENT; nothing when there is no such file. kDataLoss when it is damaged.
Result<std::optional<std::string>> read_current(Disk& disk, const std::string& folder);
// After success the switch is durable.
Status write_current(Disk& disk, const std::string& folder, const std::string& name);
// "state-000001.mdb" and so on.
std::string state_file_name(std::uint64_t number);
// The number in such a name; nothing for other names.
std::optional<std::uint64_t> state_file_number(const std::string& name);
// One above every state file there, in use or left over.
Result<std::string> next_state_file(Disk& disk, const std::string& folder);
// All state files but those.
Status remove_other_states(Disk& disk, const std::string& folder, const std::set<std::string>& keep);

// Opens the state that CURRENT names, or makes the first one. Removes what an interrupted switch left behind.
// kDataLoss, naming the file and what to do, when the state there is damaged or CURRENT is missing beside a state with
// content. The folder exists and is locked by the caller.
Result<std::unique_ptr<LmdbState>> open_state(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                              RandomSource& random);

}  // namespace coffer::store
