#include "server/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdint>
#include <fstream>

#include "base/check.h"
#include "base/error_text.h"

namespace coffer::server {

std::vector<std::string> harden_process() {
  std::vector<std::string> notes;
  umask(077);
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0)
    notes.emplace_back("core dumps could not be switched off");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    notes.emplace_back("the process could not be made non-dumpable");
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
      notes.emplace_back("the limit of open files could not be raised");
  }
  std::ifstream swaps("/proc/swaps");
  std::string line;
  int lines = 0;
  while (std::getline(swaps, line))
    ++lines;
  if (lines > 1)
    notes.emplace_back(
        "swap is in use: request data may reach the disk; switch it off or set MemorySwapMax=0 for the service");
  return notes;
}

Result<PidFile> PidFile::write(const std::string& path) {
  if (path.empty())
    return PidFile(path);
  // Readable for all, as such files are; never through a link that somebody laid there.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    return Status(Code::kIo, "pid_file: " + std::string(error_text(errno)));
  PidFile made(path);
  const std::string text = std::to_string(::getpid());
  const ssize_t size = static_cast<ssize_t>(text.size());
  const bool written = ::fchmod(fd, 0644) == 0 && ::write(fd, text.data(), text.size()) == size;
  if (::close(fd) != 0 || !written)
    return Status(Code::kIo, "pid_file: could not be written");
  return made;
}

PidFile::~PidFile() {
  if (!path_.empty())
    ::unlink(path_.c_str());
}

Signals::Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, signal);
  COFFER_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  failed_ = eventfd(0, EFD_CLOEXEC);
  COFFER_CHECK(signals_ >= 0 && failed_ >= 0);
}

Signals::~Signals() {
  close(signals_);
  close(failed_);
}

Signals::Event Signals::wait() {
  for (;;) {
    pollfd fds[2] = {{failed_, POLLIN, 0}, {signals_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0)
      continue;
    if ((fds[0].revents & POLLIN) != 0)
      return Event::kFailed;
    if ((fds[1].revents & POLLIN) != 0) {
      signalfd_siginfo info;
      if (read(signals_, &info, sizeof(info)) != sizeof(info))
        continue;
      return info.ssi_signo == SIGHUP ? Event::kReload : Event::kStop;
    }
  }
}

void Signals::fail() {
  const std::uint64_t one = 1;
  COFFER_CHECK(write(failed_, &one, sizeof(one)) == sizeof(one));
}

}  // namespace coffer::server
