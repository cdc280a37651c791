// One of gRPC's servers behind the cluster's listening socket, with one certificate. A new certificate means a new
// door; the old one is shut when those who came by it have moved. Internal to rpc/.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "crypto/authority.h"
#include "rpc/cluster_service.h"

namespace coffer::rpc {

inline constexpr std::chrono::seconds kClusterHandshakeTimeMax{5};
inline constexpr std::size_t kClusterMessageHeadBytesMax = 64u << 10;  // of gRPC's, around the bytes that are bounded

class ClusterDoor {
 public:
  // `service` outlives it and is told its number. kInternal when gRPC did not start.
  static Result<std::shared_ptr<ClusterDoor>> open(const crypto::NodeCertificate& certificate,
                                                   const ClusterBounds& bounds, ClusterService& service,
                                                   std::uint64_t number);
  // After shut().
  ~ClusterDoor();
  ClusterDoor(const ClusterDoor&) = delete;
  ClusterDoor& operator=(const ClusterDoor&) = delete;

  std::uint64_t number() const noexcept { return number_; }
  // Takes over a connection, and may read it for as long as its client sends. Before shut() begins.
  void take(int listener_fd, int connection);
  // Waits for calls that are under way, but no longer than `drain`; then all is over. On no thread of gRPC.
  void shut(Nanos drain);

 private:
  class Entrance;
  ClusterDoor(ClusterService& service, std::uint64_t number);

  const std::uint64_t number_;
  const std::unique_ptr<Entrance> entrance_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace coffer::rpc
