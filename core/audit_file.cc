#include "core/audit_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/error_text.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/audit_gzip.h"
#include "core/audit_socket.h"
#include "core/descriptor.h"

namespace coffer::core {
namespace {

// Made by the kernel or full of devices: nothing there is a log, whatever it looks like.
constexpr std::string_view kSystemFolders[] = {"/proc", "/sys", "/dev"};

Status system_error(std::string_view what) {
  return Status(Code::kIo, std::string(what).append(": ").append(error_text(errno)));
}

constexpr std::size_t kLastLineBytesMax = 8u << 20;

class PosixAuditFile final : public AuditFile {
 public:
  // `folder` and `name`: where it was opened; without them it has no name.
  explicit PosixAuditFile(Descriptor fd, Descriptor folder = Descriptor(), std::string name = {})
      : fd_(std::move(fd)), folder_(std::move(folder)), name_(std::move(name)) {}

  Result<std::size_t> write(std::string_view bytes) override {
    for (;;) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written > 0)
        return static_cast<std::size_t>(written);
      if (written < 0 && errno == EAGAIN) {
        // A pipe that somebody set non-blocking. Waiting here is like a write that blocks: the device's watch notices
        // it.
        pollfd ready{fd_.get(), POLLOUT, 0};
        ::poll(&ready, 1, -1);
        continue;
      }
      if (written < 0 && errno == EINTR)
        continue;
      return system_error("write");
    }
  }

  Status sync() override {
    // Pipes and terminals cannot be synced and need not be.
    if (::fdatasync(fd_.get()) != 0 && errno != EINVAL && errno != EROFS)
      return system_error("sync");
    return ok_status();
  }

  bool ready() const override {
    pollfd state{fd_.get(), POLLOUT, 0};
    return ::poll(&state, 1, 0) == 1;
  }

  std::uint64_t size() const override {
    struct stat about {};
    return ::fstat(fd_.get(), &about) == 0 && S_ISREG(about.st_mode) ? static_cast<std::uint64_t>(about.st_size) : 0;
  }

