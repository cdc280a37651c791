#include "rpc/cluster.h"

#include <grpcpp/resource_quota.h>
#include <unistd.h>

#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/listen.h"
#include "rpc/acceptor.h"
#include "rpc/cluster_channel.h"
#include "rpc/cluster_service.h"
#include "rpc/disk_worker.h"
#include "rpc/forward_calls.h"
#include "rpc/peer_stream.h"
#include "rpc/snapshot_sender.h"
#include "rpc/steady_waits.h"

namespace coffer::rpc {
namespace {

constexpr std::size_t kBufferedBytesMax = 512u << 20;   // that gRPC may hold for all connections of others
constexpr std::size_t kMessageHeadBytesMax = 64u << 10;  // of a message of gRPC around the bytes that are bounded
constexpr std::size_t kStreamsBesideForwards = 16;       // on one connection
constexpr std::chrono::seconds kHandshakeTimeMax{5};

}  // namespace

class Cluster::Impl {
 public:
  Impl(ClusterConfig config, const ClusterPorts& ports, LogFn log)
      : config_(std::move(config)),
        ports_(ports),
        log_(std::move(log)),
        credentials_(cluster_channel_credentials(config_.certificate)),
        worker_(ports.clock, config_.bounds.transfer_silence),
        service_(config_.self, config_.bounds, ports, worker_, log_),
        snapshots_(worker_, ports.clock, outstanding_),
        forwards_(config_.bounds, outstanding_) {}

  ~Impl() { stop(); }

  Status open() {
    remove_stale_snapshots(ports_.inbox.spool_folder());
    COFFER_ASSIGN(const int fd, listen_tcp(config_.host, config_.port));
    port_ = bound_port(fd);
    if (const Status status = build(); !status.ok()) {
      ::close(fd);
      return status;
    }
    const auto handover = [this](std::size_t, int listener_fd, int connection) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
      parameters.listener_fd = listener_fd;
      parameters.fd = connection;
      door_->HandleNewConnection(&parameters);
    };
    const Acceptor::Limits limits{config_.bounds.connections, config_.bounds.connections, kHandshakeTimeMax};
    acceptor_ = std::make_unique<Acceptor>(std::vector<int>{fd}, limits, handover, log_);
    return ok_status();
  }

  std::uint16_t port() const { return port_; }

  void set_members(const std::vector<core::Member>& members) {
    std::unordered_set<raft::NodeId> numbers;
    std::unordered_map<raft::NodeId, const core::Member*> wanted;
    for (const core::Member& member : members) {
      numbers.insert(member.number);
      if (member.number != config_.self)
        wanted.emplace(member.number, &member);
    }
    service_.set_members(std::move(numbers));
    const std::lock_guard lock(mutex_);
    if (stopped_)
      return;
    for (auto at = peers_.begin(); at != peers_.end();) {
      const auto member = wanted.find(at->first);
      if (member != wanted.end() && member->second->cluster_address == at->second.address) {
        wanted.erase(member);
        ++at;
        continue;
      }
      part(at->first, at->second);
      at = peers_.erase(at);
    }
    for (const auto& [number, member] : wanted)
      peers_.emplace(number, meet(*member));
  }

  void send(std::vector<raft::Message> messages) {
    // By peer, in their order: mostly one or two peers, each with a few messages.
    std::unordered_map<raft::NodeId, std::vector<raft::Message>> sorted;
    for (raft::Message& message : messages) {
      COFFER_CHECK(message.from == config_.self);
      sorted[message.to].push_back(std::move(message));
    }
    for (auto& [to, own] : sorted) {
      if (const auto stream = stream_to(to))
        stream->send(std::move(own));
    }
  }

  void send_snapshot(const raft::Message& message, const std::string& path,
                     std::function<void(const Status&)> done) {
    if (const auto channel = channel_to(message.to, &Peer::bulk))
      return snapshots_.send(channel, message, path, std::move(done));
    done(Status(Code::kUnavailable, "snapshot: " + crypto::node_dns_name(message.to.get()) + " is no member"));
  }

  void forward(raft::NodeId to, std::string request, Nanos time_max, Done done) {
    if (const auto channel = channel_to(to, &Peer::requests))
      return forwards_.send(channel, to, std::move(request), time_max, std::move(done));
    done(Fate::kNotSent, "");
  }

