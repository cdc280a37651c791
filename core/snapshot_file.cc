#include "core/snapshot_file.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/limits.h"
#include "core/room.h"
#include "store/snapshot.h"

namespace coffer::core {
namespace {

constexpr std::string_view kSealPurpose = "snapshot sums";
constexpr std::string_view kSealKind = "hmac-sha256 ";
constexpr std::uint64_t kRoomCheckedBytes = 16u << 20;
// Of a client that sends a snapshot. Without it one that sends a byte now and then keeps all others out.
constexpr std::chrono::minutes kUploadGraceTime{1};
constexpr std::uint64_t kUploadBytesPerSecondMin = 256u << 10;

Nanos upload_time_max(std::uint64_t bytes) {
  const std::chrono::seconds paid(bytes / kUploadBytesPerSecondMin);
  return std::min<Nanos>(kUploadGraceTime + paid, limits::kPipedRequestTimeMax);
}

// Writes the state that is in an archive, within the bounds of the place.
class StateFile {
 public:
  StateFile(const SnapshotPlace& place, File& file) : place_(place), file_(file) {}

  Status begin(const store::ArchiveMeta& meta) {
    COFFER_TRY(store::check_server_version(meta.server_version, place_.server_version));
    return check_room(meta.state_bytes);
  }

  Status append(std::string_view piece) {
    COFFER_TRY(file_.write_at(offset_, piece));
    offset_ += piece.size();
    if (offset_ - checked_ < kRoomCheckedBytes)
      return ok_status();
    checked_ = offset_;
    return check_room(0);
  }

 private:
  Status check_room(std::uint64_t more) const {
    COFFER_ASSIGN(const bool there, has_room(place_.disk, place_.spool, place_.free_bytes_min, more));
    if (there)
      return ok_status();
    return Status(Code::kTooLarge, "the disk of the storage path has no room for this snapshot");
  }

