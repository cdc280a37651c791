#include "core/autopilot.h"

#include <algorithm>
#include <set>

namespace coffer::core {

const PilotServer* PilotState::leader() const noexcept {
  const auto found = std::ranges::find_if(servers, &PilotServer::leader);
  return found == servers.end() ? nullptr : &*found;
}

std::size_t PilotState::voters() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(servers, &PilotServer::voter));
}

std::size_t PilotState::healthy_voters() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(servers, [](const PilotServer& one) { return one.voter && one.healthy; }));
}

std::string_view phase_name(UpgradePhase phase) noexcept {
  switch (phase) {
    case UpgradePhase::kIdle: return "idle";
    case UpgradePhase::kDisabled: return "disabled";
    case UpgradePhase::kAwaitNewVoters: return "await-new-voters";
    case UpgradePhase::kPromoting: return "promoting";
    case UpgradePhase::kLeaderTransfer: return "leader-transfer";
    case UpgradePhase::kDemoting: return "demoting";
    case UpgradePhase::kAwaitServerRemoval: return "await-server-removal";
  }
  return "";
}

namespace {

// A zone whose voter is not all that it has: after that voter another one votes.
std::size_t zone_spares(const PilotState& state) {
  std::set<std::string_view> zones;
  for (const PilotServer& one : state.servers)
    if (one.voter && one.healthy && !one.member.zone.empty())
      zones.insert(one.member.zone);
  return static_cast<std::size_t>(std::ranges::count_if(state.servers, [&zones](const PilotServer& one) {
    return !one.voter && one.healthy && !one.member.non_voter && zones.contains(one.member.zone);
  }));
}

}  // namespace

PilotServer Autopilot::server_of(const GroupStatus& group, const Members& members, raft::NodeId number,
                                 const AutopilotSettings& settings) const {
  PilotServer one;
  if (const Member* member = find_member(members, number); member != nullptr) {
    one.member = *member;
    one.known = true;
  } else {
    one.member.number = number;
    one.member.id = std::to_string(number.get());
  }
  one.voter = group.configuration.is_voter(number);
  if (number == group.self) {
    one.leader = one.alive = one.healthy = true;
    one.last_term = group.term;
    one.last_index = group.last;
    return one;
  }
  const auto peer = std::ranges::find(group.peers, number, &GroupPeer::id);
  if (peer == group.peers.end())  // added a moment ago
    return one;
  one.last_contact = peer->last_contact;
  one.last_index = peer->matched;
  one.last_term = peer->matched > Index(0) ? group.term : Term(0);
  one.alive = peer->last_contact <= settings.last_contact_threshold;
  const std::uint64_t behind = group.last.get() - std::min(group.last, peer->matched).get();
  one.healthy = one.alive && !peer->has_snapshot && peer->matched > Index(0) && behind <= settings.max_trailing_logs;
  one.caught_up = one.healthy && peer->last_contact <= kPromotedContactMax;
  return one;
}

std::optional<PilotState> Autopilot::look(const GroupStatus& group, const Members& members,
                                          const AutopilotSettings& settings, BootTime now, WallTime wall) {
  if (!group.serving) {
    healthy_since_.clear();
    return std::nullopt;
  }
  PilotState state;
  std::map<raft::NodeId, Since> since;
  for (const std::vector<raft::NodeId>* part : {&group.configuration.voters, &group.configuration.learners})
    for (const raft::NodeId number : *part) {
      PilotServer one = server_of(group, members, number, settings);
      if (one.healthy) {
        const auto known = healthy_since_.find(number);
        const Since begun = known == healthy_since_.end() ? Since{now, wall} : known->second;
        since.emplace(number, begun);
        one.stable_since = begun.wall;
        one.stable = now - begun.boot >= settings.server_stabilization_time;
      }
      state.servers.push_back(std::move(one));
    }
  healthy_since_ = std::move(since);
  std::ranges::sort(state.servers, {}, [](const PilotServer& one) -> const std::string& { return one.member.id; });
  state.healthy = std::ranges::all_of(state.servers, &PilotServer::healthy);
  const std::size_t majority = state.voters() / 2 + 1;
  state.failure_tolerance = state.healthy_voters() - std::min(state.healthy_voters(), majority);
  state.optimistic_failure_tolerance = state.failure_tolerance + zone_spares(state);
  plan_next(state, settings, group.configuration_committed);
  return state;
}

}  // namespace coffer::core
