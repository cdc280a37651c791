// Snapshots for operators between the disk and whoever gives or takes them: a state becomes an archive
// (store/archive.h) piece by piece, an archive that comes in becomes a stream whose sums are right. Nothing here
// replaces the state in use.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/body_pipe.h"
#include "core/group.h"
#include "core/restored.h"
#include "core/spool_file.h"
#include "crypto/hmac.h"
#include "seal/keyring.h"
#include "store/archive.h"

namespace coffer::core {

// Where they may be kept, and how much of it. Immutable but for `stopping`; outlives every request.
struct SnapshotPlace {
  Disk& disk;
  std::string spool;                    // folder, "<storage>/spool"
  std::string automated;                // folder of automated snapshots; empty: none was configured
  std::uint64_t archive_bytes_max = 0;  // that is taken from a client
  std::uint64_t free_bytes_min = 0;     // of the disk, that it must leave
  std::string server_version;
  const Clock* clock = &system_clock();
  std::atomic<bool> stopping{false};    // the process ends: whoever waits for a snapshot gives up
};

// What only nodes with the cluster's keys can say of an archive's sums. Any thread.
class SumsSeal {
 public:
  explicit SumsSeal(const seal::Keyring& keyring);
  std::string seal(std::string_view sums) const;
  bool verify(std::string_view sums, std::string_view sealed) const;

 private:
  crypto::HmacKey key_;
};

// A saved state as an archive. Owns the file. One thread at a time.
class ArchiveSource {
 public:
  // `meta` is completed by what is known of the state.
  static Result<std::unique_ptr<ArchiveSource>> open(Disk& disk, SavedState saved, store::ArchiveMeta meta,
                                                     std::shared_ptr<const SumsSeal> seal);
  // Appends the next piece, limits::kArchivePieceBytes or a little more. False: that was the last.
  Result<bool> next(std::string& out);

 private:
  ArchiveSource(SpoolFile spool, std::unique_ptr<File> file, const store::ArchiveMeta& meta,
                std::shared_ptr<const SumsSeal> seal);

  const SpoolFile spool_;
  const std::unique_ptr<File> file_;
  const std::shared_ptr<const SumsSeal> seal_;
  store::ArchiveWriter writer_;
  const std::uint64_t state_bytes_;
  std::uint64_t offset_ = 0;
  bool begun_ = false;
  std::string piece_;
};

// Damage in a snapshot is of what the client sent, not of this server's state: kInvalid in the place of kDataLoss.
Status as_sent(const Status& status);

// What came in. Its sums are right; its records were not looked at: who loads them does.
struct TakenSnapshot {
  SpoolFile file;  // the stream of store/snapshot.h
  store::ArchiveMeta meta;
};
// Takes an archive as it comes; blocks as long as that takes. Without a `seal` it may be of other keys. `name` is that
// of a new file in the spool folder. After a failure nothing is left of it. kInvalid: it is no snapshot that this
// server takes; kTooLarge: a bound, or the disk.
Result<TakenSnapshot> take_snapshot(const SnapshotPlace& place, const std::string& name, BodyPipe& body,
                                    const SumsSeal* seal);
// Reads the stream at `path` from its first record to its last. kInvalid: it is damaged, or not the state of a server
// that was initialized.
Result<RestoreScan> scan_stream(Disk& disk, const std::string& path);

}  // namespace coffer::core
