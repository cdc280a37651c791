#include "cli/editor.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error_text.h"
#include "cli/kv_args.h"
#include "cli/output.h"

extern char** environ;

namespace coffer::cli {
namespace {

// A file in a folder of its own, gone with this.
class PrivateFile {
 public:
  static Result<PrivateFile> create(const Invocation& invocation, const std::string& text) {
    struct stat about {};
    const bool in_memory = stat("/dev/shm", &about) == 0 && access("/dev/shm", W_OK) == 0;
    std::string folder = (in_memory ? std::string("/dev/shm") : invocation.env_or("TMPDIR", "/tmp")) + "/edit-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr)
      return Status(Code::kUnavailable, "no folder for a temporary file: " + error_text(errno));
    PrivateFile file(std::move(folder));
    const int fd = open(file.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
      return Status(Code::kUnavailable, "no temporary file: " + error_text(errno));
    write_fd(fd, text);
    close(fd);
    return file;
  }
  explicit PrivateFile(std::string folder) : folder_(std::move(folder)) {}
  PrivateFile(PrivateFile&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  PrivateFile& operator=(PrivateFile&&) = delete;
  ~PrivateFile() {
    if (folder_.empty())
      return;
    struct stat about {};
    if (const int fd = open(path().c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW); fd >= 0) {
      if (fstat(fd, &about) == 0 && about.st_size > 0)
        write_fd(fd, std::string(static_cast<std::size_t>(about.st_size), '\0'));
      close(fd);
    }
    unlink(path().c_str());
    rmdir(folder_.c_str());
  }

  std::string path() const { return folder_ + "/secret.json"; }

 private:
  std::string folder_;
};

}  // namespace

Result<std::string> edit_text(const Invocation& invocation, const std::string& text) {
  const std::string editor =
      invocation.env_or("VAULT_EDITOR", invocation.env_or("VISUAL", invocation.env_or("EDITOR", "vi")));
  COFFER_ASSIGN(const PrivateFile file, PrivateFile::create(invocation, text));
  // The variable may hold options, so a shell takes it apart; the path is no part of what it reads.
  std::string script = editor + " \"$1\"";
  std::string shell = "sh";
  std::string option = "-c";
  std::string path = file.path();
  char* const args[] = {shell.data(), option.data(), script.data(), shell.data(), path.data(), nullptr};
  pid_t child = 0;
  if (const int error = posix_spawn(&child, "/bin/sh", nullptr, nullptr, args, environ); error != 0)
    return Status(Code::kUnavailable, "the editor did not start: " + error_text(error));
  int how = 0;
  while (waitpid(child, &how, 0) < 0)
    if (errno != EINTR)
      return Status(Code::kUnavailable, "the editor was lost: " + error_text(errno));
  if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
    return Status(Code::kInvalid, "the editor ended with an error: nothing was written");
  return read_file(path);
}

}  // namespace coffer::cli
