#include "core/autopilot.h"

#include <algorithm>

namespace coffer::core {

std::optional<raft::Change> Autopilot::decide(const GroupStatus& group, const Members& members, BootTime now) {
  if (!group.serving) {
    healthy_since_.clear();
    return std::nullopt;
  }
  std::erase_if(healthy_since_, [&](const auto& one) { return !group.configuration.is_learner(one.first); });
  std::optional<raft::Change> next;
  for (const GroupPeer& peer : group.peers) {
    const Member* member = find_member(members, peer.id);
    if (!group.configuration.is_learner(peer.id) || member == nullptr || member->non_voter)
      continue;
    const bool healthy = !peer.has_snapshot && peer.last_contact <= options_.contact_max &&
                         peer.matched > Index(0) &&
                         group.last.get() - std::min(group.last, peer.matched).get() <= options_.trailing_entries_max;
    if (!healthy) {
      healthy_since_.erase(peer.id);
      continue;
    }
    const BootTime since = healthy_since_.emplace(peer.id, now).first->second;
    const bool at_once = group.configuration.voters.size() < options_.voters_at_once;
    if (!next && group.configuration_committed && (at_once || now - since >= options_.stabilization))
      next = raft::Change{raft::Change::Kind::kPromote, peer.id};
  }
  return next;
}

}  // namespace coffer::core