  bool replaced() const override {
    struct stat open {};
    struct stat named {};
    if (!folder_.valid() || ::fstat(fd_.get(), &open) != 0)
      return false;
    return ::fstatat(folder_.get(), name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 || named.st_ino != open.st_ino ||
           named.st_dev != open.st_dev;
  }

  bool ends_in_part() const override {
    const std::uint64_t end = folder_.valid() ? size() : 0;
    char last = '\n';
    return end > 0 && ::pread(fd_.get(), &last, 1, static_cast<off_t>(end - 1)) == 1 && last != '\n';
  }

  bool is_at(const std::string& path) const override {
    struct stat open {};
    struct stat named {};
    return folder_.valid() && ::fstat(fd_.get(), &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
  }

  std::string last_line() const override {
    const std::uint64_t end = folder_.valid() ? size() : 0;
    std::string tail;
    for (std::size_t want = 64u << 10; want <= kLastLineBytesMax && end > 0; want *= 4) {
      const std::size_t length = std::min<std::uint64_t>(want, end);
      tail.resize(length);
      if (::pread(fd_.get(), tail.data(), length, static_cast<off_t>(end - length)) != static_cast<ssize_t>(length))
        return {};
      const std::size_t last = tail.rfind('\n');
      const bool more = last != std::string::npos && last != 0;
      const std::size_t before = more ? tail.rfind('\n', last - 1) : std::string::npos;
      const std::size_t begin = before == std::string::npos ? 0 : before + 1;
      if (last != std::string::npos && (begin != 0 || length == end))
        return tail.substr(begin, last - begin);
      if (length == end)
        return {};
    }
    return {};
  }

 private:
  Descriptor fd_;
  Descriptor folder_;
  std::string name_;
};

class DiscardFile final : public AuditFile {
 public:
  Result<std::size_t> write(std::string_view bytes) override { return bytes.size(); }
  Status sync() override { return ok_status(); }
  bool ready() const override { return true; }
};

// The path by which the kernel knows an open folder: absolute, without symlinks.
Result<std::string> true_path(int folder) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  char target[PATH_MAX];
  const ssize_t size = ::readlink(link, target, sizeof target);
  if (size <= 0 || static_cast<std::size_t>(size) >= sizeof target || target[0] != '/')
    return system_error("resolving the folder");
  return std::string(target, static_cast<std::size_t>(size));
}

bool is_inside(std::string_view path, std::string_view folder) {
  while (folder.size() > 1 && folder.back() == '/')
    folder.remove_suffix(1);
  if (folder == "/")
    return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Status check_folder(int folder, std::span<const std::string> forbidden) {
  if (mutant(Mutant::kAuditFileAnywhere))
    return ok_status();
  COFFER_ASSIGN(const std::string path, true_path(folder));
  for (const std::string_view system : kSystemFolders)
    if (is_inside(path, system))
      return Status(Code::kInvalid, "file_path: must not be in a system folder");
  for (const std::string& entry : forbidden) {
    if (entry.empty())
      continue;
    char resolved[PATH_MAX];
    // A forbidden folder that does not exist yet is compared by its text.
    const char* real = ::realpath(entry.c_str(), resolved);
    if (is_inside(path, real != nullptr ? real : entry.c_str()))
      return Status(Code::kInvalid, "file_path: must not be in the server's data, plugin, TLS or configuration folder");
  }
  return ok_status();
}

// The folder part of a path, opened component by component; what is missing is made, unless it would stand in a
// forbidden folder.
Result<Descriptor> open_folder(std::string_view folder, std::span<const std::string> forbidden) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  Descriptor at(::open(folder.starts_with('/') ? "/" : ".", kFlags));
  if (!at.valid())
    return system_error("opening the folder");
  while (!folder.empty()) {
    const std::size_t end = folder.find('/');
    const std::string name(folder.substr(0, end));
    folder = end == std::string_view::npos ? std::string_view() : folder.substr(end + 1);
    if (name.empty() || name == ".")
      continue;
    Descriptor next(::openat(at.get(), name.c_str(), kFlags));
    if (!next.valid() && errno == ENOENT) {
      COFFER_TRY(check_folder(at.get(), forbidden));
      if (::mkdirat(at.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
        return system_error("making the folder");
      next = Descriptor(::openat(at.get(), name.c_str(), kFlags | O_NOFOLLOW));
    }
    if (!next.valid())
      return system_error("opening the folder");
    at = std::move(next);
  }
  COFFER_TRY(check_folder(at.get(), forbidden));
  return at;
}

// An existing file: regular, ours alone, never to be executed, and either empty or begun by us.
Status check_existing(int fd) {
  if (mutant(Mutant::kAuditFileAnywhere))
    return ok_status();
  struct stat about {};
  if (::fstat(fd, &about) != 0)
    return system_error("file_path");
  if (!S_ISREG(about.st_mode))
    return Status(Code::kInvalid, "file_path: must be a regular file");
  if (about.st_nlink > 1)
    return Status(Code::kInvalid, "file_path: must not be a file with several names");
  if ((about.st_mode & 07111) != 0)
    return Status(Code::kInvalid, "file_path: must not be an executable file");
  char head[kAuditLineHead.size()];
  const ssize_t size = ::pread(fd, head, sizeof head, 0);
  if (size < 0)
    return system_error("file_path");
  // A disk that filled up may have cut our first line short.
  if (!kAuditLineHead.starts_with(std::string_view(head, static_cast<std::size_t>(size))))
    return Status(Code::kInvalid, "file_path: must be a new file or an audit log");
  return ok_status();
}

std::pair<std::string_view, std::string> split(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos)
    return {std::string_view(), std::string(path)};
  return {path.substr(0, slash + 1), std::string(path.substr(slash + 1))};
}

// ".20261122T114013.042" behind a file's name.
std::string rotation_suffix(WallTime now) {
  const std::string time = format_time(now);  // 2026-11-22T11:40:13.042…Z
  std::string out = ".";
  for (const char c : std::string_view(time).substr(0, 19))
    if (c != '-' && c != ':')
      out.push_back(c);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  char text[8];
  std::snprintf(text, sizeof text, ".%03d", static_cast<int>(millis));
  return out + text;
}

bool is_rotated(std::string_view candidate, std::string_view name) {
  constexpr std::string_view kShape = ".dddddddd" "Tdddddd.ddd";
  if (candidate.ends_with(kGzipSuffix))
    candidate.remove_suffix(kGzipSuffix.size());
  if (candidate.size() != name.size() + kShape.size() || !candidate.starts_with(name))
    return false;
  candidate.remove_prefix(name.size());
  for (std::size_t i = 0; i < kShape.size(); ++i)
    if (kShape[i] == 'd' ? candidate[i] < '0' || candidate[i] > '9' : candidate[i] != kShape[i])
      return false;
  return true;
}

// Files that were put aside, the oldest first.
Result<std::vector<std::string>> rotated_files(int folder, const std::string& name) {
  const int listed = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = listed < 0 ? nullptr : ::fdopendir(listed);
  if (listing == nullptr) {
    const Status failed = system_error("listing the folder");
    if (listed >= 0)
      ::close(listed);
    return failed;
  }
  std::vector<std::string> rotated;
  while (const dirent* entry = ::readdir(listing))
    if (is_rotated(entry->d_name, name))
      rotated.emplace_back(entry->d_name);
  ::closedir(listing);
  std::sort(rotated.begin(), rotated.end());
  return rotated;
}

bool is_ours(int folder, const std::string& name) {
  const Descriptor file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid())
    return false;
  return name.ends_with(kGzipSuffix) ? is_gzip_of(file.get(), kAuditLineHead) : check_existing(file.get()).ok();
}

class PosixAuditFiles final : public AuditFileSystem {
 public:
  Result<OpenedAuditFile> open(const AuditOptions& options, std::span<const std::string> forbidden) override {
    switch (options.target) {
      case AuditTarget::kDiscard: return OpenedAuditFile{std::make_unique<DiscardFile>(), false};
      case AuditTarget::kStdout: {
        Descriptor out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
        if (!out.valid())
          return system_error("stdout");
        return OpenedAuditFile{std::make_unique<PosixAuditFile>(std::move(out)), false};
      }
      case AuditTarget::kSyslog:
      case AuditTarget::kTcp:
      case AuditTarget::kUdp:
      case AuditTarget::kUnix: {
        COFFER_ASSIGN(std::unique_ptr<AuditFile> socket, open_audit_socket(options, forbidden));
        return OpenedAuditFile{std::move(socket), false};
      }
      case AuditTarget::kFile: break;
    }
    return open_path(options, forbidden);
  }

