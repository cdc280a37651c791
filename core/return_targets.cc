#include "core/return_targets.h"

#include <algorithm>

namespace coffer::core {

std::vector<JoinTarget> return_targets(const std::vector<JoinTarget>& configured, const Members& members,
                                       raft::NodeId self) {
  std::vector<JoinTarget> out = configured;
  JoinTarget trusted = configured.empty() ? JoinTarget() : configured.front();
  const auto expects_another = [&](const JoinTarget& one) { return one.server_name != trusted.server_name; };
  if (std::ranges::any_of(configured, expects_another))
    trusted.server_name.clear();
  for (const Member& member : members) {
    trusted.url = member.api_address;
    const bool is_there = std::ranges::find(out, trusted.url, &JoinTarget::url) != out.end();
    if (member.number != self && !trusted.url.empty() && !is_there)
      out.push_back(trusted);
  }
  return out;
}

}  // namespace coffer::core
