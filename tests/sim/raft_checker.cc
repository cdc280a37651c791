#include "tests/sim/raft_checker.h"

#include <algorithm>

namespace coffer::sim {

using raft::Core;
using raft::MessageKind;
using raft::NodeId;
using raft::Role;

bool RaftChecker::fail(const Core& core, std::string what) {
  if (failure_.empty())
    failure_ = "node " + std::to_string(core.id().get()) + " in term " + std::to_string(core.term().get()) + ": " +
               std::move(what);
  return false;
}

bool RaftChecker::stepped(const Core& core, const raft::Ready& ready) {
  Seen& seen = nodes_[core.id()];
  if (!ready.failure.ok())
    return true;  // the shell decides whether the failure had a cause
  // What a later leader cuts, or leaves out of the state that it sends, was not committed, and cannot be any more: a
  // majority has left the term in which it was acknowledged. A crash may keep the cut, or the state, and forget the
  // later term.
  if (ready.truncate_from && core.term() > seen.ack_term && *ready.truncate_from <= seen.acknowledged)
    seen.acknowledged = Index(ready.truncate_from->get() - 1);
  if (ready.install && core.term() > seen.ack_term)
    seen.acknowledged = std::min(seen.acknowledged, ready.install->index);
  if (ready.install)
    seen.snapshot = std::max(seen.snapshot, ready.install->index);
  return check_progress(core, seen) && check_messages(core, ready, seen) && check_appended(ready) &&
         check_leader(core, seen) && check_commit(core, seen) && check_applied(core, ready) &&
         (seen.commit = core.commit_index(), true);
}

bool RaftChecker::check_progress(const Core& core, Seen& seen) {
  if (core.term() < seen.term)
    return fail(core, "the term went back");
  if (core.commit_index() < seen.commit)
    return fail(core, "the commit index went back");
  if (core.commit_index() > core.last_index())
    return fail(core, "committed beyond the log's end");
  if (core.applied_index() < seen.applied)
    return fail(core, "the applied index went back");
  if (core.applied_index() > core.commit_index())
    return fail(core, "applied what is not committed");
  if (core.synced_index() > core.last_index())
    return fail(core, "synced beyond the log's end");
  seen.term = core.term();
  seen.applied = core.applied_index();
  return true;
}

bool RaftChecker::check_vote(Term term, NodeId voter, NodeId candidate) {
  const auto [it, added] = votes_.try_emplace({term, voter}, candidate);
  return added || it->second == candidate;
}

bool RaftChecker::check_messages(const Core& core, const raft::Ready& ready, Seen& seen) {
  for (const raft::Message& message : ready.send) {
    if (message.from != core.id() || message.to == core.id())
      return fail(core, "sent a message under a wrong name");
    if (message.term > core.term() && message.kind != MessageKind::kPreVote &&
        message.kind != MessageKind::kPreVoteReply)
      return fail(core, "sent a term that it is not in");
    if (message.kind == MessageKind::kVoteReply && !message.reject && !check_vote(message.term, core.id(), message.to))
      return fail(core, "voted twice");
    // A candidate asks once its own vote is on its disk.
    if (message.kind == MessageKind::kVote && !check_vote(message.term, core.id(), core.id()))
      return fail(core, "voted twice, once for itself");
    if (message.kind == MessageKind::kAppendReply && !message.reject) {
      if (message.index > core.synced_index())
        return fail(core, "acknowledged what its disk does not hold");
      if (message.term != seen.ack_term)
        seen.acknowledged = Index(0);
      seen.ack_term = message.term;
      seen.acknowledged = std::max(seen.acknowledged, message.index);
    }
  }
  return true;
}

bool RaftChecker::check_appended(const raft::Ready& ready) {
  for (const store::LogRecord& record : ready.append) {
    const auto [it, added] = entries_.try_emplace({record.index, record.term}, record.payload);
    if (!added && it->second != record.payload && *it->second != *record.payload) {
      failure_ = "two entries with the same index " + std::to_string(record.index.get()) + " and term differ";
      return false;
    }
  }
  return true;
}

bool RaftChecker::check_leader(const Core& core, Seen& seen) {
  const bool leads = core.role() == Role::kLeader;
  const bool news = leads && !seen.leader;
  seen.leader = leads;
  if (!news)
    return true;
  const auto [it, added] = leaders_.try_emplace(core.term(), core.id());
  if (!added)
    return fail(core, it->second == core.id() ? "elected twice in a term" : "two leaders in a term");
  // Everything that was committed in an earlier term must be in the leader's log. (One that is late leads an older
  // term.)
  const auto end = std::partition_point(committed_.begin(), committed_.end(),
                                        [&core](const Committed& entry) { return entry.in < core.term(); });
  if (end != committed_.begin()) {
    const Committed& last = *std::prev(end);
    if (core.last_index() < last.index ||
        (!core.log_matches(last.index, last.term) && core.commit_index() < last.index))
      return fail(core, "elected without entry " + std::to_string(last.index.get()) + ", which is committed");
  }
  return true;
}

bool RaftChecker::check_commit(const Core& core, const Seen& seen) {
  if (core.commit_index() <= seen.commit)
    return true;
  const Index commit = core.commit_index();
  if (core.role() == Role::kLeader && !core.log_matches(commit, core.term()))
    return fail(core, "a leader committed an entry of an older term by its count");
  // What it took over within a snapshot, and what others committed before, must agree; the rest is new.
  for (Index at = std::max(seen.commit, seen.snapshot).next(); at <= commit; at = at.next()) {
    if (at.get() <= committed_.size()) {
      if (!core.log_matches(at, committed_[at.get() - 1].term))
        return fail(core, "committed another entry at " + std::to_string(at.get()) + " than the cluster");
      continue;
    }
    const auto first = entries_.lower_bound({at, Term(0)});
    auto found = entries_.end();
    for (auto it = first; it != entries_.end() && it->first.first == at; ++it) {
      if (core.log_matches(at, it->first.second))
        found = it;
    }
    if (found == entries_.end())
      return fail(core, "committed an entry that nobody appended");
    const Term in = committed_.empty() ? core.term() : std::max(core.term(), committed_.back().in);
    committed_.push_back({at, found->first.second, in, found->second});
  }
  return true;
}

bool RaftChecker::check_applied(const Core& core, const raft::Ready& ready) {
  for (const store::LogRecord& record : ready.apply) {
    if (record.index > core.synced_index())
      return fail(core, "applies what its own log has not synced");
    if (record.index > core.commit_index())
      return fail(core, "applies what is not committed");
    if (record.index.get() <= committed_.size() && committed_[record.index.get() - 1].payload != record.payload &&
        *committed_[record.index.get() - 1].payload != *record.payload)
      return fail(core, "applies another entry at " + std::to_string(record.index.get()) + " than the cluster");
  }
  return true;
}

bool RaftChecker::restarted(const Core& core, bool wiped) {
  Seen& seen = nodes_[core.id()];
  if (!wiped && core.term() < seen.term && core.term() < seen.ack_term)
    return fail(core, "forgot a term in which it had acknowledged entries");
  if (!wiped && core.last_index() < seen.acknowledged && core.term() == seen.ack_term)
    return fail(core, "lost entries that it had acknowledged");
  if (wiped) {
    // It was away until nobody counted its votes any more.
    std::erase_if(votes_, [&core](const auto& vote) { return vote.first.second == core.id(); });
  }
  const Term term = core.term();
  seen = Seen();
  seen.term = term;
  seen.commit = core.commit_index();
  seen.applied = core.applied_index();
  // The replayed prefix agrees with the cluster.
  const Index known(std::min<std::uint64_t>(seen.commit.get(), committed_.size()));
  if (!wiped && known > core.applied_index() && !core.log_matches(known, committed_[known.get() - 1].term))
    return fail(core, "came back with another committed entry than the cluster's");
  return true;
}

bool RaftChecker::lease_is_over(const Core& holder, bool valid, Term elected) {
  if (valid && holder.term() < elected)
    return fail(holder,
                "may still answer reads alone while a leader of term " + std::to_string(elected.get()) + " is elected");
  return true;
}

}  // namespace coffer::sim
