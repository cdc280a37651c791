// One generation file of the state: an LMDB environment in one file. Records carry a checksum each; a set hash over all
// of them stands beside the applied index and is committed with it (docs/formats/state.md).
//
// Readers are pooled: a view costs the renewal of a read transaction, not its creation. Commits sync fully. When the
// map is full it is enlarged, which waits for readers in use to come back; commit() is the only one that notices.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "store/set_hash.h"
#include "store/state_table.h"

struct MDB_env;
struct MDB_txn;

namespace coffer::store {

struct LmdbOptions {
  std::uint64_t map_bytes = 64ull << 30;  // address space to begin with, not disk or memory
  unsigned readers_max = 1024;
};

// What stands beside the records.
struct StateSummary {
  Index applied;
  std::uint64_t records = 0;
  Hash128 set_hash;
};

class LmdbState final : public StateTable {
 public:
  // A new file with no records at index 0. `hash_key` is drawn from `random` unless given (a snapshot brings its own).
  static Result<std::unique_ptr<LmdbState>> create(const std::string& path, const LmdbOptions& options,
                                                   RandomSource& random,
                                                   std::optional<SetHashKey> hash_key = std::nullopt);
  // kDataLoss, naming the file and what to do, when it is not whole.
  static Result<std::unique_ptr<LmdbState>> open(const std::string& path, const LmdbOptions& options);
  ~LmdbState() override;

  Result<StateReader*> acquire() override;
  void release(StateReader* reader) noexcept override;
  Status commit(const Generation& generation, Index applied) override;
  Index durable_index() const override { return Index(durable_.load(std::memory_order_acquire)); }
  Result<bool> scrub_step(std::size_t records_max) override;

  // Fills a file that was just created and is nobody else's yet, much faster than by commits: nothing is synced before
  // finish(), so until then a crash leaves a file that may be read by nobody.
  class Load {
   public:
    explicit Load(LmdbState& state);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    // In ascending order of keys.
    Status put(std::string_view key, std::string_view value);
    // All is on stable storage, at index 0. `set_hash` is of all that was put.
    Status finish(const Hash128& set_hash);

   private:
    Status begin();
    Status commit();

    LmdbState& state_;
    MDB_txn* txn_ = nullptr;
    std::size_t bytes_ = 0;  // put in this transaction
    StateSummary summary_;
  };

  // Flusher thread, or before the table is shared.
  const StateSummary& summary() const noexcept { return summary_; }
  const SetHashKey& hash_key() const noexcept { return hash_key_; }
  const std::string& path() const noexcept { return path_; }

 private:
  class Reader;
  class LmdbCursor;
  struct Scrub {
    bool running = false;
    std::string after;  // the last key compared
    std::uint64_t records = 0;
    SetHash hash{SetHashKey{}};
  };
  static constexpr std::size_t kPoolSlots = 64;

  LmdbState(std::string path, MDB_env* env);
  static Result<std::unique_ptr<LmdbState>> open_env(const std::string& path, const LmdbOptions& options);
  Status load_meta();
  Status check_file_size() const;
  Status try_commit(const Generation& generation, Index applied);
  Status put_record(MDB_txn* txn, std::string_view key, std::optional<std::string_view> value, SetHash& hash,
                    StateSummary& summary, Scrub& scrub);
  Status put_summary(MDB_txn* txn, const StateSummary& summary);
  Status grow_map();
  Status ensure_map(std::uint64_t bytes);
  void begin_writeback() noexcept;
  Result<Reader*> make_reader();
  void trim_memory() noexcept;
  void find_map();
  Status damaged(std::string_view what) const;
  Status failed(std::string_view what, int error) const;

  const std::string path_;
  MDB_env* const env_;
  unsigned dbi_ = 0;
  void* map_ = nullptr;  // changes only while no reader is out
  SetHashKey hash_key_{};
  StateSummary summary_;  // flusher thread
  Scrub scrub_;           // flusher thread
  Status dead_;           // flusher thread; set by the first failure
  std::size_t since_trim_ = 0;  // flusher thread; records walked
  std::atomic<std::uint64_t> durable_{0};

  struct alignas(64) Slot {
    std::atomic<Reader*> reader{nullptr};
  };
  std::array<Slot, kPoolSlots> pool_;  // idle readers
  std::atomic<bool> growing_{false};
  std::mutex mutex_;                 // guards readers_ and what is waited for below
  std::condition_variable grown_;    // growing_ became false
  std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace coffer::store
