#include "rpc/cluster.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/listen.h"
#include "rpc/acceptor.h"
#include "rpc/cluster_channel.h"
#include "rpc/cluster_door.h"
#include "rpc/cluster_service.h"
#include "rpc/disk_worker.h"
#include "rpc/forward_calls.h"
#include "rpc/library_log.h"
#include "rpc/peer_stream.h"
#include "rpc/snapshot_sender.h"
#include "rpc/steady_waits.h"

namespace coffer::rpc {
namespace {

constexpr std::chrono::milliseconds kTendingPause{5};      // while something moves
constexpr std::chrono::milliseconds kCrossTimeMax{250};    // until a member has read an old stream to its end
constexpr std::chrono::seconds kMovePause{1};              // between two moves that a member asks for
constexpr std::chrono::seconds kMoveOutTimeMax{10};        // for members to leave an old server by themselves
// From the last stream's end until an old server takes no calls: a request may just be on its way to it.
constexpr std::chrono::milliseconds kLeftPause{500};

}  // namespace

class Cluster::Impl {
 public:
  Impl(ClusterConfig config, const ClusterPorts& ports, LogFn log)
      : config_(std::move(config)),
        ports_(ports),
        log_(std::move(log)),
        worker_(ports.clock, config_.bounds.transfer_silence),
        service_(config_.self, config_.bounds, ports, worker_, log_),
        snapshots_(worker_, ports.clock, outstanding_),
        forwards_(config_.bounds, outstanding_),
        credentials_(cluster_channel_credentials(config_.certificate)) {}

  ~Impl() { stop(); }

  Status open() {
    remove_stale_snapshots(ports_.inbox.spool_folder());
    COFFER_ASSIGN(const int fd, listen_tcp(config_.host, config_.port));
    port_ = bound_port(fd);
    auto door = ClusterDoor::open(config_.certificate, config_.bounds, service_, next_door_++);
    if (!door.ok()) {
      ::close(fd);
      return door.status();
    }
    door_ = std::move(door).value();
    const auto handover = [this](std::size_t, int listener_fd, int connection) {
      newest_door()->take(listener_fd, connection);
    };
    const Acceptor::Limits limits{config_.bounds.connections, config_.bounds.connections, kClusterHandshakeTimeMax};
    acceptor_ = std::make_unique<Acceptor>(std::vector<int>{fd}, limits, handover, log_);
    keeper_ = std::thread([this] { keep(); });
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

  Status renew(const crypto::NodeCertificate& certificate) {
    COFFER_TRY(crypto::check_node_certificate(certificate, config_.self.get()));
    const std::lock_guard renewing(renewing_);
    {
      const std::lock_guard lock(mutex_);
      if (stopped_)
        return Status(Code::kUnavailable, "cluster: it was stopped");
      if (retired_.size() >= kServersRetiringMax)
        return Status(Code::kExhausted, "cluster: servers of earlier certificates have yet to end");
    }
    COFFER_ASSIGN(auto door, ClusterDoor::open(certificate, config_.bounds, service_, next_door_++));
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      door->shut(Nanos(0));
      return Status(Code::kUnavailable, "cluster: it was stopped");
    }
    credentials_ = cluster_channel_credentials(certificate);
    retired_.push_back(std::make_unique<Retired>());
    retired_.back()->door = std::exchange(door_, std::move(door));
    retired_.back()->move_out_end = ports_.clock.boot_now() + kMoveOutTimeMax;
    for (auto& [number, peer] : peers_) {
      peer.is_asked = true;
      peer.moved = {};
    }
    changed_.notify_one();
    return ok_status();
  }

