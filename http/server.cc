#include "http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "http/io_thread.h"
#include "http/shared.h"

namespace coffer::http {
namespace {

constexpr int kBacklog = 4096;

class Descriptors {
 public:
  Descriptors() = default;
  ~Descriptors() { close(); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  void close() {
    for (const int fd : fds)
      ::close(fd);
    fds.clear();
  }
  std::vector<int> fds;
};

Result<int> bind_address(const Listener& listener) {
  const std::string name = "listener " + listener.host + ":" + std::to_string(listener.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(listener.host.c_str(), std::to_string(listener.port).c_str(), &hints, &found); error != 0)
    return Status(Code::kInvalid, name + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int fd = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      error = errno;
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, address->ai_addr, address->ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0)
      return fd;
    error = errno;
    ::close(fd);
  }
  return Status(Code::kIo, name + ": " + std::strerror(error));
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::uint64_t read(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

}  // namespace

class Server::Impl {
 public:
  Impl(Config config, core::Dispatcher& dispatcher, RandomSource& random, const Clock& clock, LogFn log)
      : shared(std::move(config), dispatcher, random, clock, std::move(log)) {}

  Status open() {
    if (shared.config.listeners.empty())
      return Status(Code::kInvalid, "listener: none is configured");
    for (const Listener& listener : shared.config.listeners) {
      std::unique_ptr<TlsContext> tls;
      if (listener.tls) {
        COFFER_ASSIGN(tls, TlsContext::load(*listener.tls));
      }
      shared.tls.push_back(std::move(tls));
      COFFER_ASSIGN(const int fd, bind_address(listener));
      sockets.fds.push_back(fd);
      bound.push_back({listener.host, bound_port(fd), listener.tls.has_value()});
    }
    const unsigned wanted = shared.config.threads != 0 ? shared.config.threads : std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < wanted; ++i)
      shared.threads.push_back(std::make_unique<IoThread>(shared, i == 0 ? sockets.fds : std::vector<int>()));
    return ok_status();
  }

  void stop(Nanos drain) {
    if (stopped)
      return;
    stopped = true;
    const BootTime deadline = shared.clock.boot_now() + drain;
    for (const auto& thread : shared.threads)
      thread->request_stop(deadline);
    for (std::thread& runner : runners)
      runner.join();
    runners.clear();
    sockets.close();
  }

  Shared shared;
  Descriptors sockets;
  std::vector<BoundAddress> bound;
  std::vector<std::thread> runners;
  bool stopped = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(Nanos(0)); }

Result<std::unique_ptr<Server>> Server::create(Config config, core::Dispatcher& dispatcher, RandomSource& random, const Clock& clock,
                                               LogFn log) {
  COFFER_CHECK(log != nullptr);
  auto impl = std::make_unique<Impl>(std::move(config), dispatcher, random, clock, std::move(log));
  COFFER_TRY(impl->open());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const std::vector<BoundAddress>& Server::bound() const noexcept { return impl_->bound; }

void Server::start() {
  COFFER_CHECK(impl_->runners.empty() && !impl_->stopped);
  for (const auto& thread : impl_->shared.threads)
    impl_->runners.emplace_back([io = thread.get()] { io->run(); });
}

Status Server::reload_tls() {
  std::vector<std::pair<TlsContext*, SSL_CTX*>> fresh;
  for (const auto& tls : impl_->shared.tls) {
    if (!tls)
      continue;
    const auto context = tls->read_files();
    if (!context.ok()) {
      for (const auto& [unused, made] : fresh)
        TlsContext::drop(made);
      return context.status();
    }
    fresh.emplace_back(tls.get(), *context);
  }
  for (const auto& [tls, context] : fresh)
    tls->use(context);
  return ok_status();
}

void Server::stop(Nanos drain) { impl_->stop(drain); }

Stats Server::stats() const {
  Stats stats;
  for (const auto& thread : impl_->shared.threads) {
    const Counters& counters = static_cast<const IoThread&>(*thread).counters();
    stats.connections_open += thread->connections_open();
    stats.connections_accepted += read(counters.accepted);
    stats.connections_evicted += read(counters.evicted);
    stats.requests += read(counters.requests);
    stats.requests_refused += read(counters.refused);
    stats.requests_in_flight += read(counters.in_flight);
    stats.tls_handshakes_failed += read(counters.handshakes_failed);
  }
  stats.body_bytes_held = impl_->shared.bodies.held();
  return stats;
}

void Server::wake() {
  for (const auto& thread : impl_->shared.threads)
    thread->wake();
}

}  // namespace coffer::http
