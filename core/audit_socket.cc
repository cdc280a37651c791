#include "core/audit_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error_text.h"
#include "core/descriptor.h"

namespace coffer::core {
namespace {

constexpr const char* kSyslogPath = "/dev/log";
constexpr int kSendBufferBytes = 512 << 10;

Status system_error(std::string_view what) {
  return Status(Code::kIo, std::string(what).append(": ").append(error_text(errno)));
}

class SocketFile final : public AuditFile {
 public:
  SocketFile(Descriptor socket, const AuditOptions& options)
      : socket_(std::move(socket)), options_(options), process_(::getpid()) {}

  Result<std::size_t> write(std::string_view bytes) override {
    if (!options_.datagrams()) {
      if (gone())
        return Status(Code::kIo, "write: the other side has closed the connection");
      return send(bytes);
    }
    const std::size_t end = bytes.find('\n');
    const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
    const std::string_view line = bytes.substr(0, end == std::string_view::npos ? size : end);
    if (line.empty())
      return size;
    if (options_.target == AuditTarget::kSyslog)
      COFFER_TRY(send(syslog_message(options_, process_, line)).status());
    else
      COFFER_TRY(send(bytes.substr(0, size)).status());
    return size;
  }
  Status sync() override { return ok_status(); }
  bool ready() const override {
    pollfd state{socket_.get(), POLLOUT, 0};
    return ::poll(&state, 1, 0) == 1;
  }

 private:
  Result<std::size_t> send(std::string_view bytes) {
    for (;;) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0)
        return static_cast<std::size_t>(sent);
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        return Status(Code::kIo, "write: timed out");
      if (errno != EINTR)
        return system_error("write");
    }
  }

  // A write to a connection that the other side has left succeeds once, and its lines are lost.
  bool gone() const {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  Descriptor socket_;
  const AuditOptions options_;
  const int process_;
};

void limit_time(int fd, Nanos time) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  const timeval limit{static_cast<time_t>(micros / 1'000'000), static_cast<suseconds_t>(micros % 1'000'000)};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of connect() too
}

Result<Descriptor> connect_to(int family, int type, const sockaddr* address, socklen_t size,
                              const AuditOptions& options) {
  Descriptor made(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!made.valid())
    return system_error("socket");
  if (options.target != AuditTarget::kSyslog)
    limit_time(made.get(), options.write_timeout);
  ::setsockopt(made.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
  if (::connect(made.get(), address, size) != 0) {
    if (errno == EINPROGRESS)  // what a connect that ran out of time says
      return Status(Code::kIo, "connect: timed out");
    return system_error("connect");
  }
  return made;
}

Result<Descriptor> connect_unix(const std::string& path, int type, const AuditOptions& options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Status(Code::kInvalid, "address: is too long for a socket's path");
  path.copy(address.sun_path, path.size());
  return connect_to(AF_UNIX, type, reinterpret_cast<const sockaddr*>(&address), sizeof address, options);
}

Result<Descriptor> connect_network(const AuditOptions& options) {
  const std::size_t colon = options.address.rfind(':');
  COFFER_CHECK(colon != std::string::npos);
  std::string host = options.address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  const std::string port = options.address.substr(colon + 1);
  addrinfo wanted{};
  wanted.ai_socktype = options.target == AuditTarget::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &wanted, &found); error != 0)
    return Status(Code::kIo, std::string("address: ") + ::gai_strerror(error));
  Result<Descriptor> last = Status(Code::kIo, "address: nothing was found");
  for (const addrinfo* one = found; one != nullptr && !last.ok(); one = one->ai_next)
    last = connect_to(one->ai_family, one->ai_socktype, one->ai_addr, one->ai_addrlen, options);
  ::freeaddrinfo(found);
  return last;
}

}  // namespace

std::string syslog_message(const AuditOptions& options, int process, std::string_view line) {
  constexpr int kInformational = 6;
  constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::string out = "<" + std::to_string(options.facility * 8 + kInformational) + ">";
  // {"time":"2026-11-22T11:40:13…
  const std::size_t at = kAuditLineHead.size();
  const std::string_view time = line.size() > at + 19 ? line.substr(at, 19) : std::string_view();
  const unsigned month = time.empty() ? 0 : static_cast<unsigned>((time[5] - '0') * 10 + time[6] - '0');
  if (month >= 1 && month <= 12) {
    out.append(kMonths[month - 1]).append(" ");
    out.push_back(time[8] == '0' ? ' ' : time[8]);
    out.push_back(time[9]);
    out.append(" ").append(time.substr(11)).append(" ");
  }
  out.append(options.tag).append("[").append(std::to_string(process)).append("]: ").append(line);
  return out;
}

Result<std::unique_ptr<AuditFile>> open_audit_socket(const AuditOptions& options,
                                                     std::span<const std::string> forbidden_folders) {
  Result<Descriptor> made = Status(Code::kInternal, "no such kind of audit socket");
  switch (options.target) {
    case AuditTarget::kSyslog: made = connect_unix(kSyslogPath, SOCK_DGRAM, options); break;
    case AuditTarget::kTcp:
    case AuditTarget::kUdp: made = connect_network(options); break;
    case AuditTarget::kUnix: {
      COFFER_TRY(check_audit_socket_path(options.address, forbidden_folders));
      made = connect_unix(options.address, SOCK_STREAM, options);
      break;
    }
    default: break;
  }
  if (!made.ok())
    return made.status();
  return std::unique_ptr<AuditFile>(std::make_unique<SocketFile>(std::move(*made), options));
}

}  // namespace coffer::core
