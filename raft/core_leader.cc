// What a leader does: proposals, replication, commit, heartbeat rounds with lease and reads, transfer, membership.
#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/quorum.h"

namespace coffer::raft {

Result<Index> Core::propose(Term term, std::string payload, EntryKind kind) {
  COFFER_CHECK(payload.size() >= kEntryHeaderBytes);
  COFFER_CHECK(kind == EntryKind::kData || kind == EntryKind::kReplaced);
  if (failed_)
    return Status(Code::kUnavailable, "this node stopped after a failure");
  if (role_ != Role::kLeader || (term != hard_.term && !mutant(Mutant::kOldTermProposal)))
    return Status(Code::kConflict, "this node does not lead the term of the proposal");
  if (transferring())
    return Status(Code::kUnavailable, "leadership is moving to another node");
  if (unsynced_bytes_ >= options_.unsynced_bytes_max)
    return Status(Code::kExhausted, "the log's disk is behind");
  stamp_entry_time(payload, time_.now(clock_.boot_now()));
  const Index index = log_.last_index().next();
  append_to_log({index, hard_.term, static_cast<std::uint8_t>(kind),
                 std::make_shared<const std::string>(std::move(payload))});
  return index;
}

Result<Index> Core::propose_change(Term term, const Change& change) {
  if (role_ != Role::kLeader || term != hard_.term || failed_)
    return Status(Code::kConflict, "this node does not lead the term of the proposal");
  // Two changes under way, or one begun before this leader knows what its predecessor committed, could give two
  // majorities that share no node.
  if (transferring() || commit_ < first_of_term_ || !configuration_committed())
    return Status(Code::kUnavailable, "another change of leader or members is under way");
  COFFER_ASSIGN(Configuration to, changed(membership_.current(), change));
  if (change.kind == Change::Kind::kPromote) {
    const Progress* peer = progress_of(change.node);
    // Who never acknowledged anything may be unreachable, and would only raise the majority: with one more disk lost
    // the rest could not elect anybody.
    if (peer == nullptr || peer->match() == Index(0) || peer->catch_up_to() != Index(0) ||
        peer->match().get() + options_.promote_lag_entries_max < log_.last_index().get())
      return Status(Code::kUnavailable, "the learner has not caught up with the log");
  }
  std::string payload = encode_configuration(to);
  stamp_entry_time(payload, time_.now(clock_.boot_now()));
  const Index index = log_.last_index().next();
  append_to_log({index, hard_.term, static_cast<std::uint8_t>(EntryKind::kConfiguration),
                 std::make_shared<const std::string>(std::move(payload))});
  // A lease that was earned from the old voters says nothing about the new ones. These are asked at once.
  const bool other_voters = to.voters != membership_.current().voters;
  if (other_voters)
    lease_.drop();
  membership_.append(index, std::move(to));
  configuration_changed();
  if (other_voters)
    start_round(clock_.boot_now());
  return index;
}

Status Core::transfer_leadership(NodeId to) {
  if (role_ != Role::kLeader || failed_)
    return Status(Code::kUnavailable, "this node does not lead");
  if (transferring())
    return Status(Code::kUnavailable, "leadership is moving already");
  if (to == kNobody) {
    const Progress* best = nullptr;
    for (const Progress& peer : peers_) {
      const bool fit = membership_.current().is_voter(peer.id()) && peer.catch_up_to() == Index(0);
      if (fit && (best == nullptr || peer.match() > best->match()))
        best = &peer;
    }
    to = best == nullptr ? kNobody : best->id();
  }
  if (to == options_.id || !membership_.current().is_voter(to))
    return Status(Code::kInvalid, "there is no such voter to lead instead");
  // From here on a voter may be elected that the lease does not wait for; the message may arrive late, so the lease
  // does not come back in this term.
  lease_barred_ = true;
  drop_lease();
  transferee_ = to;
  transfer_sent_ = false;
  transfer_deadline_ = clock_.boot_now() + options_.election_timeout;
  Progress* peer = find(to);
  COFFER_CHECK(peer != nullptr);
  continue_transfer(*peer);
  return Status();
}

void Core::continue_transfer(Progress& peer) {
  if (peer.id() != transferee_ || transfer_sent_ || peer.match() != log_.last_index())
    return;
  Message message;
  message.kind = MessageKind::kTimeoutNow;
  message.from = options_.id;
  message.to = peer.id();
  message.term = hard_.term;
  send(std::move(message));
  transfer_sent_ = true;
}

Status Core::read_index(std::uint64_t context) {
  if (failed_ || leader_ == kNobody)
    return Status(Code::kUnavailable, "no leader is known");
  Message message;
  message.kind = MessageKind::kReadIndex;
  message.from = options_.id;
  message.to = leader_;
  message.term = hard_.term;
  message.context = context;
  if (role_ != Role::kLeader) {
    send(std::move(message));
    return Status();
  }
  if (!serving() || reads_.waiting() >= options_.reads_pending_max)
    return Status(Code::kUnavailable, "the leader cannot serve reads yet");
  on_read_index(message);
  return Status();
}

void Core::on_read_index(const Message& message) {
  if (role_ != Role::kLeader)
    return;
  // Only an entry of the own term proves that the index covers all that was acknowledged before it.
  if (!serving() || reads_.waiting() >= options_.reads_pending_max) {
    if (message.from != options_.id)
      finish_reads({{message.context, message.from, Index(0), 0}}, false);
    return;
  }
  const Index index = visible();
  // While the lease holds, no other node leads, and a round would tell no more. The index is taken before the clock is
  // looked at: whatever happens in between, it covers all that was acknowledged when the read was asked for.
  if (lease_.valid(clock_.boot_now()))
    return finish_reads({{message.context, message.from, index, 0}}, true);
  reads_.add(message.context, message.from, index);
}

void Core::finish_reads(const std::vector<ReadIndex::Waiting>& reads, bool ok) {
  for (const ReadIndex::Waiting& read : reads) {
    if (read.from == options_.id) {
      ready_.reads.push_back({read.context, read.index, ok});
      continue;
    }
    Message reply;
    reply.kind = MessageKind::kReadIndexReply;
    reply.from = options_.id;
    reply.to = read.from;
    reply.term = hard_.term;
    reply.context = read.context;
    reply.index = read.index;
    reply.reject = !ok;
    reply.time = time_.now(clock_.boot_now());
    send(std::move(reply));
  }
}

void Core::tick_leader(BootTime now) {
  time_.steer(now, clock_.wall_now());
  if (transferring() && now >= transfer_deadline_)
    transferee_ = kNobody;
  if (now >= quorum_check_due_) {
    quorum_check_due_ = now + options_.heartbeat_interval;
    if (!has_quorum_contact(now)) {
      become_follower(hard_.term, kNobody);
      return;
    }
  }
  if (now < heartbeat_due_)
    return;
  heartbeat_due_ = now + options_.heartbeat_interval;
  for (Progress& peer : peers_) {
    if (peer.state() == Progress::State::kReplicate && peer.stalled())
      peer.probe();
  }
  start_round(now);
}

bool Core::has_quorum_contact(BootTime now) const {
  const Configuration& members = membership_.current();
  std::size_t heard = voter() ? 1 : 0;
  for (const Progress& peer : peers_) {
    if (members.is_voter(peer.id()) && now - peer.heard() < options_.election_timeout)
      ++heard;
  }
  return heard >= majority_of(members.voters.size());
}

Progress* Core::find(NodeId peer) { return const_cast<Progress*>(progress_of(peer)); }

// Takes from any reply what it says about the peer.
void Core::note_peer(const Message& message, Progress& peer) {
  peer.hear(clock_.boot_now());
  check_amnesia(message, peer);
  peer.incarnation = std::max(peer.incarnation, message.incarnation);
  if (message.round > peer.round && message.round <= reads_.last_round())
    peer.round = message.round;
}

// A peer that started anew and has less log than it acknowledged, or that says so itself, is not counted until it has
// all that it may have been counted for.
void Core::check_amnesia(const Message& message, Progress& peer) {
  if (peer.catch_up_to() != Index(0)) {
    if (!message.catching_up && peer.match() >= peer.catch_up_to()) {
      peer.caught_up();
    } else if (!message.reject && message.hint < peer.match()) {
      // Lost once more on the way: its lives may carry the same number.
      peer.forget(peer.catch_up_to());
      peer.incarnation = message.incarnation;
    }
    return;
  }
  const bool restarted_shorter =
      message.incarnation > peer.incarnation && peer.incarnation != 0 && message.hint < peer.match() && !message.reject;
  const bool rolled_back = message.incarnation < peer.incarnation && message.hint < peer.match();
  if (message.catching_up || restarted_shorter || rolled_back) {
    peer.forget(std::max(log_.last_index(), peer.match()));
    peer.incarnation = message.incarnation;
  } else if (message.incarnation > peer.incarnation && peer.incarnation != 0 &&
             peer.state() == Progress::State::kReplicate) {
    // It has started anew with all that it had, and does not know any more how much of that is this leader's: without
    // an append that says so it would learn of no commit before the next entry.
    peer.probe();
  }
}

void Core::on_append_reply(const Message& message) {
  Progress* peer = role_ == Role::kLeader ? find(message.from) : nullptr;
  if (peer == nullptr)
    return;
  note_peer(message, *peer);
  if (message.reject) {
    const Index ours = log_.last_at_most(message.hint, message.hint_term);
    peer->refused(message.index, ours);
    return;
  }
  if (message.index > log_.last_index())
    return;
  peer->acknowledged(message.index, clock_.boot_now());
  if (peer->catch_up_to() != Index(0) && peer->match() >= peer->catch_up_to() && !message.catching_up)
    peer->caught_up();
  maybe_commit();
  continue_transfer(*peer);
}

void Core::on_heartbeat_reply(const Message& message) {
  Progress* peer = role_ == Role::kLeader ? find(message.from) : nullptr;
  if (peer == nullptr)
    return;
  const bool counted = peer->catch_up_to() == Index(0);
  note_peer(message, *peer);
  peer->allow_probe();
  // Who has just caught up may be the one whom a majority lacked, and no append need follow that would show it.
  if (!counted && peer->catch_up_to() == Index(0))
    maybe_commit();
  if (role_ != Role::kLeader)
    return;
  check_rounds();
}

void Core::snapshot_done(NodeId to) {
  Progress* peer = role_ == Role::kLeader ? find(to) : nullptr;
  if (peer != nullptr && peer->state() == Progress::State::kSnapshot)
    peer->probe();
}

void Core::replicate() {
  if (reads_.wants_round())
    start_round(clock_.boot_now());
  for (Progress& peer : peers_)
    replicate_to(peer);
}

void Core::replicate_to(Progress& peer) {
  bool sent = false;
  while (peer.can_send(options_) && (peer.state() == Progress::State::kProbe || peer.next() <= log_.last_index())) {
    if (!send_append(peer))
      return;
    sent = true;
  }
  // With entries under way the next append brings it, or the answer to these brings this back here.
  if (!sent && !peer.waits() && std::min(visible(), peer.match()) > peer.commit_told)
    send_commit(peer);
}

// False when nothing was sent: the peer needs a snapshot, or the log cannot be read.
bool Core::send_append(Progress& peer) {
  // The streams that those entries name are gone once they are applied, and what stands before them is another state:
  // who is not past them is given the state itself.
  if (peer.next() <= replaced_) {
    peer.snapshot(replaced_);
    ready_.snapshots.push_back(peer.id());
    return false;
  }
  const Index before(peer.next().get() - 1);
  const Result<Term> term = log_.term_at(before);
  if (!term.ok() || (peer.next() <= log_.last_index() && peer.next() < log_.first_index())) {
    if (!term.ok() && term.code() != Code::kNotFound) {
      fail(term.status());
      return false;
    }
    peer.snapshot(log_.first_index());
    ready_.snapshots.push_back(peer.id());
    return false;
  }
  Message message;
  message.kind = MessageKind::kAppend;
  message.from = options_.id;
  message.to = peer.id();
  message.term = hard_.term;
  message.index = before;
  message.log_term = *term;
  message.commit = visible();
  message.catch_up_to = peer.catch_up_to();
  message.incarnation = hard_.incarnation;
  message.time = time_.now(clock_.boot_now());
  std::size_t bytes = 0;
  if (peer.next() <= log_.last_index()) {
    Result<std::vector<store::LogRecord>> entries =
        log_.read(peer.next(), log_.last_index(), options_.append_bytes_max);
    if (!entries.ok()) {
      fail(entries.status());
      return false;
    }
    message.entries = std::move(entries).value();
    for (const store::LogRecord& entry : message.entries)
      bytes += entry.payload->size();
  }
  peer.sent(message.entries.empty() ? before : message.entries.back().index, bytes, clock_.boot_now());
  peer.commit_told = std::max(peer.commit_told, std::min(visible(), peer.match()));
  send(std::move(message));
  return true;
}

void Core::send_commit(Progress& peer) {
  Message message;
  message.kind = MessageKind::kHeartbeat;
  message.from = options_.id;
  message.to = peer.id();
  message.term = hard_.term;
  message.commit = peer.commit_told = std::min(visible(), peer.match());
  message.catch_up_to = peer.catch_up_to();
  message.time = time_.now(clock_.boot_now());
  send(std::move(message));
}

void Core::start_round(BootTime now) {
  const std::uint64_t round = reads_.start_round(now);
  for (Progress& peer : peers_) {
    send_commit(peer);
    ready_.send.back().round = round;
    ready_.send.back().incarnation = hard_.incarnation;
  }
  check_rounds();
}

// A majority has confirmed some round: reads that waited for it are answered, the lease is prolonged.
void Core::check_rounds() {
  if (role_ != Role::kLeader)
    return;
  std::array<std::uint64_t, kVotersMax> rounds;
  std::size_t count = 0;
  for (NodeId id : membership_.current().voters) {
    const Progress* peer = progress_of(id);
    rounds[count++] = id == options_.id ? reads_.last_round() : peer->round;
  }
  const std::uint64_t round = reached_by_majority({rounds.data(), count});
  finish_reads(reads_.confirmed(round), true);
  extend_lease(round);
}

bool Core::told_all(Index index) const {
  const BootTime now = clock_.boot_now();
  return role_ == Role::kLeader && std::ranges::all_of(peers_, [&](const Progress& peer) {
    return peer.commit_told >= index || now - peer.heard() >= options_.election_timeout;
  });
}

void Core::extend_lease(std::uint64_t round) {
  if (!serving() || lease_barred_ || !voter())
    return;
  if (sole_voter()) {
    lease_.extend(BootTime::max());
    return;
  }
  const std::optional<BootTime> sent = reads_.sent_at(round);
  if (sent)
    lease_.extend(*sent + options_.election_timeout * (100 - options_.lease_drift_percent) / 100);
}

void Core::maybe_commit() {
  COFFER_CHECK(role_ == Role::kLeader);
  std::array<std::uint64_t, kVotersMax> matches;
  std::size_t count = 0;
  for (NodeId id : membership_.current().voters) {
    const Progress* peer = progress_of(id);
    if (id == options_.id)
      matches[count++] = synced_.get();
    else
      matches[count++] = peer->catch_up_to() == Index(0) ? peer->match().get() : 0;
  }
  const Index reached(reached_by_majority({matches.data(), count}));
  if (reached <= commit_)
    return;
  // Entries of older terms are committed by one of this term above them, never by their own count.
  const Result<Term> term = log_.term_at(reached);
  if (!term.ok())
    return fail(term.status());
  if (*term != hard_.term && !mutant(Mutant::kOldTermCommittedByCount))
    return;
  commit_to(reached);
  // A leader that is no voter any more has done its last duty with the entry that says so.
  if (!voter() && configuration_committed())
    become_follower(hard_.term, kNobody);
}

}  // namespace coffer::raft
