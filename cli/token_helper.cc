#include "cli/token_helper.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error_text.h"
#include "cli/kv_args.h"
#include "cli/output.h"
#include "cli/private_file.h"
#include "cli/text.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace coffer::cli {
namespace {

Status io_error(const std::string& path) { return Status(Code::kIo, path + ": " + error_text(errno)); }

class FileHelper final : public TokenHelper {
 public:
  explicit FileHelper(std::string path) : path_(std::move(path)) {}

  Result<std::string> get() override {
    if (::access(path_.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
      return std::string();
    COFFER_ASSIGN(std::string text, read_file(path_));
    return std::string(trim(text));
  }

  // A reader sees the old one or the new and never half a token, whoever else logs in at once.
  Status store(const std::string& token) override { return replace_file(path_, token); }

  Status erase() override { return ::unlink(path_.c_str()) == 0 || errno == ENOENT ? ok_status() : io_error(path_); }

 private:
  std::string path_;
};

// Writes to a program that may end without reading; that is its affair, and this program shall not die of SIGPIPE for
// it.
void write_to_program(int fd, const std::string& input) {
  sigset_t broken_pipe, before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  write_fd(fd, input);
  const timespec no_time{};
  while (::sigtimedwait(&broken_pipe, nullptr, &no_time) < 0 && errno == EINTR)
    continue;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

class ExternalHelper final : public TokenHelper {
 public:
  explicit ExternalHelper(std::string program) : program_(std::move(program)) {}

  Result<std::string> get() override {
    COFFER_ASSIGN(std::string text, run("get", ""));
    return std::string(trim(text));
  }
  Status store(const std::string& token) override { return run("store", token).status(); }
  Status erase() override { return run("erase", "").status(); }

 private:
  Result<std::string> run(const char* verb, const std::string& input) {
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0)
      return io_error(program_);
    if (::pipe2(from, O_CLOEXEC) != 0) {
      ::close(to[0]);
      ::close(to[1]);
      return io_error(program_);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    char* argv[] = {program_.data(), const_cast<char*>(verb), nullptr};
    pid_t pid = 0;
    int error = ::posix_spawn(&pid, program_.c_str(), &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    if (error == 0)
      write_to_program(to[1], input);
    ::close(to[1]);
    Result<std::string> output = Status(Code::kIo, program_ + ": " + error_text(error));
    if (error == 0)
      output = read_descriptor(from[0]);
    ::close(from[0]);
    int status = 0;
    if (error == 0 && (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0))
      return Status(Code::kIo, "token helper " + program_ + " failed to " + verb);
    return output;
  }

  std::string program_;
};

// The value of `token_helper = "..."` in Vault's client configuration, or nothing.
std::string configured_helper(const std::string& text) {
  for (const std::string& raw : split(text, '\n')) {
    std::string_view line = trim(raw);
    if (!line.starts_with("token_helper"))
      continue;
    std::size_t open = line.find('"');
    std::size_t close = line.rfind('"');
    if (line.find('=') != std::string_view::npos && open != std::string_view::npos && close > open)
      return std::string(line.substr(open + 1, close - open - 1));
  }
  return "";
}

// HOME, or what the user database says where HOME is not set, as in units and containers.
std::string home_of(const Invocation& invocation) {
  if (std::string home = invocation.env_or("HOME"); !home.empty())
    return home;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
}

}  // namespace

Result<std::unique_ptr<TokenHelper>> default_token_helper(const Invocation& invocation) {
  std::string home = home_of(invocation);
  std::string config = invocation.env_or("VAULT_CONFIG_PATH", home.empty() ? "" : home + "/.vault");
  struct stat info {};
  if (!config.empty() && ::stat(config.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    COFFER_ASSIGN(std::string text, read_file(config));
    std::string program = configured_helper(text);
    if (!program.empty() && program[0] != '/')
      return Status(Code::kInvalid, config + ": token_helper is not an absolute path");
    if (!program.empty())
      return std::unique_ptr<TokenHelper>(std::make_unique<ExternalHelper>(program));
  }
  if (home.empty())
    return Status(Code::kInvalid, "the user has no home folder, so there is no place for the token");
  return std::unique_ptr<TokenHelper>(std::make_unique<FileHelper>(home + "/.vault-token"));
}

}  // namespace coffer::cli
