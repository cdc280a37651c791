// The two ways of a snapshot through the API: out to whoever asks, and in to become the state. Both block, on a thread
// for calls outside.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/request.h"
#include "core/snapshot_file.h"
#include "store/backend.h"

namespace coffer::core {

// Waits for the group to save its state.
Result<SavedState> save_and_wait(const SnapshotPlace& place, Group& group, Nanos time_max);

// What is told of the cluster in meta.json: its name and id as the state has them, and when.
Result<store::ArchiveMeta> archive_meta(const store::View& view, const SnapshotPlace& place, WallTime now);

// As Group::restore() has it.
using Restore = std::function<void(std::string path, std::function<void(Status)> done)>;

// Takes the archive that comes through `body`, checks its sums, and only then hands its state to `restore`, which looks
// at each record before anything is replaced; waits for the outcome. One at a time in a process: kUnavailable. Without
// a `seal` it may be of other keys. kOutcomeUnknown when nothing was heard for limits::kPipedRequestTimeMax.
Status restore_snapshot(const SnapshotPlace& place, BodyPipe& body, const SumsSeal* seal, const Restore& restore);

}  // namespace coffer::core