  void remove(const AuditOptions& options) override {
    if (options.target == AuditTarget::kFile)
      ::unlink(options.file_path.c_str());
  }

  Status rotate(const AuditOptions& options, std::span<const std::string> forbidden, WallTime now) override {
    if (options.target != AuditTarget::kFile)
      return ok_status();
    const auto [folder_text, name] = split(options.file_path);
    COFFER_ASSIGN(const Descriptor folder, open_folder(folder_text, forbidden));
    const std::string aside = name + rotation_suffix(now);
    if (::renameat2(folder.get(), name.c_str(), folder.get(), aside.c_str(), RENAME_NOREPLACE) != 0)
      return system_error("renaming the file");
    if (options.rotate_files_max == 0 && !options.rotate_compress)
      return ok_status();
    COFFER_ASSIGN(const std::vector<std::string> rotated, rotated_files(folder.get(), name));
    const std::size_t kept = options.rotate_files_max == 0 ? rotated.size() : options.rotate_files_max;
    const std::size_t gone = rotated.size() - std::min(kept, rotated.size());
    for (std::size_t i = 0; i < rotated.size(); ++i) {
      if (i < gone ? !is_ours(folder.get(), rotated[i]) : !options.rotate_compress)
        continue;
      if (i < gone)
        ::unlinkat(folder.get(), rotated[i].c_str(), 0);
      else if (!rotated[i].ends_with(kGzipSuffix) && is_ours(folder.get(), rotated[i]))
        gzip_.put(Descriptor(::fcntl(folder.get(), F_DUPFD_CLOEXEC, 3)), rotated[i]);
    }
    return ok_status();
  }

 private:
  static Result<OpenedAuditFile> open_path(const AuditOptions& options, std::span<const std::string> forbidden) {
    constexpr int kFlags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const auto [folder_text, name] = split(options.file_path);
    COFFER_ASSIGN(Descriptor folder, open_folder(folder_text, forbidden));
    bool created = true;
    Descriptor fd(::openat(folder.get(), name.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
    if (!fd.valid() && errno == EEXIST) {
      created = false;
      fd = Descriptor(::openat(folder.get(), name.c_str(), kFlags));
    }
    if (!fd.valid() && errno == ELOOP)
      return Status(Code::kInvalid, "file_path: must not be a symbolic link");
    if (!fd.valid())
      return system_error("file_path");
    if (!created)
      COFFER_TRY(check_existing(fd.get()));
    if (options.mode != 0 && ::fchmod(fd.get(), options.mode) != 0)
      return system_error("mode");
    return OpenedAuditFile{std::make_unique<PosixAuditFile>(std::move(fd), std::move(folder), name), created};
  }

  GzipThread gzip_;
};

}  // namespace

Status check_audit_socket_path(const std::string& path, std::span<const std::string> forbidden_folders) {
  const auto [folder_text, name] = split(path);
  Descriptor at(::open(folder_text.empty() ? "." : std::string(folder_text).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid())
    return system_error("address");
  COFFER_TRY(check_folder(at.get(), forbidden_folders));
  struct stat about {};
  if (::fstatat(at.get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
    return system_error("address");
  return S_ISSOCK(about.st_mode) ? ok_status() : Status(Code::kInvalid, "address: must be a socket");
}

std::shared_ptr<AuditFileSystem> posix_audit_files() { return std::make_shared<PosixAuditFiles>(); }

}  // namespace coffer::core
