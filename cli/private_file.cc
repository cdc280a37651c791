#include "cli/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/error_text.h"
#include "cli/output.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

Status io_error(const std::string& what) { return Status(Code::kIo, what + ": " + lower_error_text(errno)); }

}  // namespace

Result<std::unique_ptr<NewFile>> NewFile::begin(const std::string& path, mode_t mode) {
  struct stat about {};
  const bool there = ::lstat(path.c_str(), &about) == 0;
  if (there && S_ISDIR(about.st_mode))
    return Status(Code::kIo, "open " + path + ": is a directory");
  if (there && !S_ISREG(about.st_mode) && !S_ISLNK(about.st_mode)) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
      return io_error("open " + path);
    return std::unique_ptr<NewFile>(new NewFile(path, {}, fd));
  }
  std::string fresh = path + ".XXXXXX";
  const int fd = ::mkostemp(fresh.data(), O_CLOEXEC);
  if (fd < 0)
    return io_error("open " + path);
  std::unique_ptr<NewFile> file(new NewFile(path, std::move(fresh), fd));
  if (::fchmod(fd, mode) != 0)
    return io_error("write " + path);
  return file;
}

NewFile::~NewFile() {
  if (fd_ >= 0)
    ::close(fd_);
  if (!fresh_.empty())
    ::unlink(fresh_.c_str());
}

Status NewFile::write(std::string_view piece) {
  bytes_ += piece.size();
  return write_fd(fd_, piece) ? ok_status() : io_error("write " + path_);
}

Status NewFile::finish() {
  if (!fresh_.empty() && ::fsync(fd_) != 0)
    return io_error("write " + path_);
  if (::close(std::exchange(fd_, -1)) != 0)
    return io_error("close " + path_);
  if (fresh_.empty())
    return ok_status();
  if (::rename(fresh_.c_str(), path_.c_str()) != 0)
    return io_error("rename to " + path_);
  fresh_.clear();
  const std::size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::fsync(fd) != 0) {
    const Status status = io_error("sync " + folder);
    if (fd >= 0)
      ::close(fd);
    return status;
  }
  ::close(fd);
  return ok_status();
}

Status replace_file(const std::string& path, std::string_view content, mode_t mode) {
  COFFER_ASSIGN(const std::unique_ptr<NewFile> file, NewFile::begin(path, mode));
  COFFER_TRY(file->write(content));
  return file->finish();
}

}  // namespace coffer::cli
