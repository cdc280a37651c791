#include "raft/membership.h"

#include <algorithm>

#include "base/check.h"
#include "raft/entry.h"

namespace coffer::raft {
namespace {

void insert_sorted(std::vector<NodeId>& nodes, NodeId id) {
  nodes.insert(std::lower_bound(nodes.begin(), nodes.end(), id), id);
}

}  // namespace

Result<Configuration> changed(const Configuration& from, const Change& change) {
  if (change.node == kNobody)
    return Status(Code::kInvalid, "a node number of 0 names nobody");
  Configuration to = from;
  const bool voter = from.is_voter(change.node);
  const bool learner = from.is_learner(change.node);
  std::erase(to.voters, change.node);
  std::erase(to.learners, change.node);
  switch (change.kind) {
    case Change::Kind::kAddLearner:
      if (voter || learner)
        return Status(Code::kInvalid, "the node is a member already");
      insert_sorted(to.learners, change.node);
      break;
    case Change::Kind::kPromote:
      if (!learner)
        return Status(Code::kInvalid, "only a learner can be promoted");
      insert_sorted(to.voters, change.node);
      break;
    case Change::Kind::kDemote:
      if (!voter)
        return Status(Code::kInvalid, "only a voter can be demoted");
      insert_sorted(to.learners, change.node);
      break;
    case Change::Kind::kRemove:
      if (!voter && !learner)
        return Status(Code::kInvalid, "the node is not a member");
      break;
  }
  if (to.voters.empty())
    return Status(Code::kInvalid, "the last voter cannot go");
  if (to.voters.size() > kVotersMax || to.learners.size() > kLearnersMax)
    return Status(Code::kTooLarge, "the cluster has as many nodes as it can have");
  return to;
}

const Configuration& Membership::at(Index index) const {
  COFFER_CHECK(history_.front().index <= index);
  auto it = std::find_if(history_.rbegin(), history_.rend(), [index](const Held& held) { return held.index <= index; });
  return it->configuration;
}

void Membership::append(Index index, Configuration configuration) {
  COFFER_CHECK(index > history_.back().index);
  history_.push_back({index, std::move(configuration)});
}

bool Membership::truncate_from(Index from) {
  bool any = false;
  while (history_.size() > 1 && history_.back().index >= from) {
    history_.pop_back();
    any = true;
  }
  COFFER_CHECK(history_.back().index < from);
  return any;
}

void Membership::reset(Index index, Configuration configuration) {
  history_.clear();
  history_.push_back({index, std::move(configuration)});
}

void Membership::compact(Index applied) {
  std::size_t keep = 0;
  while (keep + 1 < history_.size() && history_[keep + 1].index <= applied)
    ++keep;
  history_.erase(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(keep));
}

}  // namespace coffer::raft
