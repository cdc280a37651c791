// What a node does for its leader: entries, heartbeats, snapshots.
#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/entry.h"

namespace coffer::raft {

// The message comes from the leader of the current term. False when it cannot be (a bug of a peer).
bool Core::hear_leader(const Message& message) {
  if (role_ == Role::kLeader || (leader_ != kNobody && leader_ != message.from && role_ == Role::kFollower)) {
    if (!mutant(Mutant::kStaleTermAccepted)) {
      fail(Status(Code::kInternal, "two nodes lead in the same term"));
      return false;
    }
  }
  if (role_ != Role::kFollower || leader_ != message.from)
    become_follower(hard_.term, message.from);
  const BootTime now = clock_.boot_now();
  leader_heard_ = now;
  heard_once_ = true;
  campaigns_ = 0;
  reset_election_deadline();
  time_.observe(message.time, now);
  heed_catch_up(message.catch_up_to);
  return true;
}

void Core::on_append(Message& message) {
  if (!hear_leader(message))
    return;
  if (message.index < commit_) {
    // Old or repeated: what is committed is the leader's too. Its next append starts behind that.
    matched_ = std::max(matched_, commit_);
    acknowledge();
    return;
  }
  if (!log_.matches(message.index, message.log_term)) {
    reject_append(message);
    return;
  }
  const Index last = message.entries.empty() ? message.index : message.entries.back().index;
  accept_entries(message.entries);
  if (failed_)
    return;
  matched_ = std::max(matched_, last);
  commit_to(std::min(message.commit, last));
  if (synced_ >= matched_)
    acknowledge();
  check_caught_up();
}

// The entries follow one that matches. Only a real difference cuts the own log: an old message that arrives late must
// not take away what came after it.
void Core::accept_entries(std::vector<store::LogRecord>& entries) {
  for (store::LogRecord& entry : entries) {
    if (entry.index <= log_.last_index()) {
      if (log_.matches(entry.index, entry.term) && !mutant(Mutant::kCommittedEntryTruncated))
        continue;
      if (entry.index <= commit_ && !mutant(Mutant::kCommittedEntryTruncated))
        return fail(Status(Code::kDataLoss, "the leader's log differs from this node's below the commit index"));
      truncate_log(entry.index);
    }
    if (Status status = note_configuration(entry); !status.ok())
      return fail(std::move(status));
    append_to_log(std::move(entry));
  }
}

void Core::reject_append(const Message& message) {
  Message reply = reply_to(message, MessageKind::kAppendReply);
  reply.reject = true;
  reply.index = message.index;
  reply.hint = log_.last_at_most(message.index, message.log_term);
  const Result<Term> term = log_.term_at(reply.hint);
  reply.hint_term = term.ok() ? *term : Term(0);
  send(std::move(reply));
}

// Tells the leader what is on this disk of its log.
void Core::acknowledge() {
  // Not before the term is on this disk as well; persisted() comes back to it.
  if (persisted_ < hard_at_)
    return;
  Message reply = reply_to(Message{.from = leader_}, MessageKind::kAppendReply);
  reply.index = acknowledged_ = std::min(matched_, synced_);
  send(std::move(reply));
}

void Core::on_heartbeat(const Message& message) {
  if (!hear_leader(message))
    return;
  // The leader names no more than what this node has acknowledged.
  commit_to(std::min(message.commit, matched_));
  if (message.round != 0) {
    Message reply = reply_to(message, MessageKind::kHeartbeatReply);
    reply.index = std::min(matched_, synced_);
    send(std::move(reply));
  }
}

void Core::on_snapshot(const Message& message) {
  COFFER_CHECK(message.snapshot != nullptr);
  if (!hear_leader(message))
    return;
  const SnapshotMeta& meta = *message.snapshot;
  const bool older = meta.index <= commit_ && !mutant(Mutant::kOlderSnapshotInstalled);
  if (older || installing_ != Index(0)) {
    matched_ = std::max(matched_, commit_);
    acknowledge();
    return;
  }
  if (log_.matches(meta.index, meta.term) && !mutant(Mutant::kOlderSnapshotInstalled)) {
    matched_ = std::max(matched_, meta.index);
    commit_to(meta.index);
    acknowledge();
    return;
  }
  for (Unsynced& unsynced : unsynced_)
    unsynced.last = std::min(unsynced.last, commit_);
  synced_ = std::min(synced_, commit_);
  log_.reset_to(meta.index, meta.term);
  membership_.reset(meta.index, meta.configuration);
  commit_ = written_ = matched_ = installing_ = meta.index;
  installing_at_ = next_persist_;
  ready_.install = message.snapshot;
  ready_.spool = message.spool;
  ready_.truncate_from.reset();
  dirty_ = true;
}

// The leader knows that this node has lost what it once acknowledged.
void Core::heed_catch_up(Index until) {
  if (until == Index(0))
    return;
  catch_up_to_ = until;
  if (may_vote() && synced_ < until) {
    hard_.voted_for = kNoVote;
    mark_hard_state();
  }
  check_caught_up();
}

void Core::check_caught_up() {
  if (may_vote() || catch_up_to_ == Index(0) || std::min(matched_, synced_) < catch_up_to_)
    return;
  catch_up_to_ = Index(0);
  // Votes begin with the next term: what this node promised in the current one is forgotten.
  hard_.voted_for = kForgottenVote;
  mark_hard_state();
}

}  // namespace coffer::raft
