#include "actors/snapshot_desk.h"

#include <utility>

#include "base/encoding.h"
#include "core/group_record.h"
#include "core/room.h"
#include "crypto/sha256.h"
#include "raft/entry.h"

namespace coffer::actors {
namespace {

constexpr std::string_view kInstalling = "installing";
constexpr std::string_view kStagedPrefix = "staged-";  // + digest in hex
// One for each peer, one that comes in and one that is staged.
constexpr std::size_t kJobsMax = raft::kVotersMax + raft::kLearnersMax + 2;
constexpr std::size_t kDigestReadBytes = 1u << 20;
constexpr std::uint64_t kRoomCheckedBytes = 16u << 20;  // written between two looks at the disk's free bytes

std::string staged_name(const std::string& digest) { return std::string(kStagedPrefix) + hex_encode(digest); }

// Ends reading and writing when the node stops: a large state takes longer than anybody waits for that.
class StoppableFile final : public File {
 public:
  // `has_room` is asked before the first byte that is written, and then every kRoomCheckedBytes.
  StoppableFile(std::unique_ptr<File> file, const std::atomic<bool>& stopping,
                std::function<Status()> has_room = nullptr)
      : file_(std::move(file)), stopping_(stopping), has_room_(std::move(has_room)) {}
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    COFFER_TRY(go_on());
    return file_->read_at(offset, out);
  }
  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    COFFER_TRY(go_on());
    if (has_room_ && offset >= check_at_) {
      COFFER_TRY(has_room_());
      check_at_ = offset + kRoomCheckedBytes;
    }
    return file_->write_at(offset, bytes);
  }
  Status append(std::string_view bytes) override { return file_->append(bytes); }
  Status preallocate(std::uint64_t size) override { return file_->preallocate(size); }
  Status truncate(std::uint64_t size) override { return file_->truncate(size); }
  Status sync_data() override { return file_->sync_data(); }
  Result<std::uint64_t> size() const override { return file_->size(); }

 private:
  Status go_on() const {
    return stopping_.load(std::memory_order_relaxed) ? Status(Code::kUnavailable, "the node is stopping") : Status();
  }

  const std::unique_ptr<File> file_;
  const std::atomic<bool>& stopping_;
  const std::function<Status()> has_room_;
  std::uint64_t check_at_ = 0;
};

// Hashes a file that is read from its beginning to its end while somebody else reads it.
class HashedFile final : public File {
 public:
  HashedFile(std::unique_ptr<File> file, crypto::Sha256& sha) : file_(std::move(file)), sha_(sha) {}
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    COFFER_CHECK(offset <= hashed_);
    COFFER_ASSIGN(const std::size_t got, file_->read_at(offset, out));
    const std::uint64_t end = offset + got;
    if (end > hashed_) {
      sha_.update(std::string_view(out.data(), got).substr(static_cast<std::size_t>(hashed_ - offset)));
      hashed_ = end;
    }
    return got;
  }
  Status write_at(std::uint64_t, std::string_view) override { return read_only(); }
  Status append(std::string_view) override { return read_only(); }
  Status preallocate(std::uint64_t) override { return read_only(); }
  Status truncate(std::uint64_t) override { return read_only(); }
  Status sync_data() override { return read_only(); }
  Result<std::uint64_t> size() const override { return file_->size(); }

 private:
  static Status read_only() { return Status(Code::kInternal, "a stream is only read"); }

  const std::unique_ptr<File> file_;
  crypto::Sha256& sha_;
  mutable std::uint64_t hashed_ = 0;  // bytes from the beginning
};

}  // namespace

SnapshotDesk::SnapshotDesk(Disk& disk, std::string folder, store::SnapshotTarget& target,
                           std::uint64_t free_bytes_min)
    : disk_(disk),
      folder_(std::move(folder)),
      target_(target),
      free_bytes_min_(free_bytes_min),
      thread_([this] { run(); }) {}

Result<std::unique_ptr<SnapshotDesk>> SnapshotDesk::open(Disk& disk, const std::string& folder,
                                                         store::SnapshotTarget& target, std::uint64_t free_bytes_min) {
  COFFER_TRY(disk.make_folder(folder).with_context("folder for snapshots on their way"));
  return std::unique_ptr<SnapshotDesk>(new SnapshotDesk(disk, folder, target, free_bytes_min));
}

