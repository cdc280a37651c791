// The log of one simulated node and the disk below it: either the log in memory, or the product's write-ahead log on a
// disk that loses, tears and misplaces what was not synced.
#pragma once

#include <memory>

#include "base/model_disk.h"
#include "store/wal.h"
#include "tests/raft/memory_log.h"
#include "tests/sim/rng.h"

namespace coffer::sim {

class LogDisk {
 public:
  LogDisk(bool real, std::uint64_t seed);

  // Of the current life. Opening may find damage.
  Status open();
  store::Log& log() const noexcept { return *log_; }
  bool real() const noexcept { return real_; }

  enum class Cut { kClean, kTorn, kMisdirected };
  // The end of a life: unsynced writes are lost, kept in part, or written over something else in their file.
  void crash(Rng& rng, Cut cut);
  void wipe();
  void fail_next_sync() { fail_sync_ = true; }
  Status sync();
  // Something was written over synced bytes: the log may refuse to open, and rightly.
  bool damaged() const noexcept { return damaged_; }
  // A sync failed in this life: the node must stop.
  bool sync_failed() const noexcept { return sync_failed_; }

 private:
  const bool real_;
  coffer::testing::MemoryLog memory_;
  std::unique_ptr<ModelDisk> disk_;
  std::unique_ptr<store::WriteAheadLog> wal_;
  store::Log* log_ = nullptr;
  bool damaged_ = false;
  bool fail_sync_ = false;
  bool sync_failed_ = false;
  std::uint64_t seed_;
};

}  // namespace coffer::sim
