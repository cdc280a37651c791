#include "server/raft_readings.h"

#include <algorithm>

namespace coffer::server {
namespace {

double millis(Nanos time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

void read_raft(const actors::Node& node, metrics::Reading& reading) {
  const auto put = [&reading](std::string name, double value) { reading.gauges.push_back({std::move(name), value}); };
  const core::GroupStatus group = node.group_status();
  const auto commit = static_cast<double>(group.committed.get());
  const auto applied = static_cast<double>(group.applied.get());
  put("vault.raft.committed_index", commit);
  put("vault.raft.applied_index", applied);
  put("vault.raft.last_index", static_cast<double>(group.last.get()));
  put("vault.raft_storage.stats.commit_index", commit);
  put("vault.raft_storage.stats.applied_index", applied);
  put("vault.raft_storage.stats.fsm_pending", commit - applied);
  put("vault.raft_storage.stats.term", static_cast<double>(group.term.get()));
  put("vault.raft.term", static_cast<double>(group.term.get()));
  put("vault.raft.peers",
      static_cast<double>(group.configuration.voters.size() + group.configuration.learners.size()));
  put("vault.raft.voters", static_cast<double>(group.configuration.voters.size()));
  put("vault.raft.leader", node.is_leader() ? 1 : 0);
  const actors::Node::RoleChanges roles = node.role_changes();
  reading.counters.push_back({"vault.raft.state.leader", roles.leader});
  reading.counters.push_back({"vault.raft.state.candidate", roles.candidate});
  reading.counters.push_back({"vault.raft.state.follower", roles.follower});
}

void read_pilot(const core::PilotState& state, metrics::Reading& reading) {
  const auto put = [&reading](std::string name, double value, std::vector<metrics::Label> labels = {}) {
    reading.gauges.push_back({std::move(name), value, std::move(labels)});
  };
  put("vault.autopilot.healthy", state.healthy ? 1 : 0);
  put("vault.autopilot.failure_tolerance", static_cast<double>(state.failure_tolerance));
  const core::PilotServer* leader = state.leader();
  Nanos longest{0};
  for (const core::PilotServer& one : state.servers) {
    put("vault.autopilot.node.healthy", one.healthy ? 1 : 0, {{"node_id", one.member.id}});
    if (one.leader || leader == nullptr)
      continue;
    if (one.voter)
      longest = std::max(longest, one.last_contact);
    const std::uint64_t behind = leader->last_index.get() - std::min(leader->last_index, one.last_index).get();
    put("vault.raft_storage.follower.applied_index_delta", static_cast<double>(behind), {{"peer_id", one.member.id}});
    put("vault.raft_storage.follower.last_heartbeat_ms", millis(one.last_contact), {{"peer_id", one.member.id}});
  }
  put("vault.raft.leader.lastContact", millis(longest));
}

}  // namespace coffer::server
