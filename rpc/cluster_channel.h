// Channels and credentials between the nodes of a cluster. Internal to rpc/.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "crypto/authority.h"
#include "raft/types.h"

namespace coffer::rpc {

std::shared_ptr<grpc::ServerCredentials> cluster_server_credentials(const crypto::NodeCertificate& certificate);
std::shared_ptr<grpc::ChannelCredentials> cluster_channel_credentials(const crypto::NodeCertificate& certificate);

// How long a ping may stay unanswered, behind what else is on its way, before a connection counts as dead. gRPC pings
// once a second.
inline constexpr std::chrono::seconds kRaftPingTimeMax{1};
inline constexpr std::chrono::seconds kRequestPingTimeMax{5};
inline constexpr std::chrono::seconds kBulkPingTimeMax{15};

// A channel with a connection of its own to `address`, which is used only if the certificate there names `to`. It
// begins to connect at once.
std::shared_ptr<grpc::Channel> open_cluster_channel(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                                    const std::string& address, raft::NodeId to,
                                                    std::size_t message_bytes_max, std::chrono::seconds ping_time_max);

// The server's part of it. It does not know which connection is for what, so it is as patient with each as with bulk.
void set_cluster_keepalive(grpc::ServerBuilder& builder);

// Who calls, as the certificate says; nothing when it names no node.
std::optional<raft::NodeId> cluster_caller(const grpc::ServerContextBase& context);

gpr_timespec grpc_deadline(Nanos from_now);

// Counts what gRPC still has of ours, so that it can be waited for: a call lets go of its channel first, then it is
// done. Any thread.
class Outstanding {
 public:
  void add();
  void done();
  void await_none();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

}  // namespace coffer::rpc