  const SnapshotPlace& place_;
  File& file_;
  std::uint64_t offset_ = 0;
  std::uint64_t checked_ = 0;
};

Result<std::unique_ptr<store::SnapshotReader>> open_stream(Disk& disk, const std::string& path) {
  COFFER_ASSIGN(std::unique_ptr<File> file, disk.open(path, OpenMode::kRead));
  return store::SnapshotReader::open(std::move(file), "state.bin");
}

Status check_header(Disk& disk, const std::string& path, const store::ArchiveMeta& meta) {
  const auto reader = open_stream(disk, path);
  COFFER_TRY(as_sent(reader.status()));
  const store::SnapshotMeta& header = (*reader)->meta();
  if (header.applied != meta.index || header.term != meta.term)
    return Status(Code::kInvalid, "the snapshot is damaged: meta.json and state.bin are of different states");
  return ok_status();
}

}  // namespace

Status as_sent(const Status& status) {
  return status.code() == Code::kDataLoss ? Status(Code::kInvalid, status.message()) : status;
}

SumsSeal::SumsSeal(const seal::Keyring& keyring) : key_(keyring.derive(kSealPurpose)) {}

std::string SumsSeal::seal(std::string_view sums) const {
  const crypto::Digest256 mac = key_.mac(sums);
  return std::string(kSealKind) + hex_encode({reinterpret_cast<const char*>(mac.data()), mac.size()}) + "\n";
}

bool SumsSeal::verify(std::string_view sums, std::string_view sealed) const {
  if (!sealed.starts_with(kSealKind) || !sealed.ends_with('\n'))
    return false;
  sealed.remove_prefix(kSealKind.size());
  sealed.remove_suffix(1);
  const Result<std::string> mac = hex_decode(sealed);
  const auto bytes = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  return mac.ok() && mac->size() == sizeof(crypto::Digest256) && key_.verify(bytes(sums), bytes(*mac));
}

ArchiveSource::ArchiveSource(SpoolFile spool, std::unique_ptr<File> file, const store::ArchiveMeta& meta,
                             std::shared_ptr<const SumsSeal> seal)
    : spool_(std::move(spool)), file_(std::move(file)), seal_(std::move(seal)),
      writer_(meta, [this](std::string_view sums) { return seal_->seal(sums); }), state_bytes_(meta.state_bytes),
      piece_(limits::kArchivePieceBytes, '\0') {}

Result<std::unique_ptr<ArchiveSource>> ArchiveSource::open(Disk& disk, SavedState saved, store::ArchiveMeta meta,
                                                           std::shared_ptr<const SumsSeal> seal) {
  SpoolFile spool = std::move(saved.file);
  COFFER_ASSIGN(std::unique_ptr<File> file, disk.open(spool.path(), OpenMode::kRead));
  COFFER_ASSIGN(meta.state_bytes, file->size());
  meta.index = saved.index;
  meta.term = saved.term;
  meta.id = "raft-" + std::to_string(saved.term.get()) + "-" + std::to_string(saved.index.get());
  return std::unique_ptr<ArchiveSource>(new ArchiveSource(std::move(spool), std::move(file), meta, std::move(seal)));
}

Result<bool> ArchiveSource::next(std::string& out) {
  if (!std::exchange(begun_, true))
    writer_.begin(out);
  COFFER_ASSIGN(const std::size_t got, file_->read_at(offset_, piece_));
  if (got > state_bytes_ - offset_ || (got < piece_.size() && offset_ + got != state_bytes_))
    return Status(Code::kIo, "the file of a snapshot has changed while it was read");
  writer_.state(std::string_view(piece_).substr(0, got), out);
  offset_ += got;
  if (offset_ < state_bytes_)
    return true;
  writer_.finish(out);
  return false;
}

Result<TakenSnapshot> take_snapshot(const SnapshotPlace& place, const std::string& name, BodyPipe& body,
                                    const SumsSeal* seal) {
  SpoolFile spool(place.disk, place.spool + "/" + name);
  COFFER_ASSIGN(const std::unique_ptr<File> file, place.disk.open(spool.path(), OpenMode::kCreateOrEmpty));
  StateFile state(place, *file);
  store::ArchiveReader reader([&](const store::ArchiveMeta& meta) { return state.begin(meta); },
                              [&](std::string_view piece) { return state.append(piece); });
  const BootTime begun = place.clock->boot_now();
  for (std::uint64_t taken = 0;;) {
    COFFER_ASSIGN(const std::string piece, body.take(limits::kPipeSilenceMax));
    if (piece.empty())
      break;
    taken += piece.size();
    if (place.clock->boot_now() - begun > upload_time_max(taken))
      return Status(Code::kUnavailable, "the snapshot came too slowly, try again from a nearer place");
    if (place.stopping)
      return Status(Code::kUnavailable, "the node is stopping");
    if (taken > place.archive_bytes_max)
      return Status(Code::kTooLarge, "the snapshot is larger than max_snapshot_size allows");
    COFFER_TRY(reader.take(piece));
  }
  COFFER_TRY(reader.finish());
  if (seal != nullptr && !seal->verify(reader.sums(), reader.sealed_sums()))
    return Status(Code::kInvalid,
                  "could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the "
                  "snapshot-force API to bypass this check");
  COFFER_TRY(check_header(place.disk, spool.path(), reader.meta()));
  return TakenSnapshot{std::move(spool), reader.meta()};
}

Result<RestoreScan> scan_stream(Disk& disk, const std::string& path) {
  RestoreScan scan;
  COFFER_ASSIGN(const auto reader, open_stream(disk, path));
  for (;;) {
    COFFER_ASSIGN(const bool more, reader->next());
    if (!more)
      break;
    scan.see(reader->key(), reader->value());
  }
  COFFER_TRY(scan.verdict());
  return scan;
}

}  // namespace coffer::core
