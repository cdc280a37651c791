// Pre-votes, votes, and becoming leader.
#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/quorum.h"

namespace coffer::raft {
namespace {

// The first wait after a campaign, as a part of the election timeout; the third is whole.
constexpr int kRetryFraction = 4;
constexpr unsigned kRetryDoublings = 2;

void add_once(std::vector<NodeId>& nodes, NodeId id) {
  if (std::find(nodes.begin(), nodes.end(), id) == nodes.end())
    nodes.push_back(id);
}

}  // namespace

// While a leader may count on this node's silence: it leads itself, heard one within an election timeout, or may have
// heard one in the life before this start.
bool Core::refuses_votes() const {
  if (role_ == Role::kLeader)
    return true;
  const BootTime now = clock_.boot_now();
  if (heard_once_ && now - leader_heard_ < options_.election_timeout)
    return true;
  return now < quiet_until_ && !sole_voter() && !mutant(Mutant::kVoteRightAfterRestart);
}

bool Core::log_is_current(const Message& request) const {
  if (request.log_term != log_.last_term())
    return request.log_term > log_.last_term();
  return request.index >= log_.last_index();
}

// When votes were split nobody has promised a leader anything any more, so the next try comes soon; and it comes later
// each time, because a disk may be slower than that.
void Core::wait_before_retry() {
  const unsigned doublings = std::min(campaigns_ - 1, kRetryDoublings);
  const Nanos wait = options_.election_timeout / kRetryFraction * (1 << doublings);
  wait_before_election(wait, wait);
}

void Core::campaign(bool pre_vote, bool force) {
  COFFER_CHECK(voter() && may_vote());
  COFFER_CHECK(role_ != Role::kLeader);
  granted_.clear();
  refused_.clear();
  forced_ = force;
  role_ = pre_vote ? Role::kPreCandidate : Role::kCandidate;
  leader_ = kNobody;
  if (!pre_vote) {
    hard_.term = hard_.term.next();
    hard_.voted_for = options_.id.get();
    mark_hard_state();
    own_vote_at_ = next_persist_;
    matched_ = commit_;
    acknowledged_ = Index(0);
  }
  announce();
  if (pre_vote || force)
    ++campaigns_;
  wait_before_retry();
  for (NodeId peer : membership_.current().voters) {
    if (peer == options_.id)
      continue;
    Message request;
    request.kind = pre_vote ? MessageKind::kPreVote : MessageKind::kVote;
    request.from = options_.id;
    request.to = peer;
    request.term = pre_vote ? hard_.term.next() : hard_.term;
    request.index = log_.last_index();
    request.log_term = log_.last_term();
    request.force = force;
    request.incarnation = hard_.incarnation;
    if (pre_vote)
      send(std::move(request));
    else
      send_when_durable(std::move(request));
  }
  if (pre_vote)
    count_votes();
}

void Core::on_pre_vote(const Message& message) {
  Message reply = reply_to(message, MessageKind::kPreVoteReply);
  reply.reject = message.term <= hard_.term || refuses_votes() || !log_is_current(message) || !may_vote();
  if (!reply.reject) {
    reply.term = message.term;  // the term that it may campaign in
    // It will ask for the vote as soon as its disk has the term: a campaign of this node's own would split the votes.
    election_deadline_ =
        std::max(election_deadline_, clock_.boot_now() + options_.election_timeout / kRetryFraction);
  }
  send(std::move(reply));
}

void Core::on_vote(const Message& message) {
  COFFER_CHECK(message.term == hard_.term);
  Message reply = reply_to(message, MessageKind::kVoteReply);
  const bool free = hard_.voted_for == message.from.get() || (hard_.voted_for == 0 && leader_ == kNobody);
  reply.reject = !free || !log_is_current(message);
  if (reply.reject) {
    send(std::move(reply));
    return;
  }
  if (hard_.voted_for == 0) {
    hard_.voted_for = message.from.get();
    mark_hard_state();
  }
  reset_election_deadline();
  send_when_durable(std::move(reply));
}

void Core::on_vote_reply(const Message& message) {
  const bool pre_vote = message.kind == MessageKind::kPreVoteReply;
  if (role_ != (pre_vote ? Role::kPreCandidate : Role::kCandidate))
    return;
  // A granted pre-vote names the term to campaign in, everything else the own one.
  if (message.term != (pre_vote && !message.reject ? hard_.term.next() : hard_.term))
    return;
  add_once(message.reject ? refused_ : granted_, message.from);
  count_votes();
}

void Core::count_votes() {
  const Configuration& now = membership_.current();
  const auto among_voters = [&now](const std::vector<NodeId>& nodes) {
    return static_cast<std::size_t>(
        std::count_if(nodes.begin(), nodes.end(), [&now](NodeId id) { return now.is_voter(id); }));
  };
  const bool own = voter() && (role_ == Role::kPreCandidate || own_vote_at_ <= persisted_);
  const std::size_t granted = among_voters(granted_) + (own ? 1 : 0);
  switch (tally(now.voters.size(), granted, among_voters(refused_))) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      become_follower(hard_.term, kNobody);
      wait_before_retry();
      return;
    case VoteResult::kWon:
      if (role_ == Role::kPreCandidate)
        campaign(false, false);
      else
        become_leader();
      return;
  }
}

void Core::on_timeout_now(const Message& message) {
  if (message.term != hard_.term || message.from != leader_ || role_ != Role::kFollower || !voter() || !may_vote())
    return;
  campaign(false, true);
}

// Empty, but for the first entry of a cluster: that tells the members, so that who joins, or comes back without its
// disk, can learn them from the log.
void Core::append_first_entry(BootTime now) {
  const bool begins = first_of_term_ == Index(1);
  std::string payload = begins ? encode_configuration(membership_.current()) : std::string(kEntryHeaderBytes, '\0');
  stamp_entry_time(payload, time_.now(now));
  const EntryKind kind = begins ? EntryKind::kConfiguration : EntryKind::kEmpty;
  append_to_log({first_of_term_, hard_.term, static_cast<std::uint8_t>(kind),
                 std::make_shared<const std::string>(std::move(payload))});
  if (begins)
    membership_.append(first_of_term_, membership_.current());
}

void Core::become_leader() {
  COFFER_CHECK(role_ == Role::kCandidate);
  COFFER_CHECK(hard_.voted_for == options_.id.get());
  const BootTime now = clock_.boot_now();
  role_ = Role::kLeader;
  leader_ = options_.id;
  first_of_term_ = log_.last_index().next();
  lease_barred_ = false;
  transferee_ = kNobody;
  campaigns_ = 0;
  COFFER_CHECK(reads_.reset().empty());
  time_.lead(now, clock_.wall_now());
  peers_.clear();
  configuration_changed();
  heartbeat_due_ = now;
  quorum_check_due_ = now + options_.election_timeout;

  append_first_entry(now);
  announce();
  tick_leader(now);
}

}  // namespace coffer::raft