SnapshotDesk::~SnapshotDesk() {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_one();
  thread_.join();
}

Status SnapshotDesk::clean(const std::set<std::string>& digests) {
  std::set<std::string> keep{std::string(kInstalling)};
  for (const std::string& digest : digests)
    keep.insert(staged_name(digest));
  COFFER_ASSIGN(const auto names, disk_.list(folder_));
  for (const std::string& name : names) {
    if (!keep.contains(name))
      COFFER_TRY(disk_.remove(folder_ + "/" + name));
  }
  return Status();
}

std::string SnapshotDesk::installing_path() const { return folder_ + "/" + std::string(kInstalling); }

bool SnapshotDesk::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_.load(std::memory_order_relaxed) || jobs_.size() >= kJobsMax)
      return false;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void SnapshotDesk::run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_.load(std::memory_order_relaxed) || !jobs_.empty(); });
      if (stopping_.load(std::memory_order_relaxed))
        return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

bool SnapshotDesk::write(std::unique_ptr<store::View> view, store::SnapshotMeta meta,
                         std::function<void(Result<std::string>)> done) {
  std::shared_ptr<const store::View> shared = std::move(view);
  return post([this, shared = std::move(shared), meta = std::move(meta), done = std::move(done)] {
    done(write_file(*shared, meta));
  });
}

Result<std::string> SnapshotDesk::write_file(const store::View& view, store::SnapshotMeta meta) {
  meta.hash_key = target_.hash_key();
  const std::string path = folder_ + "/out-" + std::to_string(++files_made_);
  COFFER_ASSIGN(std::unique_ptr<File> file, disk_.open(path, OpenMode::kCreateOrEmpty));
  StoppableFile out(std::move(file), stopping_, [this] { return check_room(0); });
  if (const Status status = store::write_snapshot(view, std::move(meta), out); !status.ok()) {
    remove(path);
    return status;
  }
  return path;
}

Status SnapshotDesk::check_room(std::uint64_t more) {
  COFFER_ASSIGN(const bool there, core::has_room(disk_, folder_, free_bytes_min_, more));
  return there ? Status()
               : Status(Code::kUnavailable, "the disk of the storage path has no room for a snapshot");
}

// The state that is loaded from a stream is about as large as that.
Status SnapshotDesk::check_room_to_load(const std::string& path) {
  COFFER_ASSIGN(const std::unique_ptr<File> file, disk_.open(path, OpenMode::kRead));
  COFFER_ASSIGN(const std::uint64_t bytes, file->size());
  return check_room(bytes);
}

bool SnapshotDesk::receive(raft::Message message, std::string path, std::function<void(Result<Received>)> done) {
  if (receiving_.exchange(true, std::memory_order_acq_rel))
    return false;
  auto shared = std::make_shared<raft::Message>(std::move(message));
  const bool posted = post([this, shared, path = std::move(path), done = std::move(done)] {
    Result<std::unique_ptr<store::Replacement>> replacement = read_file(*shared, path);
    if (replacement.ok())
      return done(Received{std::move(*shared), path, std::move(replacement).value()});
    remove(path);
    receiving_.store(false, std::memory_order_release);
    done(replacement.status());
  });
  if (!posted)
    receiving_.store(false, std::memory_order_release);
  return posted;
}

Result<std::unique_ptr<store::Replacement>> SnapshotDesk::read_file(const raft::Message& message,
                                                                    const std::string& path) {
  COFFER_ASSIGN(std::unique_ptr<File> file, disk_.open(path, OpenMode::kRead));
  COFFER_ASSIGN(const auto reader,
                store::SnapshotReader::open(std::make_unique<StoppableFile>(std::move(file), stopping_), path));
  COFFER_ASSIGN(const core::SnapshotExtra extra, core::decode_snapshot_extra(reader->meta().extra));
  const raft::SnapshotMeta& told = *message.snapshot;
  if (reader->meta().applied != told.index || reader->meta().term != told.term ||
      extra.configuration != told.configuration || told.index == Index(0))
    return Status(Code::kInvalid, "snapshot " + path + " is not the one that was announced");
  COFFER_TRY(check_room_to_load(path));
  return target_.prepare(*reader);
}

void SnapshotDesk::received_done(Received received) {
  received.replacement.reset();
  remove(received.path);
  receiving_.store(false, std::memory_order_release);
}