  bool settled() const {
    const std::lock_guard lock(mutex_);
    return retired_.empty() &&
           std::ranges::none_of(peers_, [](const auto& one) { return one.second.move || one.second.is_asked; });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true))
        return;
      for (const auto& [number, peer] : peers_)
        peer.stream->close();
      peers_.clear();
      changed_.notify_one();
    }
    if (keeper_.joinable())
      keeper_.join();
    snapshots_.cancel_all();
    forwards_.cancel_all();
    // The last channel or server that is shut down ends gRPC's threads for callbacks, and none of these can do that
    // itself: so the servers come when no call holds a channel any more.
    outstanding_.await_none();
    stop_servers();
  }

 private:
  // A peer's way to other connections. Its channels are new, and used once it crosses.
  struct Move {
    std::shared_ptr<grpc::Channel> bulk;  // null until the stream's connection stands
    std::shared_ptr<grpc::Channel> requests;
    BootTime end{};  // of the wait for the connections, then of the wait for the old stream's end
    bool crosses = false;
  };
  struct Peer {
    std::string address;
    std::shared_ptr<PeerStream> stream;
    std::shared_ptr<grpc::Channel> bulk;
    std::shared_ptr<grpc::Channel> requests;
    std::optional<Move> move;
    bool is_asked = false;  // a move is due
    BootTime moved{};       // when the last one began
  };
  struct Retired {
    std::shared_ptr<ClusterDoor> door;
    BootTime move_out_end{};
    std::optional<BootTime> left;  // since when there is no stream
    std::thread shutting;
    std::atomic<bool> is_over{false};
  };

  std::shared_ptr<ClusterDoor> newest_door() const {
    const std::lock_guard lock(mutex_);
    return door_;
  }

  // The keeper's thread: looks after what moves.
  void keep() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      const BootTime now = ports_.clock.boot_now();
      bool is_busy = false;
      for (auto& [number, peer] : peers_) {
        tend(number, peer, now);
        is_busy = is_busy || peer.move || peer.is_asked;
      }
      std::erase_if(retired_, [&](const std::unique_ptr<Retired>& one) { return tend(*one, now); });
      if (is_busy || !retired_.empty())
        changed_.wait_for(lock, kTendingPause);
      else
        changed_.wait(lock);
    }
  }

  // mutex_ is held, as in what follows.
  void tend(raft::NodeId number, Peer& peer, BootTime now) {
    if (!peer.move) {
      if (peer.is_asked && (peer.moved == BootTime{} || now >= peer.moved + kMovePause))
        begin_move(number, peer, now);
      return;
    }
    Move& move = *peer.move;
    if (!move.crosses) {
      // The stream's connection comes first: by whatever door of the member's the others come, it is none that the
      // stream would not be asked to leave.
      if (move.bulk == nullptr && (peer.stream->prepared() || now >= move.end)) {
        move.bulk = open_channel(number, peer.address, kBulkPingTimeMax);
        move.requests = open_channel(number, peer.address, kRequestPingTimeMax);
      }
      const bool is_ready = move.bulk != nullptr && move.bulk->GetState(true) == GRPC_CHANNEL_READY &&
                            move.requests->GetState(true) == GRPC_CHANNEL_READY && peer.stream->prepared();
      if (!is_ready && now < move.end)
        return;
      peer.bulk = move.bulk;
      peer.requests = move.requests;
      move.crosses = true;
      move.end = now + kCrossTimeMax;
      peer.stream->cross();
    }
    if (peer.stream->settled())
      peer.move.reset();
    else if (now >= move.end)
      peer.stream->hurry();
  }

  void begin_move(raft::NodeId number, Peer& peer, BootTime now) {
    peer.is_asked = false;
    peer.moved = now;
    peer.move.emplace().end = now + kRenewTimeMax;
    peer.stream->prepare(open_channel(number, peer.address, kRaftPingTimeMax));
  }

  // True: it is over, and may go. A door that still takes over a connection stays.
  bool tend(Retired& retired, BootTime now) {
    if (retired.shutting.joinable()) {
      if (retired.is_over)
        retired.shutting.join();
      return retired.is_over;
    }
    if (service_.move_streams(retired.door->number()) != 0)
      retired.left.reset();
    else if (!retired.left)
      retired.left = now;
    const bool is_left = (retired.left && now >= *retired.left + kLeftPause) || now >= retired.move_out_end;
    if (is_left && retired.door.use_count() == 1)
      shut(retired, kDrainTimeMax);
    return false;
  }

  static void shut(Retired& retired, Nanos drain) {
    retired.shutting = std::thread([&retired, drain] {
      retired.door->shut(drain);
      retired.is_over = true;
    });
  }

  void stop_servers() {
    if (door_ == nullptr)
      return;
    if (acceptor_)
      acceptor_->close();
    std::thread closing([this] { door_->shut(Nanos(0)); });
    if (acceptor_)
      acceptor_->disconnect();
    // The older ones, for gRPC's threads end with the last.
    for (const auto& retired : retired_) {
      if (!retired->shutting.joinable())
        shut(*retired, Nanos(0));
      retired->shutting.join();
    }
    closing.join();
    acceptor_.reset();
    retired_.clear();
    door_.reset();
  }

  std::shared_ptr<grpc::Channel> open_channel(raft::NodeId to, const std::string& address,
                                              std::chrono::seconds ping_time_max) const {
    return open_cluster_channel(credentials_, address, to,
                                config_.bounds.forward_bytes + kClusterMessageHeadBytesMax, ping_time_max);
  }

  // mutex_ is held, as in part().
  Peer meet(const core::Member& member) {
    Peer peer;
    peer.address = member.cluster_address;
    peer.bulk = open_channel(member.number, peer.address, kBulkPingTimeMax);
    peer.requests = open_channel(member.number, peer.address, kRequestPingTimeMax);
    const auto asked = [this, number = member.number] { ask_move(number); };
    const auto wake = [this, number = member.number] { wake_channels(number); };
    peer.stream = std::make_shared<PeerStream>(member.number,
                                               open_channel(member.number, peer.address, kRaftPingTimeMax),
                                               config_.bounds, outstanding_, PeerStream::Hooks{wake, asked, log_});
    peer.stream->open();
    return peer;
  }

  void part(raft::NodeId number, const Peer& peer) {
    peer.stream->close();
    snapshots_.cancel(number);
    forwards_.cancel(number);
  }

  // A channel that lost its connection makes another only when it is asked to.
  void wake_channels(raft::NodeId number) {
    const std::lock_guard lock(mutex_);
    const auto peer = peers_.find(number);
    if (peer == peers_.end())
      return;
    peer->second.bulk->GetState(true);
    peer->second.requests->GetState(true);
  }

  void ask_move(raft::NodeId number) {
    const std::lock_guard lock(mutex_);
    const auto peer = peers_.find(number);
    if (peer == peers_.end())
      return;
    peer->second.is_asked = true;
    changed_.notify_one();
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
  std::uint16_t port_ = 0;
  Outstanding outstanding_;  // before all that counts in it
  DiskWorker worker_;
  ClusterService service_;
  SnapshotSender snapshots_;
  ForwardCalls forwards_;
  std::unique_ptr<Acceptor> acceptor_;
  std::thread keeper_;

  std::mutex renewing_;          // one renew() at a time
  std::uint64_t next_door_ = 1;  // guarded by renewing_, once open() is over
  mutable std::mutex mutex_;     // guards what follows
  std::condition_variable changed_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::shared_ptr<ClusterDoor> door_;
  std::vector<std::unique_ptr<Retired>> retired_;
  std::unordered_map<raft::NodeId, Peer> peers_;
  bool stopped_ = false;
};

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cluster::~Cluster() = default;

Result<std::unique_ptr<Cluster>> Cluster::create(ClusterConfig config, const ClusterPorts& ports, LogFn log) {
  COFFER_CHECK(config.self != raft::kNobody);
  wait_steadily();
  quiet_library_log();
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
Status Cluster::renew(crypto::NodeCertificate certificate) { return impl_->renew(certificate); }
bool Cluster::settled() const { return impl_->settled(); }
std::vector<PeerStatus> Cluster::peers() const { return impl_->peers(); }
void Cluster::stop() { impl_->stop(); }

}  // namespace coffer::rpc
