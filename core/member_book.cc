#include "core/member_book.h"

#include <algorithm>
#include <utility>

namespace coffer::core {
namespace {

bool is_needed(const Member& asker, const Members& members, raft::NodeId leader,
               const raft::Configuration& configuration) {
  const Member* known = find_member(members, asker.number);
  if (known != nullptr && *known == asker)
    return false;
  // The leader's own record comes with the log, which it can send only while it is admitted. And a leader may need the
  // member that has moved to go on leading: its new record is committed with its own acknowledgement.
  return leader == raft::kNobody || leader == asker.number || configuration.contains(asker.number);
}

void put(Members& members, const Member& member) {
  const auto at = std::ranges::find(members, member.number, &Member::number);
  if (at == members.end())
    members.push_back(member);
  else
    *at = member;
}

}  // namespace

void MemberBook::publish(Members members) {
  std::erase_if(askers_, [&](const Member& asker) {
    const Member* before = find_member(members_, asker.number);
    const Member* now = find_member(members, asker.number);
    return now != nullptr && (before == nullptr || !(*before == *now));
  });
  members_ = std::move(members);
}

bool MemberBook::ask(const Member& asker) {
  const Member* known = find_member(members_, asker.number);
  const Member* asked = find_member(askers_, asker.number);
  if ((known != nullptr && *known == asker) || (asked != nullptr && *asked == asker))
    return false;
  if (asked == nullptr && askers_.size() >= kMembersMax)
    return false;
  put(askers_, asker);
  return true;
}

bool MemberBook::settle(raft::NodeId leader, const raft::Configuration& configuration) {
  return std::erase_if(askers_, [&](const Member& asker) {
           return !is_needed(asker, members_, leader, configuration);
         }) > 0;
}

Members MemberBook::all() {
  Members all = members_;
  for (const Member& guest : guests_)
    if (find_member(members_, guest.number) == nullptr)
      all.push_back(guest);
  if (all.size() == members_.size())
    guests_.clear();
  for (const Member& asker : askers_)
    put(all, asker);
  return all;
}

}  // namespace coffer::core
