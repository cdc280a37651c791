#include "base/helper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <span>
#include <thread>

#include "base/codec.h"
#include "base/error_text.h"

namespace coffer {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A frame is the length of what follows in four bytes, little-endian, and that: a request, or a code and what belongs
// to it, the answer or the message of a failure.
constexpr int kSocket = 3;
constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kStackedHeaderBytes = kHeaderBytes + 1;

// False when the other side is gone or the time is over. The socket does not block.
bool wait_for(int socket, short events, SteadyClock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0)
      return false;
    pollfd one{socket, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<long>(left, 60'000)));
    if (ready > 0)
      return (one.revents & events) != 0;
    if (ready < 0 && errno != EINTR)
      return false;
  }
}

bool send_all(int socket, std::string_view bytes, SteadyClock::time_point deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EINTR && (errno != EAGAIN || !wait_for(socket, POLLOUT, deadline))) {
      return false;
    }
  }
  return true;
}

bool receive_all(int socket, std::span<std::uint8_t> into, SteadyClock::time_point deadline) {
  while (!into.empty()) {
    const ssize_t got = ::recv(socket, into.data(), into.size(), 0);
    if (got > 0) {
      into = into.subspan(static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EINTR && (errno != EAGAIN || !wait_for(socket, POLLIN, deadline)))) {
      return false;
    }
  }
  return true;
}

Result<SecretBytes> receive_frame(int socket, SteadyClock::time_point deadline) {
  const Status gone(Code::kUnavailable, "ended or did not answer in time");
  std::uint8_t header[kHeaderBytes];
  if (!receive_all(socket, header, deadline))
    return gone;
  const std::uint32_t size = load_u32(header);
  if (size > kHelperFrameBytesMax)
    return Status(Code::kUnavailable, "answered with more than is allowed");
  SecretBytes body(size);
  if (!receive_all(socket, body.reveal_mutable(), deadline))
    return gone;
  return body;
}

bool send_frame(int socket, std::string_view first, std::string_view rest, SteadyClock::time_point deadline) {
  char header[kStackedHeaderBytes];
  store_u32(header, static_cast<std::uint32_t>(first.size() + rest.size()));
  std::copy(first.begin(), first.end(), header + kHeaderBytes);
  return send_all(socket, {header, kHeaderBytes + first.size()}, deadline) && send_all(socket, rest, deadline);
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts)
    out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// 0 or an error number. The helper's end of the pair becomes kSocket, nothing else is inherited.
int spawn(const HelperProcess::Options& options, int socket, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int standard : {0, 1, 2})
    posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, socket, kSocket);
  posix_spawn_file_actions_addclosefrom_np(&actions, kSocket + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t every;
  sigemptyset(&none);
  sigfillset(&every);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &every);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::vector<std::string> arguments = {"coffer", options.name};
  const int error = ::posix_spawn(&pid, options.program.c_str(), &actions, &attributes, pointers_to(arguments).data(),
                                  pointers_to(options.environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

void confine(std::size_t memory_bytes_max) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve terabytes
  const rlimit memory{memory_bytes_max, memory_bytes_max};
  ::setrlimit(RLIMIT_AS, &memory);
#else
  static_cast<void>(memory_bytes_max);
#endif
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
    std::signal(signal, SIG_IGN);
}

}  // namespace

Result<std::unique_ptr<HelperProcess>> HelperProcess::start(const Options& options) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return Status(Code::kIo, "cannot start " + options.name + ": " + error_text(errno));
  pid_t pid = 0;
  const int error = spawn(options, pair[1], pid);
  ::close(pair[1]);
  if (error != 0) {
    ::close(pair[0]);
    return Status(Code::kIo, "cannot start " + options.name + ": " + error_text(error));
  }
  ::fcntl(pair[0], F_SETFL, O_NONBLOCK);
  return std::unique_ptr<HelperProcess>(new HelperProcess(options.name, pid, pair[0]));
}

HelperProcess::~HelperProcess() { end(); }

void HelperProcess::end() {
  if (!alive())
    return;
  ::close(socket_);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

Result<SecretBytes> HelperProcess::call(std::string_view request, Nanos time_max) {
  if (request.size() > kHelperFrameBytesMax)
    return Status(Code::kTooLarge,
                  name_ + " takes no request above " + std::to_string(kHelperFrameBytesMax) + " bytes");
  if (!alive())
    return Status(Code::kUnavailable, name_ + " has ended");
  const SteadyClock::time_point deadline = SteadyClock::now() + time_max;
  Result<SecretBytes> frame = send_frame(socket_, "", request, deadline)
                                  ? receive_frame(socket_, deadline)
                                  : Result<SecretBytes>(Status(Code::kUnavailable, "takes no request"));
  if (frame.ok() && frame->empty())
    frame = Status(Code::kUnavailable, "answered with nothing");
  if (!frame.ok()) {
    end();
    return frame.status().with_context(name_);
  }
  const std::string_view body = frame->reveal_text().substr(1);
  const auto code = static_cast<Code>(frame->reveal()[0]);
  if (code == Code::kOk)
    return SecretBytes::copy_of(body);
  return Status(code > Code::kInternal ? Code::kInternal : code, std::string(body));
}

bool started_as_helper() noexcept {
  int kind = 0;
  socklen_t size = sizeof(kind);
  return ::getsockopt(kSocket, SOL_SOCKET, SO_DOMAIN, &kind, &size) == 0 && kind == AF_UNIX;
}

int serve_helper(const std::function<Result<SecretBytes>(std::string_view request)>& handler,
                 std::size_t memory_bytes_max) {
  confine(memory_bytes_max);
  // Whatever the handler is doing when the parent goes: nobody waits for it any more.
  std::thread([] {
    pollfd parent{kSocket, POLLRDHUP, 0};
    while (::poll(&parent, 1, -1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }).detach();
  for (;;) {
    // For ever: the parent takes its time, and its end ends this process.
    const Result<SecretBytes> request = receive_frame(kSocket, SteadyClock::time_point::max());
    if (!request.ok())
      return 0;
    const Result<SecretBytes> answer = handler(request->reveal_text());
    const char code = static_cast<char>(answer.code());
    const std::string message = answer.status().message();
    if (!send_frame(kSocket, {&code, 1}, answer.ok() ? answer->reveal_text() : std::string_view(message),
                    SteadyClock::time_point::max()))
      return 0;
  }
}

}  // namespace coffer
