// This node's place in the cluster's network: there while the node is unsealed, since its certificates come from the
// keyring. What stands before it is always there; while the network is not, messages are dropped and requests not sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/certificate_board.h"
#include "core/cluster.h"
#include "core/member_book.h"
#include "raft/transport.h"
#include "seal/keyring.h"

namespace coffer::crypto {
struct NodeCertificate;
}
namespace coffer::rpc {
class Cluster;
}

namespace coffer::server {

// Any thread.
class ClusterHub final : public raft::Transport, public core::ClusterLink {
 public:
  struct Config {
    std::string host;         // of the cluster address that is listened on
    std::uint16_t port = 0;
    raft::NodeId self;
    std::uint64_t free_bytes_min = 0;  // of the disk of the state, which snapshots that come in must leave
  };

  ClusterHub(Config config, const Clock& clock, Logger& logger);
  ~ClusterHub() override;

  // Who takes what comes in; both outlive the last leave(). Once, before meet().
  void attach(raft::Inbox& inbox, core::ForwardHandler& handler);
  // Listens, with a certificate of the authority that `keyring` and `plan` give, and talks to `members`. When it does
  // already, only the members are told. The failure names the address.
  Status meet(const seal::Keyring& keyring, const core::CertificatePlan& plan, const core::Members& members);
  // Goes over to `plan`, and to a new certificate when the own one is old. Blocks for the making of it; nothing to do
  // while there is no network. A failure says why the next attempt may succeed.
  Status renew(const seal::Keyring& keyring, const core::CertificatePlan& plan);
  // Whether renew() has anything to do.
  bool is_renewal_due(const core::CertificatePlan& plan) const;
  // Nothing while there is no network.
  std::optional<core::ShownCertificate> shown() const;
  // Takes effect while the network is there.
  void set_members(const core::Members& members);
  // Admits those as well, until the state knows them.
  void invite(const core::Members& guests);
  // Admits one who is no member by this node's state, which may be behind, and settles who of them stays
  // (core/member_book.h).
  void admit(const core::Member& asker);
  void settle(raft::NodeId leader, const raft::Configuration& configuration);
  // Changes with each meet().
  std::uint64_t meetings() const;
  // Ends all connections, unless a later meeting than `meetings` was held. Blocks for what is under way; not on the
  // node's thread.
  void leave(std::uint64_t meetings);
  // The same, and nobody is met any more.
  void close();
  bool is_open() const { return network() != nullptr; }

  void send(std::vector<raft::Message> messages) override;
  void send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) override;
  void forward(raft::NodeId to, std::string request, Nanos time_max, Done done) override;

 private:
  std::shared_ptr<rpc::Cluster> network() const;

  const Config config_;
  const Clock& clock_;
  Logger& logger_;
  raft::Inbox* inbox_ = nullptr;
  core::ForwardHandler* handler_ = nullptr;
  void end();
  Result<crypto::NodeCertificate> issue(const seal::Keyring& keyring, const core::CertificatePlan& plan,
                                        WallTime now) const;
  // Changes the book, and tells the network if `change` says so.
  void tell(rpc::Cluster& network, const std::function<bool(core::MemberBook&)>& change);

  std::mutex meeting_;                     // one meet() or leave() at a time
  bool closed_ = false;                    // guarded by meeting_
  std::mutex telling_;
  mutable std::mutex mutex_;
  std::shared_ptr<rpc::Cluster> network_;  // guarded by mutex_
  std::uint64_t meetings_ = 0;             // guarded by mutex_
  core::ShownCertificate shown_;           // guarded by mutex_; of network_
  core::MemberBook book_;                  // guarded by telling_
};

}  // namespace coffer::server
