// The whole state at one index as a stream of checksummed chunks, spooled to a file (docs/formats/snapshot.md): for a
// member that is too far behind, for backups, and to write a fresh generation file. Memory is one chunk, whatever the
// size.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/disk.h"
#include "store/backend.h"
#include "store/current.h"
#include "store/set_hash.h"

namespace coffer::store {

struct SnapshotMeta {
  Index applied;
  Term term;             // of the entry `applied`
  SetHashKey hash_key{}; // replicas that share it can compare their set hashes
  std::string extra;     // the caller's: group configuration, cluster time
};

// Writes to a file from its beginning. Whole, and worth keeping, only after finish() has succeeded.
class SnapshotWriter {
 public:
  static Result<std::unique_ptr<SnapshotWriter>> begin(File& out, const SnapshotMeta& meta);
  // In ascending order of keys.
  Status add(std::string_view key, std::string_view value);
  // Ends the stream. The file is not synced: it is on its way to somebody, and who keeps it syncs it.
  Status finish();

 private:
  explicit SnapshotWriter(File& out, const SetHashKey& hash_key) : out_(out), hash_(hash_key) {}
  Status write_chunk(std::uint8_t kind, std::string_view body);

  File& out_;
  SetHash hash_;
  std::string body_;
  std::uint64_t records_ = 0;
  std::uint64_t offset_ = 0;
  std::uint32_t chunk_ = 0;
};

// Everything of `view`, with the index that the view has.
Status write_snapshot(const View& view, SnapshotMeta meta, File& out);

// Reads what SnapshotWriter wrote. kDataLoss, naming the file and the offset, for anything else; what was read before
// that must then not be used, so a reader who acts while reading acts on something that can be thrown away.
class SnapshotReader {
 public:
  static Result<std::unique_ptr<SnapshotReader>> open(std::unique_ptr<File> file, std::string name);
  const SnapshotMeta& meta() const noexcept { return meta_; }
  // `seen` is shown each record that next() comes to. Before the first.
  void on_record(std::function<void(std::string_view key, std::string_view value)> seen) { seen_ = std::move(seen); }
  // The next record; false when the stream has ended as its writer ended it.
  Result<bool> next();
  std::string_view key() const noexcept { return key_; }
  std::string_view value() const noexcept { return value_; }
  Hash128 set_hash() const noexcept { return hash_.sum(); }

 private:
  SnapshotReader(std::unique_ptr<File> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)), hash_(SetHashKey{}) {}
  Result<std::uint8_t> read_chunk();
  Status read_header();
  Status check_end() const;
  Status damaged(std::string_view what) const;

  const std::unique_ptr<File> file_;
  const std::string name_;
  std::function<void(std::string_view, std::string_view)> seen_;
  SnapshotMeta meta_;
  SetHash hash_;
  std::string chunk_bytes_;
  std::string_view body_;  // of the chunk, not read yet
  std::string last_key_;   // of the chunk before
  std::string_view key_;
  std::string_view value_;
  std::uint64_t records_ = 0;
  std::uint64_t offset_ = 0;
  std::uint32_t chunk_ = 0;
  bool ended_ = false;
};

// A generation file that holds a snapshot and is not in use yet.
struct LoadedState {
  std::string name;  // in the folder
  std::unique_ptr<LmdbState> state;
};
// Writes the snapshot into the next generation file of `folder`. The file is synced and stands at index 0 until a
// commit says otherwise; its name is durable. Nothing is left of it after a failure.
Result<LoadedState> load_snapshot(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                  RandomSource& random, SnapshotReader& snapshot);
// Writes the snapshot into the next generation file of `folder` and switches CURRENT. After a failure the state in use
// is what it was.
Result<std::unique_ptr<LmdbState>> install_snapshot(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                                    RandomSource& random, SnapshotReader& snapshot);

}  // namespace coffer::store
