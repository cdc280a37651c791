#include "tests/sim/log_disk.h"

#include "base/mutant.h"

namespace coffer::sim {
namespace {

constexpr const char* kFolder = "log";
constexpr std::uint64_t kSegmentBytes = 64u << 10;

}  // namespace

LogDisk::LogDisk(bool real, std::uint64_t seed) : real_(real), seed_(seed) { wipe(); }

void LogDisk::wipe() {
  damaged_ = false;
  wal_.reset();
  memory_.wipe();
  if (!real_)
    return;
  disk_ = std::make_unique<ModelDisk>(++seed_);
  COFFER_CHECK(disk_->make_folder(kFolder).ok());
  COFFER_CHECK(disk_->sync_folder(".").ok());
}

Status LogDisk::open() {
  sync_failed_ = fail_sync_ = false;
  if (!real_) {
    log_ = &memory_;
    return Status();
  }
  disk_->fail_syncs(false);
  store::WalOptions options;
  options.segment_bytes = kSegmentBytes;
  COFFER_ASSIGN(wal_, store::WriteAheadLog::open(*disk_, kFolder, options));
  log_ = wal_.get();
  return Status();
}

Status LogDisk::sync() {
  if (fail_sync_ || sync_failed_) {
    sync_failed_ = true;
    if (!real_)
      return Status(Code::kIo, "the log's sync failed");
    disk_->fail_syncs(true);
  }
  if (!real_ && mutant(Mutant::kSkipLogSync))
    return Status();
  return log_->sync();
}

void LogDisk::crash(Rng& rng, Cut cut) {
  wal_.reset();
  log_ = nullptr;
  if (!real_) {
    const std::size_t unsynced = memory_.unsynced();
    memory_.crash(cut == Cut::kClean || unsynced == 0 ? 0 : static_cast<std::size_t>(rng.below(unsynced + 1)));
    return;
  }
  ModelDisk::CutFaults faults;
  faults.torn_permille = cut == Cut::kTorn ? 500 : 0;
  faults.misdirected_permille = cut == Cut::kMisdirected ? 900 : 0;
  const ModelDisk::CutReport report = disk_->power_cut(faults);
  damaged_ = damaged_ || report.misdirected > 0;
}

}  // namespace coffer::sim
