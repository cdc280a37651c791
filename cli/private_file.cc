#include "cli/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error_text.h"
#include "cli/output.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

Status io_error(const std::string& what) { return Status(Code::kIo, what + ": " + lower_error_text(errno)); }

Status write_to_device(const std::string& path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return io_error("open " + path);
  Status status = write_fd(fd, content) ? ok_status() : io_error("write " + path);
  if (::close(fd) != 0 && status.ok())
    status = io_error("close " + path);
  return status;
}

}  // namespace

Status replace_file(const std::string& path, std::string_view content, mode_t mode) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) == 0) {
    if (S_ISDIR(about.st_mode))
      return Status(Code::kIo, "open " + path + ": is a directory");
    if (!S_ISREG(about.st_mode) && !S_ISLNK(about.st_mode))
      return write_to_device(path, content);
  }
  std::string fresh = path + ".XXXXXX";
  const int fd = ::mkostemp(fresh.data(), O_CLOEXEC);
  if (fd < 0)
    return io_error("open " + path);
  Status status = write_fd(fd, content) ? ok_status() : io_error("write " + path);
  if (status.ok() && (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0))
    status = io_error("write " + path);
  if (::close(fd) != 0 && status.ok())
    status = io_error("close " + path);
  if (status.ok() && ::rename(fresh.c_str(), path.c_str()) != 0)
    status = io_error("rename to " + path);
  if (!status.ok())
    ::unlink(fresh.c_str());
  return status;
}

}  // namespace coffer::cli
