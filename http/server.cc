#include "http/server.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/listen.h"
#include "http/io_thread.h"
#include "http/shared.h"

namespace coffer::http {
namespace {

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
      COFFER_ASSIGN(const int fd, listen_tcp(listener.host, listener.port));
      sockets.fds.push_back(fd);
      bound.push_back({listener.host, bound_port(fd), listener.tls.has_value()});
    }
    const unsigned wanted =
        shared.config.threads != 0 ? shared.config.threads : std::max(1u, std::thread::hardware_concurrency());
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

Result<std::unique_ptr<Server>> Server::create(Config config, core::Dispatcher& dispatcher, RandomSource& random,
                                               const Clock& clock, LogFn log) {
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

std::vector<Server::InFlight> Server::in_flight() const {
  constexpr std::chrono::milliseconds kInspectionTimeMax{500};
  constexpr std::string_view kMethods[] = {"GET", "PUT", "DELETE", "LIST", "PATCH", "GET", "SCAN"};
  std::vector<InFlight> out;
  if (impl_->runners.empty())
    return out;
  const BootTime now = impl_->shared.clock.boot_now();
  for (const auto& thread : impl_->shared.threads)
    for (IoThread::InFlight& one : thread->in_flight(kInspectionTimeMax))
      out.push_back({std::move(one.id), std::move(one.remote_address), "/v1/" + one.path,
                     std::string(kMethods[static_cast<std::size_t>(one.operation)]), now - one.since});
  return out;
}

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
