// What a node has that may share its storage with others: the network, the requests that go to the node that leads and
// those that come from elsewhere, the way into a cluster, and the promotion of those who came in.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/node.h"
#include "core/autopilot_board.h"
#include "core/call.h"
#include "core/forward_door.h"
#include "core/forwarder.h"
#include "core/join_gate.h"
#include "core/leader_watch.h"
#include "core/lifecycle.h"
#include "core/standby_reader.h"
#include "server/certificate_keeper.h"

namespace coffer::metrics {
struct Reading;
}

namespace coffer::server {

// Driven by App, in the order of its members.
class ClusterPart final : private core::ForwardHandler {
 public:
  struct Options {
    core::Member self;
    std::string listen_host;       // of the cluster address
    std::uint16_t listen_port = 0;
    std::uint64_t free_bytes_min = 0;  // of the disk of the state
    core::PeerCall call;
    std::vector<core::JoinTarget> retry_join;
    bool serves_reads = true;      // while another node leads
    std::function<void()> wake = {};  // tick() is wanted at once; any thread
  };

  ClusterPart(Options options, core::CallPool& threads, Logger& logger);
  ~ClusterPart();

  // For the node's ports, before there is one.
  raft::Transport& transport() { return hub_; }
  void members_changed(const core::Members& members) { hub_.set_members(members); }

  const core::PilotBoard& pilot() const { return board_; }
  core::JoinGate& join_gate() { return gate_; }
  const core::CertificateBoard& certificate() const { return certificates_.board(); }

  // Once each, in this order, before anything runs.
  core::Lifecycle::Cluster& attach(actors::Node& node, const core::Services& services);
  void attach(core::Pipeline& pipeline, core::Lifecycle& lifecycle);

  // A node that has nothing and knows whom to ask: does so until it is let in.
  void begin_joining();
  // Node's thread. After an unseal the node meets the others and takes part; a sealed one takes none.
  void state_changed(bool unsealed);
  // Node's thread, before the lifecycle hears of it: another state took the place of this one's, and its keys may give
  // other certificates. All connections end, and the next unseal begins anew.
  void restored();
  // Any thread. Who is in the cluster now, this node among them.
  core::Members members_now() const;
  // Scheduler's thread, about ten times a second; and with `hurries` every core::Forwarder::kLookPeriod.
  void tick(BootTime now);
  // Requests wait for somebody to lead.
  bool hurries() const { return forwarder_->waits(); }
  // Leads no more, if anybody else can, and passes nothing on any more.
  void hand_over();
  // This node's certificate, what went to other nodes, and what was read here while another leads. Any thread.
  void read_counts(metrics::Reading& reading) const;
  // Nothing goes in or out any more. Before the node stops.
  void stop();

 private:
  core::Forwarder::Leader leader() const;
  void meet(const seal::Keyring& keyring, const core::CertificatePlan& plan, const core::Members& members);
  void keep_certificates(BootTime now);
  void announce(BootTime now);
  void store_members(const core::Members& members, std::function<void(const Status&)> done);
  void take_announcement(raft::NodeId from, std::string_view record);
  void pilot(BootTime now);
  void act(const core::PilotAction& action, const std::string& id);
  void acted(const core::PilotAction& action, const std::string& id, const Status& status);
  void part();
  core::Members known_members(const core::Published& published) const;
  void ask_around(BootTime now);
  void take(raft::NodeId from, std::string request, std::function<void(std::string reply)> reply) override;
  bool takes_of_strangers(std::string_view request) const override;

  const Options options_;
  core::CallPool& threads_;
  Logger& logger_;
  ClusterHub hub_;
  CertificateKeeper certificates_;
  actors::Node* node_ = nullptr;
  const core::Services* services_ = nullptr;
  core::Lifecycle* lifecycle_ = nullptr;
  std::unique_ptr<core::Lifecycle::Cluster> port_;
  std::unique_ptr<core::ForwardDoor> door_;
  std::unique_ptr<core::Forwarder> forwarder_;
  core::PilotBoard board_;
  core::JoinGate gate_;
  std::unique_ptr<core::StandbyReader> reader_;  // null: reads are forwarded
  core::Autopilot autopilot_;               // scheduler's thread, as what follows
  core::LeaderWatch watch_;
  BootTime next_meeting_{};
  BootTime next_question_{};
  BootTime next_announcement_{};
  BootTime next_action_{};
  std::atomic<bool> changing_{false};       // the autopilot's last action is under way
  std::atomic<bool> announcing_{false};
  std::atomic<int> partings_{0};            // restores whose connections have yet to end
  // Not behind calls to other systems, each of which may take its time: a node that is sealed goes at once.
  static constexpr std::size_t kLeavesQueuedMax = 16;
  core::CallThreads leaves_{1, kLeavesQueuedMax};
};

}  // namespace coffer::server