  std::vector<PeerStatus> peers() const {
    std::vector<PeerStatus> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [number, peer] : peers_) {
      const PeerStream& stream = *peer.stream;
      const bool requests = peer.requests->GetState(false) == GRPC_CHANNEL_READY;
      out.push_back({number, stream.connected(), requests, service_.heard(number), stream.sent(), stream.dropped()});
    }
    return out;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true))
        return;
      for (const auto& [number, peer] : peers_)
        peer.stream->close();
      peers_.clear();
    }
    snapshots_.cancel_all();
    forwards_.cancel_all();
    // The last channel or server that is shut down ends gRPC's threads for callbacks, and none of these can do that
    // itself: so the server comes when no call holds a channel any more.
    outstanding_.await_none();
    stop_server();
  }

 private:
  struct Peer {
    std::string address;
    std::shared_ptr<PeerStream> stream;
    std::shared_ptr<grpc::Channel> bulk;
    std::shared_ptr<grpc::Channel> requests;
  };

  Status build() {
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("cluster");
    quota.Resize(kBufferedBytesMax);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(static_cast<int>(config_.bounds.forward_bytes + kMessageHeadBytesMax));
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(config_.bounds.forwards + kStreamsBesideForwards));
    builder.AddChannelArgument(
        GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kHandshakeTimeMax).count()));
    set_cluster_keepalive(builder);
    using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    door_ = builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD,
                                                                 cluster_server_credentials(config_.certificate));
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    return server_ ? ok_status() : Status(Code::kInternal, "cluster listener: gRPC did not start");
  }

  void stop_server() {
    if (!server_)
      return;
    if (acceptor_)
      acceptor_->close();
    std::thread closing([this] { server_->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC)); });
    if (acceptor_)
      acceptor_->disconnect();
    closing.join();
    server_->Wait();
    acceptor_.reset();
    door_.reset();
    server_.reset();
  }

  // mutex_ is held, as in part().
  Peer meet(const core::Member& member) {
    const auto open = [&](std::chrono::seconds ping_time_max) {
      return open_cluster_channel(credentials_, member.cluster_address, member.number,
                                  config_.bounds.forward_bytes + kMessageHeadBytesMax, ping_time_max);
    };
    Peer peer{member.cluster_address, nullptr, open(kBulkPingTimeMax), open(kRequestPingTimeMax)};
    // A channel that lost its connection makes another only when it is asked to.
    const auto wake = [bulk = peer.bulk, requests = peer.requests] {
      bulk->GetState(true);
      requests->GetState(true);
    };
    peer.stream = std::make_shared<PeerStream>(member.number, open(kRaftPingTimeMax), config_.bounds, outstanding_,
                                               PeerStream::Hooks{wake, log_});
    peer.stream->open();
    return peer;
  }

  void part(raft::NodeId number, const Peer& peer) {
    peer.stream->close();
    snapshots_.cancel(number);
    forwards_.cancel(number);
  }

  std::shared_ptr<PeerStream> stream_to(raft::NodeId to) const {
    const std::lock_guard lock(mutex_);
    const auto peer = peers_.find(to);
    return peer == peers_.end() ? nullptr : peer->second.stream;
  }

  std::shared_ptr<grpc::Channel> channel_to(raft::NodeId to, std::shared_ptr<grpc::Channel> Peer::*which) const {
    const std::lock_guard lock(mutex_);
    const auto peer = peers_.find(to);
    return peer == peers_.end() ? nullptr : peer->second.*which;
  }

  const ClusterConfig config_;
  const ClusterPorts ports_;
  const LogFn log_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::uint16_t port_ = 0;
  Outstanding outstanding_;  // before all that counts in it
  DiskWorker worker_;
  ClusterService service_;
  SnapshotSender snapshots_;
  ForwardCalls forwards_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> door_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<raft::NodeId, Peer> peers_;
  bool stopped_ = false;
};

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cluster::~Cluster() = default;

Result<std::unique_ptr<Cluster>> Cluster::create(ClusterConfig config, const ClusterPorts& ports, LogFn log) {
  COFFER_CHECK(config.self != raft::kNobody);
  wait_steadily();
  COFFER_TRY(crypto::check_node_certificate(config.certificate, config.self.get()));
  auto impl = std::make_unique<Impl>(std::move(config), ports, std::move(log));
  COFFER_TRY(impl->open());
  return std::unique_ptr<Cluster>(new Cluster(std::move(impl)));
}

std::uint16_t Cluster::port() const { return impl_->port(); }
void Cluster::set_members(const std::vector<core::Member>& members) { impl_->set_members(members); }
void Cluster::send(std::vector<raft::Message> messages) { impl_->send(std::move(messages)); }
void Cluster::send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) {
  impl_->send_snapshot(message, path, std::move(done));
}
void Cluster::forward(raft::NodeId to, std::string request, Nanos time_max, Done done) {
  impl_->forward(to, std::move(request), time_max, std::move(done));
}
std::vector<PeerStatus> Cluster::peers() const { return impl_->peers(); }
void Cluster::stop() { impl_->stop(); }

}  // namespace coffer::rpc
