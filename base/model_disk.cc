#include "base/model_disk.h"

#include <algorithm>

namespace coffer {
namespace {

constexpr std::size_t kSectorBytes = 512;

Status io(std::string_view what, const std::string& path, std::string_view why) {
  return Status(Code::kIo, std::string(what) + " " + path + ": " + std::string(why));
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

class ModelDisk::ModelFile final : public File {
 public:
  ModelFile(ModelDisk& disk, std::shared_ptr<Inode> inode, std::string path)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), life_(disk.life_) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    COFFER_TRY(alive());
    const std::string& from = inode_->current;
    if (offset >= from.size())
      return std::size_t{0};
    const std::size_t size = std::min<std::size_t>(out.size(), from.size() - offset);
    std::copy_n(from.data() + offset, size, out.data());
    return size;
  }
  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    return record({offset, std::string(bytes), false},
                  std::max<std::uint64_t>(inode_->current.size(), offset + bytes.size()));
  }
  Status append(std::string_view bytes) override { return write_at(inode_->current.size(), bytes); }
  // Space and length change together here; a crash may undo both, as on a file system that journals them.
  Status preallocate(std::uint64_t size) override {
    return size <= inode_->current.size() ? ok_status() : record({size, {}, true}, size);
  }
  Status truncate(std::uint64_t size) override { return record({size, {}, true}, size); }
  Status sync_data() override {
    COFFER_TRY(alive());
    COFFER_TRY(disk_.change("sync", path_));
    if (disk_.fail_syncs_)
      return io("sync", path_, "Input/output error");
    ++disk_.syncs_;
    for (const Write& write : inode_->unsynced)
      put(inode_->durable, write);
    inode_->unsynced.clear();
    return ok_status();
  }
  Result<std::uint64_t> size() const override {
    COFFER_TRY(alive());
    return std::uint64_t{inode_->current.size()};
  }

 private:
  Status alive() const {
    return life_ == disk_.life_ && !disk_.off_ ? ok_status() : io("use", path_, "the power is off");
  }

  // The change that the power fails in may or may not reach the platter: it is recorded like any other.
  Status record(Write write, std::uint64_t size_after) {
    COFFER_TRY(alive());
    COFFER_TRY(disk_.space_for(*inode_, size_after, path_));
    const Status status = disk_.change("write", path_);
    put(inode_->current, write);
    inode_->unsynced.push_back(std::move(write));
    return status;
  }

  ModelDisk& disk_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const std::uint64_t life_;
};

namespace {
class ModelLock final : public FolderLock {
 public:
  explicit ModelLock(bool& held) : held_(held) { held_ = true; }
  ~ModelLock() override { held_ = false; }

 private:
  bool& held_;
};
}  // namespace

ModelDisk::~ModelDisk() = default;

