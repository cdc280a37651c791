// The HTTP listener: plain and TLS addresses, a fixed set of io threads, each connection pinned to one of them. It
// turns bytes into core::Exchange objects and answers into bytes; it knows nothing of secrets, tokens or mounts. Every
// limit is enforced before the bytes that it limits are parsed or kept (http/README.md has the list).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/status.h"
#include "http/config.h"

namespace coffer::core {
class Dispatcher;
}

namespace coffer::http {

// Lines for the operational log, to be shown as of module "http": no content of a request, no token. Any thread.
using LogFn = std::function<void(std::string_view line)>;

struct BoundAddress {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};

// Sums over all threads; each figure is read without stopping anyone.
struct Stats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_evicted = 0;  // idle or half-open ones that made room at limits::kConnectionsMax
  std::uint64_t requests = 0;             // dispatched
  std::uint64_t requests_refused = 0;     // answered before dispatch
  std::uint64_t requests_in_flight = 0;
  std::uint64_t body_bytes_held = 0;
  std::uint64_t tls_handshakes_failed = 0;
};

// Dispatcher, random source and clock are borrowed and outlive the server. create(), start(), stop() and the destructor
// are called by one thread; the rest by any.
class Server {
 public:
  // Reads certificates and binds all addresses, so that bound() is known; nothing is accepted yet. On failure nothing
  // stays bound.
  static Result<std::unique_ptr<Server>> create(Config config, core::Dispatcher& dispatcher, RandomSource& random,
                                                const Clock& clock, LogFn log);
  // Stops without a drain if stop() was not called.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // In the order of Config::listeners; with the ports that the system chose.
  const std::vector<BoundAddress>& bound() const noexcept;

  // Starts the io threads and accepts.
  void start();

  // Reads all certificates again (SIGHUP). New handshakes use them; on failure the old ones stay, for all listeners.
  Status reload_tls();

  // No new connections; idle ones close, requests in flight are answered until `drain` has passed, then every
  // connection closes. Returns when no exchange is out any more (the dispatcher answers each) and the threads have
  // ended. Once.
  void stop(Nanos drain);

  Stats stats() const;

  // Requests that are being answered. Not from an io thread.
  struct InFlight {
    std::string id;
    std::string remote_address;
    std::string path;    // "/v1/sys/mounts"
    std::string method;
    Nanos age{0};
  };
  std::vector<InFlight> in_flight() const;

  // Makes every io thread look at the clock now instead of at its next tick.
  void wake();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::http
