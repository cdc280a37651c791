#include "cli/editor.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error_text.h"
#include "cli/kv_args.h"
#include "cli/output.h"

extern char** environ;

namespace coffer::cli {
namespace {

// A file in a folder of its own; both are gone with this.
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
    const bool whole = write_fd(fd, text);
    if (close(fd) != 0 || !whole)
      return Status(Code::kUnavailable, "the temporary file could not be written: " + error_text(errno));
    return file;
  }
  explicit PrivateFile(std::string folder) : folder_(std::move(folder)) {}
  PrivateFile(PrivateFile&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  PrivateFile& operator=(PrivateFile&&) = delete;
  // With all that the editor left beside it: backups and swap files hold the text too.
  ~PrivateFile() {
    if (folder_.empty())
      return;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(folder_, error), end; !error && at != end;
         at.increment(error))
      overwrite(at->path().string());
    std::filesystem::remove_all(folder_, error);
  }

  std::string path() const { return folder_ + "/secret.json"; }

 private:
  static void overwrite(const std::string& path) {
    struct stat about {};
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
      return;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0)
      write_fd(fd, std::string(static_cast<std::size_t>(about.st_size), '\0'));
    close(fd);
  }

  std::string folder_;
};

volatile sig_atomic_t ended_by = 0;
volatile sig_atomic_t editor_process = 0;

// The editor ends first, and then this, so that nothing is left behind.
void pass_on(int signal) {
  ended_by = signal;
  if (editor_process > 0)
    kill(static_cast<pid_t>(editor_process), signal);
}

// While the editor runs: what is typed at the terminal is the editor's, and what ends this ends the editor first.
class Signals {
 public:
  Signals() {
    ended_by = editor_process = 0;
    for (std::size_t i = 0; i < kAll.size(); ++i) {
      struct sigaction action {};
      action.sa_handler = i < kIgnored ? SIG_IGN : pass_on;
      sigemptyset(&action.sa_mask);
      sigaction(kAll[i], &action, &before_[i]);
    }
  }
  ~Signals() {
    for (std::size_t i = 0; i < kAll.size(); ++i)
      sigaction(kAll[i], &before_[i], nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // For the editor they are what they were by default.
  static sigset_t all() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : kAll)
      sigaddset(&set, signal);
    return set;
  }

 private:
  static constexpr std::array<int, 4> kAll = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  static constexpr std::size_t kIgnored = 2;
  std::array<struct sigaction, 4> before_{};
};

// Its exit status as waitpid() gives it.
Result<int> run_editor(std::string editor, std::string path) {
  // The variable may hold options, so a shell takes it apart; the path is no part of what it reads.
  std::string script = std::move(editor) + " \"$1\"";
  std::string shell = "sh";
  std::string option = "-c";
  char* const args[] = {shell.data(), option.data(), script.data(), shell.data(), path.data(), nullptr};
  const Signals signals;
  const sigset_t defaults = Signals::all();
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int error = posix_spawn(&child, "/bin/sh", nullptr, &attributes, args, environ);
  posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return Status(Code::kUnavailable, "the editor did not start: " + error_text(error));
  editor_process = child;
  if (ended_by != 0)  // before the handler knew whom to tell
    kill(child, ended_by);
  int how = 0;
  while (waitpid(child, &how, 0) < 0)
    if (errno != EINTR)
      return Status(Code::kUnavailable, "the editor was lost: " + error_text(errno));
  editor_process = 0;
  if (ended_by != 0)
    return Status(Code::kUnavailable, "ended by a signal: nothing was written");
  return how;
}

}  // namespace

Result<std::string> edit_text(const Invocation& invocation, const std::string& text) {
  const std::string editor =
      invocation.env_or("VAULT_EDITOR", invocation.env_or("VISUAL", invocation.env_or("EDITOR", "vi")));
  COFFER_ASSIGN(const PrivateFile file, PrivateFile::create(invocation, text));
  COFFER_ASSIGN(const int how, run_editor(editor, file.path()));
  if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
    return Status(Code::kInvalid, "the editor ended with an error: nothing was written");
  return read_file(file.path());
}

}  // namespace coffer::cli
