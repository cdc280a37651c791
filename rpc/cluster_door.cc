#include "rpc/cluster_door.h"

#include <grpcpp/resource_quota.h>

#include "base/check.h"
#include "rpc/cluster_channel.h"

namespace coffer::rpc {
namespace {

constexpr std::size_t kBufferedBytesMax = 512u << 20;  // that gRPC may hold for all connections of others
constexpr std::size_t kStreamsBesideForwards = 16;     // on one connection

}  // namespace

// The service as this door's server knows it.
class ClusterDoor::Entrance final : public cluster::v1::Cluster::CallbackService {
 public:
  Entrance(ClusterService& service, std::uint64_t door) : service_(service), door_(door) {}

  grpc::ServerBidiReactor<cluster::v1::RaftFrame, cluster::v1::RaftNews>* Raft(
      grpc::CallbackServerContext* context) override {
    return service_.raft(*context, door_);
  }
  grpc::ServerReadReactor<cluster::v1::SnapshotPiece>* Snapshot(grpc::CallbackServerContext* context,
                                                                cluster::v1::SnapshotTaken*) override {
    return service_.snapshot(*context);
  }
  grpc::ServerUnaryReactor* Forward(grpc::CallbackServerContext* context, const cluster::v1::ForwardRequest* request,
                                    cluster::v1::ForwardReply* reply) override {
    return service_.forward(*context, *request, *reply);
  }

 private:
  ClusterService& service_;
  const std::uint64_t door_;
};

ClusterDoor::ClusterDoor(ClusterService& service, std::uint64_t number)
    : number_(number), entrance_(std::make_unique<Entrance>(service, number)) {}

ClusterDoor::~ClusterDoor() { COFFER_CHECK(server_ == nullptr); }

Result<std::shared_ptr<ClusterDoor>> ClusterDoor::open(const crypto::NodeCertificate& certificate,
                                                       const ClusterBounds& bounds, ClusterService& service,
                                                       std::uint64_t number) {
  std::shared_ptr<ClusterDoor> made(new ClusterDoor(service, number));
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("cluster");
  quota.Resize(kBufferedBytesMax);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(bounds.forward_bytes + kClusterMessageHeadBytesMax));
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(bounds.forwards + kStreamsBesideForwards));
  builder.AddChannelArgument(
      GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kClusterHandshakeTimeMax).count()));
  set_cluster_keepalive(builder);
  using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  made->acceptor_ =
      builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD, cluster_server_credentials(certificate));
  builder.RegisterService(made->entrance_.get());
  made->server_ = builder.BuildAndStart();
  if (made->server_ == nullptr)
    return Status(Code::kInternal, "cluster listener: gRPC did not start");
  return made;
}

void ClusterDoor::take(int listener_fd, int connection) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = listener_fd;
  parameters.fd = connection;
  acceptor_->HandleNewConnection(&parameters);
}

void ClusterDoor::shut(Nanos drain) {
  if (server_ == nullptr)
    return;
  server_->Shutdown(grpc_deadline(drain));
  server_->Wait();
  server_.reset();
}

}  // namespace coffer::rpc
