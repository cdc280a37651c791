// The gRPC listener: services of package coffer.v1, reflection and the standard health service. Each call becomes one
// core::Exchange with the path that HTTP would use, so both surfaces have one pipeline and one behaviour.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/status.h"
#include "crypto/tls_files.h"

namespace coffer::core {
class Dispatcher;
class DoorBoard;
}

namespace coffer::rpc {

struct Listener {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8210;            // 0: the system chooses
  std::optional<crypto::TlsFiles> tls;  // absent: plain text. gRPC offers TLS 1.2 whatever `min_version` says
};

inline constexpr std::size_t kSilentConnectionsMax = 16384;

struct Config {
  std::vector<Listener> listeners;
  std::size_t message_bytes = limits::kGrpcMessageBytesMax;
  std::size_t tokenless_message_bytes = limits::kTokenlessBodyBytesMax;  // texts of a call that shows no token
  std::size_t connections = limits::kGrpcConnectionsMax;
  // That have not said anything yet, besides the others; at most half the descriptors that the process may have.
  std::size_t silent_connections = kSilentConnectionsMax;
  std::size_t streams = limits::kGrpcStreamsMax;
  // That a connection may send without a call that ends, after one of somebody with a live token, and else.
  std::uint64_t bytes_without_call = 4u << 20;
  std::uint64_t bytes_of_known = 256u << 20;
  Nanos request = limits::kRequestTimeMax;          // from a whole request to its answer
  Nanos handshake = limits::kGrpcHandshakeTimeMax;  // accept to the first byte, and that to the end of TLS and settings
  json::Limits json;
  std::shared_ptr<const core::DoorBoard> board;     // null: nothing is asked of the listener
};

// Lines for the operational log, to be shown as of module "grpc", without content of calls. Any thread.
using LogFn = std::function<void(std::string_view line)>;

struct BoundAddress {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};

// Dispatcher and random source are borrowed and outlive the server. One thread owns it.
class Server {
 public:
  // Binds and serves: gRPC starts with its first breath. On failure nothing stays bound.
  static Result<std::unique_ptr<Server>> create(Config config, core::Dispatcher& dispatcher, RandomSource& random,
                                                LogFn log);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::vector<BoundAddress>& bound() const noexcept;

  // What the standard health service says, for the server and for each service.
  void set_serving(bool serving);

  // Checks the certificate files. Good ones are in use a second after they changed, with or without this call; bad ones
  // never.
  Status reload_tls();

  // No new calls, and streams end; calls whose request has arrived are answered until `drain` has passed, then they are
  // cancelled. Those whose message is still arriving are new: gRPC refuses them, so nothing waits for them. Connections
  // are cut once nothing is in flight. Returns when no exchange is out any more. Once.
  void stop(Nanos drain);

  // Connections open now.
  std::size_t connections() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::rpc
