#include "core/restoring.h"

#include <algorithm>

#include "base/mutant.h"
#include "raft/entry.h"
#include "raft/quorum.h"

namespace coffer::core {

const std::set<raft::NodeId>& StreamStaging::read(raft::NodeId self, const raft::Configuration& members) {
  self_ = self;
  read_ = true;
  for (const std::vector<raft::NodeId>* part : {&members.voters, &members.learners})
    for (const raft::NodeId id : *part)
      if (id != self)
        waited_.insert(id);
  return waited_;
}

void StreamStaging::heard(raft::NodeId of, bool there) {
  waited_.erase(of);
  if (there)
    ready_.insert(of);
}

StreamStaging::Step StreamStaging::next(const std::vector<raft::NodeId>& voters, BootTime now) {
  if (now >= deadline_)
    return Step::kLate;
  if (!read_)
    return Step::kWait;
  const auto have = static_cast<std::size_t>(
      std::ranges::count_if(voters, [this](raft::NodeId id) { return id == self_ || ready_.contains(id); }));
  if (have >= raft::majority_of(voters.size()) || mutant(Mutant::kRestoreBeforeMajority))
    agreed_ = std::min(agreed_, now);
  else if (waited_.empty())
    return Step::kTooFew;
  if (agreed_ == BootTime::max())
    return Step::kWait;
  const Nanos patience = std::max<Nanos>(kWaitMin, agreed_ - begun_);
  return waited_.empty() || now >= agreed_ + patience ? Step::kPropose : Step::kWait;
}

bool is_replacement(const store::LogRecord& record) {
  return record.kind == static_cast<std::uint8_t>(raft::EntryKind::kReplaced);
}

void end_at_missing(raft::Message& message, const raft::Core& core,
                    const std::function<bool(const store::LogRecord&)>& has) {
  const auto missing = std::ranges::find_if(message.entries, [&](const store::LogRecord& record) {
    if (!is_replacement(record) || record.index <= core.commit_index() || core.log_matches(record.index, record.term))
      return false;
    return !has(record) && !mutant(Mutant::kReplacedWithoutStream);
  });
  message.entries.erase(missing, message.entries.end());
}

std::optional<bool> replacement_settled(Index wanted, Term in, Index index, Term term) {
  if (wanted == Index(0) || index < wanted)
    return std::nullopt;
  return index == wanted && (term == in || mutant(Mutant::kRestoreOfOtherTerm));
}

std::vector<StreamOffers::Due> StreamOffers::due(const raft::Core& core, const std::set<Index>& entries, BootTime now) {
  std::vector<Due> out;
  if (core.role() != raft::Role::kLeader || entries.empty()) {
    clear();
    return out;
  }
  const raft::Configuration& members = core.configuration();
  for (const std::vector<raft::NodeId>* part : {&members.voters, &members.learners})
    for (const raft::NodeId id : *part) {
      const raft::Progress* peer = id == core.id() ? nullptr : core.progress_of(id);
      if (peer == nullptr || !entries.contains(peer->match().next())) {
        of_.erase(id);
        continue;
      }
      const Index entry = peer->match().next();
      Offer& offer = of_.try_emplace(id, Offer{entry, now + kPause, now, false}).first->second;
      if (offer.entry != entry)
        offer = {entry, now + kPause, now, false};
      if (offer.under_way || now < offer.at || mutant(Mutant::kStreamSentOnce))
        continue;
      offer = {entry, now, now, true};
      out.push_back({id, entry});
    }
  return out;
}

void StreamOffers::sent(raft::NodeId to, BootTime now) {
  const auto found = of_.find(to);
  if (found == of_.end())
    return;
  Offer& offer = found->second;
  offer.under_way = false;
  offer.at = now + std::max<Nanos>(kPause, now - offer.begun);
}

}  // namespace coffer::core