std::string SnapshotDesk::staged_path(const std::string& digest) const { return folder_ + "/" + staged_name(digest); }

bool SnapshotDesk::is_staged(const std::string& digest) const {
  const Result<bool> there = disk_.exists(staged_path(digest));
  return there.ok() && *there;
}

bool SnapshotDesk::stage(std::string path, std::function<void(Result<Staged>)> done) {
  if (staging_.exchange(true, std::memory_order_acq_rel))
    return false;
  const bool posted = post([this, path = std::move(path), done = std::move(done)] {
    Result<Staged> staged = stage_file(path);
    if (!staged.ok())
      remove(path);
    staging_.store(false, std::memory_order_release);
    done(std::move(staged));
  });
  if (!posted)
    staging_.store(false, std::memory_order_release);
  return posted;
}

Result<SnapshotDesk::Staged> SnapshotDesk::stage_file(const std::string& path) {
  COFFER_TRY(check_room_to_load(path));
  COFFER_ASSIGN(Staged staged, read_staged(path, "state.bin"));
  {
    COFFER_ASSIGN(const std::unique_ptr<File> file, disk_.open(path, OpenMode::kReadWrite));
    COFFER_TRY(file->sync_data());
  }
  COFFER_TRY(disk_.rename(path, staged_path(staged.digest)));
  COFFER_TRY(disk_.sync_folder(folder_));
  return staged;
}

Result<SnapshotDesk::Staged> SnapshotDesk::restage(const std::string& digest) {
  Result<Staged> staged = read_staged(staged_path(digest), staged_path(digest));
  if (staged.ok() && staged->digest == digest)
    return staged;
  if (staged.code() == Code::kUnavailable)
    return staged;
  return Status(Code::kDataLoss,
                "the state that is to be restored is in the log, but its stream " + staged_path(digest) +
                    (staged.ok() ? " is not what it was" : " cannot be read: " + staged.status().message()) +
                    ". Clear this node's data folder and let it join its cluster anew");
}

Result<SnapshotDesk::Staged> SnapshotDesk::read_staged(const std::string& path, const std::string& name) {
  Staged staged;
  crypto::Sha256 sha;
  COFFER_ASSIGN(std::unique_ptr<File> file, disk_.open(path, OpenMode::kRead));
  auto stoppable = std::make_unique<StoppableFile>(std::move(file), stopping_);
  COFFER_ASSIGN(const auto reader,
                store::SnapshotReader::open(std::make_unique<HashedFile>(std::move(stoppable), sha), name));
  reader->on_record([&staged](std::string_view key, std::string_view value) { staged.scan.see(key, value); });
  COFFER_ASSIGN(staged.replacement, target_.prepare(*reader));
  COFFER_TRY(staged.scan.verdict());
  const crypto::Digest256 digest = sha.finish();
  staged.digest.assign(reinterpret_cast<const char*>(digest.data()), digest.size());
  return staged;
}

// What stays is removed at the next start.
void SnapshotDesk::remove(const std::string& path) {
  const Result<bool> there = disk_.exists(path);
  if (there.ok() && *there)
    static_cast<void>(disk_.remove(path));
}

Status SnapshotDesk::begin_install(const std::string& path) {
  COFFER_TRY(disk_.rename(path, installing_path()));
  return disk_.sync_folder(folder_);
}

Status SnapshotDesk::end_install() {
  COFFER_ASSIGN(const bool there, disk_.exists(installing_path()));
  return there ? disk_.remove(installing_path()) : Status();
}

Result<bool> SnapshotDesk::is_interrupted(Disk& disk, const std::string& folder) {
  return disk.exists(folder + "/" + std::string(kInstalling));
}

Result<std::optional<store::SnapshotMeta>> SnapshotDesk::interrupted() {
  COFFER_ASSIGN(const bool there, disk_.exists(installing_path()));
  if (!there)
    return std::optional<store::SnapshotMeta>();
  COFFER_ASSIGN(std::unique_ptr<File> file, disk_.open(installing_path(), OpenMode::kRead));
  COFFER_ASSIGN(const auto reader, store::SnapshotReader::open(std::move(file), installing_path()));
  return std::optional<store::SnapshotMeta>(reader->meta());
}

}  // namespace coffer::actors
