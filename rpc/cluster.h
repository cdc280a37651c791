// What the nodes of a cluster say to each other: Raft's messages, snapshots and forwarded requests, over gRPC on the
// cluster address. Both ends show certificates of the cluster's own authority; who a node is, its certificate says.
//
// Each peer has three channels, each with a connection of its own (Raft, snapshots, requests), so that heartbeats wait
// behind neither. Connections are made and made again by themselves; a stream to a peer that answers nothing is given
// up after about two seconds. See "Transport" in docs/raft.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/cluster.h"
#include "crypto/authority.h"
#include "raft/transport.h"
#include "rpc/server.h"

namespace coffer::rpc {

struct ClusterBounds {
  std::size_t append_bytes_queued = 8u << 20;     // entries that wait for one peer; an append above is dropped
  std::size_t messages_queued = 4096;             // messages without entries that wait for one peer, besides those
  std::size_t forwards = 1024;                    // under way, and as many taken from others
  std::size_t forward_bytes = 40u << 20;          // of one request and of one reply
  std::size_t forward_bytes_held = 256u << 20;    // of the requests under way together, and of those taken
  Nanos transfer_silence{std::chrono::seconds(60)};  // without a piece of a snapshot; then it is given up
  std::size_t connections = 1024;                 // from others
  std::uint64_t disk_free_bytes_min = 0;          // that a snapshot which comes in must leave; 0: no watermark
};

inline constexpr Nanos kRenewTimeMax = std::chrono::seconds(5);    // for the new connections to a member
inline constexpr Nanos kDrainTimeMax = std::chrono::seconds(120);  // for calls that came by an older certificate
inline constexpr std::size_t kServersRetiringMax = 4;

struct ClusterConfig {
  std::string host;         // to listen on; IPv6 without brackets
  std::uint16_t port = 0;   // 0: the system chooses
  raft::NodeId self;
  crypto::NodeCertificate certificate;  // names `self`
  ClusterBounds bounds;
};

// What the cluster hands on to. All outlive it.
struct ClusterPorts {
  raft::Inbox& inbox;
  core::ForwardHandler& forward;
  const Clock& clock;
};

struct PeerStatus {
  raft::NodeId number;
  bool connected = false;              // it takes our messages
  bool requests_connected = false;     // forward() has a connection to it
  BootTime heard{};                    // when its last message came; the epoch: never
  std::uint64_t messages_sent = 0;     // handed to the connection
  std::uint64_t messages_dropped = 0;  // not sent for want of a connection or of room
};

class Cluster final : public raft::Transport, public core::ClusterLink {
 public:
  // Listens and takes what comes from members; knows none yet. kInvalid for a certificate that is not `self`'s, kIo
  // when the address cannot be had. Removes what an earlier process left of snapshots in the inbox's folder.
  static Result<std::unique_ptr<Cluster>> create(ClusterConfig config, const ClusterPorts& ports, LogFn log);
  ~Cluster() override;  // as stop()
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::uint16_t port() const;

  // Who the other nodes are, and where; `self` among them is skipped. Connections of who left are closed, in both
  // directions, of who moved are made anew. Whoever is not named here is refused. Any thread.
  void set_members(const std::vector<core::Member>& members);

  // Shows this certificate from now on and trusts whom it names, in both directions: new connections come to a second
  // server behind the same socket, and to each member new ones are made. When these stand, or after kRenewTimeMax,
  // what goes to the member moves over, without a message lost or overtaken; members who came with the old certificate
  // are asked to do the same, and the old server ends when their calls have, after kDrainTimeMax at the latest.
  // kInvalid for a certificate that is not `self`'s, kExhausted while kServersRetiringMax older servers have not ended.
  // Any thread; returns before that has happened.
  Status renew(crypto::NodeCertificate certificate);
  // Neither streams nor servers of an earlier certificate are left.
  bool settled() const;

  // raft::Transport. Appends reach a peer in their order and so does all else; what is no append may overtake appends.
  void send(std::vector<raft::Message> messages) override;
  // One snapshot at a time to each peer; a second is given up at once (kExhausted).
  void send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) override;

  // core::ClusterLink. `done` may run before this returns. kNotSent is certain: there was no connection at that moment,
  // no room here, or the peer said that it refused the request unread.
  void forward(raft::NodeId to, std::string request, Nanos time_max, Done done) override;

  // Any thread, in no order.
  std::vector<PeerStatus> peers() const;

  // Ends everything: each `done` has run when this returns, and nothing comes any more. A reply that the forward
  // handler gives later goes nowhere. Once; not on a thread of the inbox, the handler or a `done`.
  void stop();

 private:
  class Impl;
  explicit Cluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::rpc