// SplitMix64: a stream that is the same everywhere for a seed.
std::uint64_t ModelDisk::random() {
  std::uint64_t z = (random_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

Status ModelDisk::change(std::string_view what, const std::string& path) {
  if (off_)
    return io(what, path, "the power is off");
  ++changes_;
  if (changes_left_ > 0 && --changes_left_ == 0) {
    off_ = true;
    return io(what, path, "the power is off");
  }
  return ok_status();
}

Status ModelDisk::space_for(Inode& inode, std::uint64_t size, const std::string& path) {
  const std::uint64_t grows = size > inode.current.size() ? size - inode.current.size() : 0;
  if (grows > free_bytes_)
    return io("write", path, "No space left on device");
  free_bytes_ -= grows;
  return ok_status();
}

void ModelDisk::put(std::string& content, const Write& write) {
  if (write.truncates) {
    content.resize(write.offset);
    return;
  }
  if (content.size() < write.offset + write.bytes.size())
    content.resize(write.offset + write.bytes.size());
  std::copy(write.bytes.begin(), write.bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(write.offset));
}

void ModelDisk::apply(Names& names, const FolderChange& change) {
  if (change.from.empty()) {
    names[change.to] = change.inode;
    return;
  }
  const auto at = names.find(change.from);
  if (at == names.end())
    return;
  const std::shared_ptr<Inode> inode = at->second;
  names.erase(at);
  if (!change.to.empty())
    names[change.to] = inode;
}

Result<std::unique_ptr<File>> ModelDisk::open(const std::string& path, OpenMode mode) {
  if (off_)
    return io("open", path, "the power is off");
  const auto at = names_.find(path);
  const bool there = at != names_.end();
  if (mode == OpenMode::kCreateNew && there)
    return io("open", path, "File exists");
  if ((mode == OpenMode::kRead || mode == OpenMode::kReadWrite) && !there)
    return io("open", path, "No such file or directory");
  if (there && mode != OpenMode::kCreateOrEmpty)
    return std::unique_ptr<File>(std::make_unique<ModelFile>(*this, at->second, path));
  COFFER_TRY(change("open", path));
  const auto inode = there ? at->second : std::make_shared<Inode>();
  auto file = std::make_unique<ModelFile>(*this, inode, path);
  if (there) {
    COFFER_TRY(file->truncate(0));
  } else {
    const FolderChange created{{}, path, inode};
    apply(names_, created);
    unsynced_changes_.push_back(created);
  }
  return std::unique_ptr<File>(std::move(file));
}

// Folders are taken to be there as soon as they are made, and to stay.
Status ModelDisk::make_folder(const std::string& path) { return change("make folder", path); }

Status ModelDisk::sync_folder(const std::string& path) {
  COFFER_TRY(change("sync", path));
  if (fail_syncs_)
    return io("sync", path, "Input/output error");
  ++syncs_;
  std::vector<FolderChange> others;
  for (const FolderChange& change : unsynced_changes_) {
    if (folder_of(change.to.empty() ? change.from : change.to) == path)
      apply(durable_names_, change);
    else
      others.push_back(change);
  }
  unsynced_changes_ = std::move(others);
  return ok_status();
}

Status ModelDisk::rename(const std::string& from, const std::string& to) {
  COFFER_TRY(change("rename", from));
  if (!names_.contains(from))
    return io("rename", from, "No such file or directory");
  unsynced_changes_.push_back({from, to, nullptr});
  apply(names_, unsynced_changes_.back());
  return ok_status();
}

Status ModelDisk::remove(const std::string& path) {
  COFFER_TRY(change("remove", path));
  const auto at = names_.find(path);
  if (at == names_.end())
    return io("remove", path, "No such file or directory");
  free_bytes_ += at->second->current.size();
  unsynced_changes_.push_back({path, {}, nullptr});
  apply(names_, unsynced_changes_.back());
  return ok_status();
}

Result<std::vector<std::string>> ModelDisk::list(const std::string& folder) {
  if (off_)
    return io("list", folder, "the power is off");
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (folder_of(path) == folder)
      names.push_back(path.substr(folder.size() + 1));
  }
  return names;
}

Result<bool> ModelDisk::exists(const std::string& path) {
  if (off_)
    return io("stat", path, "the power is off");
  return names_.contains(path);
}

Result<std::unique_ptr<FolderLock>> ModelDisk::lock_folder(const std::string& folder) {
  bool& held = locks_[folder];
  if (held)
    return Status(Code::kUnavailable, "the data folder " + folder + " is in use by another process");
  return std::unique_ptr<FolderLock>(std::make_unique<ModelLock>(held));
}

Result<std::uint64_t> ModelDisk::free_bytes(const std::string&) { return free_bytes_; }

bool ModelDisk::flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
  const auto at = names_.find(path);
  if (at == names_.end() || offset >= at->second->durable.size())
    return false;
  at->second->durable[offset] = static_cast<char>(at->second->durable[offset] ^ (1 << (bit % 8)));
  at->second->current = at->second->durable;
  for (const Write& write : at->second->unsynced)
    put(at->second->current, write);
  return true;
}

void ModelDisk::cut_write(Inode& inode, const Write& write, const CutFaults& faults, CutReport& report) {
  if (chance(500)) {
    ++report.dropped;
    return;
  }
  if (!write.truncates && chance(faults.misdirected_permille)) {
    ++report.misdirected;
    Write elsewhere = write;
    const std::uint64_t sectors = inode.durable.size() / kSectorBytes;
    elsewhere.offset = sectors == 0 ? 0 : random() % sectors * kSectorBytes;
    const std::uint64_t end = std::max<std::uint64_t>(inode.durable.size(), elsewhere.offset);
    elsewhere.bytes.resize(std::min<std::uint64_t>(elsewhere.bytes.size(), end - elsewhere.offset));
    put(inode.durable, elsewhere);
    return;
  }
  if (write.truncates || !chance(faults.torn_permille)) {
    ++report.kept;
    put(inode.durable, write);
    return;
  }
  ++report.torn;
  for (std::size_t at = 0; at < write.bytes.size(); at += kSectorBytes) {
    if (chance(500))
      put(inode.durable, {write.offset + at, write.bytes.substr(at, kSectorBytes), false});
  }
}

void ModelDisk::cut_inode(Inode& inode, const CutFaults& faults, CutReport& report) {
  for (const Write& write : inode.unsynced)
    cut_write(inode, write, faults, report);
  inode.unsynced.clear();
  inode.current = inode.durable;
}

ModelDisk::CutReport ModelDisk::power_cut(const CutFaults& faults) {
  CutReport report;
  // Half of the time the folder's changes survive in order up to some point, as a journal keeps them; else any of them.
  const bool in_order = chance(500);
  const std::size_t upto = unsynced_changes_.empty() ? 0 : random() % (unsynced_changes_.size() + 1);
  for (std::size_t i = 0; i < unsynced_changes_.size(); ++i) {
    if (in_order ? i < upto : chance(500))
      apply(durable_names_, unsynced_changes_[i]);
  }
  unsynced_changes_.clear();
  names_ = durable_names_;
  for (const auto& [path, inode] : names_)
    cut_inode(*inode, faults, report);
  ++life_;
  off_ = false;
  changes_left_ = 0;
  return report;
}

}  // namespace coffer
