#include "base/disk.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

#include "base/mutant.h"

namespace coffer {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kMutantFileMode = 0644;
constexpr mode_t kFolderMode = 0700;
constexpr const char* kLockName = "LOCK";

Status os_error(std::string_view what, const std::string& path, int error) {
  return Status(Code::kIo, std::string(what) + " " + path + ": " + std::system_category().message(error));
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return os_error("read", path_, errno);
      if (n == 0)
        break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return os_error("write", path_, errno);
      offset += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return ok_status();
  }

  Status append(std::string_view bytes) override {
    COFFER_ASSIGN(const std::uint64_t end, size());
    return write_at(end, bytes);
  }

  Status preallocate(std::uint64_t size) override {
    const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
    return error == 0 ? ok_status() : os_error("preallocate", path_, error);
  }

  Status truncate(std::uint64_t size) override {
    return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? ok_status() : os_error("truncate", path_, errno);
  }

  Status sync_data() override {
    return ::fdatasync(fd_) == 0 ? ok_status() : os_error("sync", path_, errno);
  }

  Result<std::uint64_t> size() const override {
    struct stat info {};
    if (::fstat(fd_, &info) != 0)
      return os_error("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  const int fd_;
  const std::string path_;
};

class PosixLock final : public FolderLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  const int fd_;
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kReadWrite: return O_RDWR;
    case OpenMode::kCreateNew: return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateOrEmpty: return O_RDWR | O_CREAT | O_TRUNC;
  }
  COFFER_CHECK(false);
}

class PosixDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const int fd = ::open(path.c_str(), open_flags(mode) | O_CLOEXEC | O_NOFOLLOW, kFileMode);
    if (fd < 0)
      return os_error("open", path, errno);
    auto file = std::make_unique<PosixFile>(fd, path);
    const bool creates = mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrEmpty;
    if (creates && ::fchmod(fd, mutant(Mutant::kFilesReadable) ? kMutantFileMode : kFileMode) != 0)
      return os_error("chmod", path, errno);
    return std::unique_ptr<File>(std::move(file));
  }

  Status make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), kFolderMode) == 0)
      return ::chmod(path.c_str(), kFolderMode) == 0 ? ok_status() : os_error("chmod", path, errno);
    struct stat info {};
    if (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
      return ok_status();
    return os_error("make folder", path, errno);
  }

  Status sync_folder(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      return os_error("open", path, errno);
    const int error = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    return error == 0 ? ok_status() : os_error("sync", path, error);
  }

  Status rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? ok_status() : os_error("rename", from, errno);
  }

  Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? ok_status() : os_error("remove", path, errno);
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    DIR* stream = ::opendir(folder.c_str());
    if (stream == nullptr)
      return os_error("list", folder, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..")
        names.emplace_back(name);
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0)
      return os_error("list", folder, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> exists(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0)
      return true;
    if (errno == ENOENT)
      return false;
    return os_error("stat", path, errno);
  }

  Result<std::unique_ptr<FolderLock>> lock_folder(const std::string& folder) override {
    const std::string path = folder + "/" + kLockName;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode);
    if (fd < 0)
      return os_error("open", path, errno);
    auto lock = std::make_unique<PosixLock>(fd);
    if (::fchmod(fd, kFileMode) != 0)
      return os_error("chmod", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return Status(Code::kUnavailable, "the data folder " + folder + " is in use by another process");
      return os_error("lock", path, errno);
    }
    return std::unique_ptr<FolderLock>(std::move(lock));
  }

  Result<std::uint64_t> free_bytes(const std::string& folder) override {
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) != 0)
      return os_error("stat", folder, errno);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }
};

}  // namespace

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

Result<std::string> read_file(Disk& disk, const std::string& path, std::size_t bytes_max) {
  COFFER_ASSIGN(const auto file, disk.open(path, OpenMode::kRead));
  COFFER_ASSIGN(const std::uint64_t size, file->size());
  if (size > bytes_max)
    return Status(Code::kTooLarge, path + " is larger than " + std::to_string(bytes_max) + " bytes");
  std::string content(static_cast<std::size_t>(size), '\0');
  COFFER_ASSIGN(const std::size_t got, file->read_at(0, content));
  content.resize(got);
  return content;
}

Status replace_file(Disk& disk, const std::string& folder, const std::string& name, std::string_view bytes) {
  const std::string fresh = folder + "/" + name + ".new";
  {
    COFFER_ASSIGN(const auto file, disk.open(fresh, OpenMode::kCreateOrEmpty));
    COFFER_TRY(file->write_at(0, bytes));
    COFFER_TRY(file->sync_data());
  }
  COFFER_TRY(disk.rename(fresh, folder + "/" + name));
  return disk.sync_folder(folder);
}

}  // namespace coffer
