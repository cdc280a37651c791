// How a snapshot that came from elsewhere becomes the state: it is read and checked beside the state in use, which goes
// on, and then put in its place.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "store/memory_backend.h"
#include "store/snapshot.h"
#include "store/state_backend.h"

namespace coffer::store {

// A snapshot that was read whole. One that does not take over leaves nothing behind. Does not outlive its target.
class Replacement {
 public:
  virtual ~Replacement() = default;
  virtual const SnapshotMeta& meta() const = 0;
  // Applier's thread, once, at a state below `index`. The backend holds the snapshot's records, changed by `ops`, and
  // stands at `index`, also after a crash from here on; nobody sees it before Backend::publish(), which must follow.
  // Returns a view of it. A failure is final and stops the node.
  virtual Result<std::unique_ptr<View>> take_over(Index index, std::span<const Op> ops) = 0;
  // As it was written.
  Result<std::unique_ptr<View>> take_over() { return take_over(meta().applied, {}); }
};

class SnapshotTarget {
 public:
  virtual ~SnapshotTarget() = default;
  // Any thread. kDataLoss when the snapshot is damaged; the state in use is what it was after any failure. Each one
  // that lives has a copy of its state on the disk.
  virtual Result<std::unique_ptr<Replacement>> prepare(SnapshotReader& snapshot) = 0;
  // Of the state in use; snapshots of it carry it. Any thread.
  virtual SetHashKey hash_key() const = 0;
};

// The next generation file in a data folder. What it is given outlives it.
class DiskTarget final : public SnapshotTarget {
 public:
  DiskTarget(Disk& disk, std::string folder, const LmdbOptions& options, RandomSource& random, StateBackend& backend,
             const SetHashKey& hash_key)
      : disk_(disk), folder_(std::move(folder)), options_(options), random_(random), backend_(backend),
        hash_key_(hash_key) {}
  Result<std::unique_ptr<Replacement>> prepare(SnapshotReader& snapshot) override;
  SetHashKey hash_key() const override;

 private:
  class Prepared;
  void forget(const std::string& name);

  Disk& disk_;
  const std::string folder_;
  const LmdbOptions options_;
  RandomSource& random_;
  StateBackend& backend_;
  std::mutex preparing_;            // one prepare() at a time
  mutable std::mutex mutex_;        // guards what follows
  SetHashKey hash_key_;
  std::set<std::string> prepared_;  // names of files that are read and not in use
};

// The same without a disk.
class MemoryTarget final : public SnapshotTarget {
 public:
  explicit MemoryTarget(MemoryBackend& backend) : backend_(backend) {}
  Result<std::unique_ptr<Replacement>> prepare(SnapshotReader& snapshot) override;
  SetHashKey hash_key() const override { return {}; }

 private:
  class Prepared;

  MemoryBackend& backend_;
};

}  // namespace coffer::store
