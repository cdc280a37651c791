#include "raft/core.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "raft/entry.h"

namespace coffer::raft {
namespace {

// how far the saved commit index may lag; only replay is the slower for it
constexpr std::uint64_t kCommitHintEntries = 4096;
constexpr std::size_t kReplayBytes = 1u << 20;

constexpr unsigned kIncarnationStepBits = 24;

// Two lives that begin from the same image of a disk have different incarnations, but for one case in 2^24.
std::uint64_t incarnation_step(std::uint64_t seed) {
  if (mutant(Mutant::kLivesAlike))
    return 1;
  return 1 + (seed * 0x9e3779b97f4a7c15u >> (64 - kIncarnationStepBits));
}

}  // namespace

Core::Core(const Options& options, const Clock& clock, const store::Log& log, const Start& start)
    : options_(options),
      clock_(clock),
      log_(log, options.tail_bytes_max),
      membership_(start.applied, start.configuration),
      time_(start.time, clock.boot_now()),
      random_state_(options.random_seed),
      hard_(log.hard_state()),
      commit_(std::max(start.applied, std::min(hard_.commit, log.last_index()))),
      applied_(start.applied),
      handed_out_(start.applied),
      replaces_(start.replaced),
      replaced_(start.replaced),
      synced_(log.last_index()),
      written_(log.last_index()),
      commit_saved_(commit_),
      matched_(start.applied) {
  // Once it has started, what the disk says counts.
  if (start.joining && hard_.incarnation == 0)
    hard_.voted_for = kNoVote;
  hard_.incarnation += incarnation_step(options.random_seed);
  mark_hard_state();
  quiet_until_ = clock_.boot_now() + options_.election_timeout;
  reset_election_deadline();
}

Result<std::unique_ptr<Core>> Core::start(const Options& options, const Clock& clock, const store::Log& log,
                                          Start start) {
  COFFER_CHECK(options.id != kNobody);
  COFFER_CHECK(options.lease_drift_percent < 100);
  COFFER_CHECK(options.heartbeat_interval < options.election_timeout);
  if (log.last_index() < start.applied)
    return Status(Code::kDataLoss, "the log ends before the state that was applied from it");
  if (log.first_index() > start.applied.next())
    return Status(Code::kDataLoss, "the log begins after the state's last entry");
  std::unique_ptr<Core> core(new Core(options, clock, log, start));
  COFFER_TRY(core->replay(start, log));
  return core;
}

// Finds the configurations and the time in what the log holds above the state.
Status Core::replay(const Start& start, const store::Log& log) {
  WallTime floor = start.time;
  if (log.first_index() <= log.last_index()) {
    // Also when it is applied already: times never decrease along the log.
    COFFER_ASSIGN(const std::vector<store::LogRecord> last, log.read(log.last_index(), log.last_index(), kReplayBytes));
    COFFER_ASSIGN(floor, entry_time(last.front()));
    floor = std::max(floor, start.time);
  }
  Index at = start.applied.next();
  while (at <= log.last_index()) {
    COFFER_ASSIGN(const std::vector<store::LogRecord> records, log_.read(at, log.last_index(), kReplayBytes));
    for (const store::LogRecord& record : records) {
      COFFER_TRY(note_configuration(record));
      COFFER_ASSIGN(const WallTime time, entry_time(record));
      floor = std::max(floor, time);
    }
    at = records.back().index.next();
  }
  time_ = ClusterTime(floor, clock_.boot_now());
  return Status();
}

void Core::tick() {
  if (failed_)
    return;
  const BootTime now = clock_.boot_now();
  if (role_ == Role::kLeader) {
    tick_leader(now);
    return;
  }
  if (!voter() || !may_vote()) {
    // It does not campaign, and would believe in a leader that is gone for ever.
    if (leader_ != kNobody && now - leader_heard_ >= 2 * options_.election_timeout)
      become_follower(hard_.term, kNobody);
    return;
  }
  if (sole_voter()) {
    if (role_ != Role::kCandidate)  // as a candidate it only waits for its own disk
      campaign(false, false);
  } else if (now >= election_deadline_) {
    campaign(true, false);
  }
}

void Core::step(Message message) {
  if (failed_)
    return;
  // Not even the term of such a request is taken over: a leader may count on this node's silence.
  if (message.kind == MessageKind::kVote && !message.force && message.term >= hard_.term && refuses_votes())
    return;
  if (message.term > hard_.term) {
    const bool tentative =
        message.kind == MessageKind::kPreVote || (message.kind == MessageKind::kPreVoteReply && !message.reject);
    if (!tentative) {
      const bool leads = message.kind == MessageKind::kAppend || message.kind == MessageKind::kHeartbeat ||
                         message.kind == MessageKind::kSnapshot;
      become_follower(message.term, leads ? message.from : kNobody);
    }
  } else if (message.term < hard_.term && stale(message)) {
    return;
  }
  dispatch(message);
}

// A message of an older term changes nothing here. True when that is all there is to do.
bool Core::stale(const Message& message) {
  if (mutant(Mutant::kStaleTermAccepted) && message.kind != MessageKind::kVote)
    return false;
  switch (message.kind) {
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot: {
      // Tells a leader that was deposed, and frees a node that is stuck with a higher term.
      Message reply = reply_to(message, MessageKind::kAppendReply);
      reply.reject = true;
      reply.index = message.index;
      send(std::move(reply));
      break;
    }
    case MessageKind::kPreVote: {
      Message reply = reply_to(message, MessageKind::kPreVoteReply);
      reply.reject = true;
      send(std::move(reply));
      break;
    }
    default:
      break;
  }
  return true;
}

void Core::dispatch(Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote:
      return on_pre_vote(message);
    case MessageKind::kVote:
      return on_vote(message);
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply:
      return on_vote_reply(message);
    case MessageKind::kAppend:
      return on_append(message);
    case MessageKind::kAppendReply:
      return on_append_reply(message);
    case MessageKind::kHeartbeat:
      return on_heartbeat(message);
    case MessageKind::kHeartbeatReply:
      return on_heartbeat_reply(message);
    case MessageKind::kSnapshot:
      return on_snapshot(message);
    case MessageKind::kTimeoutNow:
      return on_timeout_now(message);
    case MessageKind::kReadIndex:
      return on_read_index(message);
    case MessageKind::kReadIndexReply:
      // What was over for the leader when it answered is over for whoever asked.
      if (role_ == Role::kFollower && message.from == leader_)
        time_.observe(message.time, clock_.boot_now());
      ready_.reads.push_back({message.context, message.index, !message.reject});
      return;
    case MessageKind::kStaged:
      return;
  }
}

void Core::become_follower(Term term, NodeId leader) {
  COFFER_CHECK(term >= hard_.term);
  const bool news = role_ != Role::kFollower || leader_ != leader || term != hard_.term;
  if (role_ == Role::kLeader)
    leave_leadership();
  if (term > hard_.term) {
    hard_.term = term;
    if (hard_.voted_for != kNoVote)
      hard_.voted_for = 0;
    mark_hard_state();
    matched_ = commit_;
    acknowledged_ = Index(0);
  }
  role_ = Role::kFollower;
  leader_ = leader;
  if (news)
    announce();
  reset_election_deadline();
}

void Core::leave_leadership() {
  drop_lease();
  finish_reads(reads_.reset(), false);
  peers_.clear();
  transferee_ = kNobody;
  matched_ = commit_;
  acknowledged_ = Index(0);
}

void Core::drop_lease() {
  if (!mutant(Mutant::kLeaseKeptAfterStepDown))
    lease_.drop();
}

void Core::announce() {
  ready_.leadership = Leadership{role_, hard_.term, leader_, role_ == Role::kLeader ? first_of_term_ : Index(0)};
}

bool Core::sole_voter() const noexcept {
  const Configuration& now = membership_.current();
  return now.voters.size() == 1 && now.voters.front() == options_.id;
}

void Core::mark_hard_state() {
  dirty_ = hard_dirty_ = true;
  hard_at_ = next_persist_;
}

std::uint64_t Core::random() {
  // splitmix64
  std::uint64_t z = (random_state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// For the leader, or for another's campaign.
void Core::reset_election_deadline() { wait_before_election(options_.election_timeout, options_.election_timeout / 2); }

void Core::wait_before_election(Nanos least, Nanos spread) {
  const auto steps = static_cast<std::uint64_t>(spread.count());
  election_deadline_ = clock_.boot_now() + least + Nanos(static_cast<std::int64_t>(random() % steps));
}

void Core::fail(Status status) {
  if (failed_)
    return;
  failed_ = true;
  lease_.drop();
  ready_.failure = std::move(status);
}

Message Core::reply_to(const Message& message, MessageKind kind) const {
  Message reply;
  reply.kind = kind;
  reply.from = options_.id;
  reply.to = message.from;
  reply.term = hard_.term;
  reply.incarnation = hard_.incarnation;
  reply.catching_up = !may_vote();
  reply.round = message.round;
  reply.context = message.context;
  reply.hint = log_.last_index();
  return reply;
}

void Core::send(Message message) {
  COFFER_CHECK(message.to != kNobody && message.to != options_.id);
  COFFER_CHECK(message.from == options_.id);
  ready_.send.push_back(std::move(message));
}

void Core::send_when_durable(Message message) {
  if (durable_at() <= persisted_)
    send(std::move(message));
  else
    held_.push_back({durable_at(), std::move(message)});
}

void Core::append_to_log(store::LogRecord record) {
  unsynced_bytes_ += record.payload->size();
  log_.append(std::move(record));
  dirty_ = true;
}

void Core::truncate_log(Index from) {
  COFFER_CHECK(from > applied_ || mutant(Mutant::kCommittedEntryTruncated));
  log_.truncate_from(from);
  const Index last = log_.last_index();
  if (written_ > last) {
    ready_.truncate_from = std::min(from, ready_.truncate_from.value_or(from));
    written_ = last;
  }
  synced_ = std::min(synced_, last);
  matched_ = std::min(matched_, last);
  for (Unsynced& unsynced : unsynced_)
    unsynced.last = std::min(unsynced.last, last);
  dirty_ = true;
  if (membership_.truncate_from(from))
    configuration_changed();
}

Status Core::note_configuration(const store::LogRecord& record) {
  if (record.kind != static_cast<std::uint8_t>(EntryKind::kConfiguration))
    return Status();
  COFFER_ASSIGN(Configuration configuration, decode_configuration(entry_body(record)));
  membership_.append(record.index, std::move(configuration));
  return Status();
}

void Core::configuration_changed() {
  if (role_ != Role::kLeader)
    return;
  const Configuration& now = membership_.current();
  std::erase_if(peers_, [&now](const Progress& peer) { return !now.contains(peer.id()); });
  const auto add = [this](NodeId id) {
    if (id != options_.id && find(id) == nullptr)
      peers_.emplace_back(id, log_.last_index().next(), clock_.boot_now());
  };
  std::for_each(now.voters.begin(), now.voters.end(), add);
  std::for_each(now.learners.begin(), now.learners.end(), add);
  if (transferee_ != kNobody && !now.is_voter(transferee_))
    transferee_ = kNobody;
}

void Core::commit_to(Index index) {
  COFFER_CHECK(index <= log_.last_index());
  if (index <= commit_)
    return;
  commit_ = index;
  // Oftener in a young log: what a cluster begins with must be there again at a start that meets nobody.
  if (commit_.get() - commit_saved_.get() >= std::min<std::uint64_t>(kCommitHintEntries, commit_saved_.get() + 1))
    mark_hard_state();
}

void Core::persisted(std::uint64_t number) {
  if (failed_)
    return;
  COFFER_CHECK(number < next_persist_);
  persisted_ = std::max(persisted_, number);
  while (!unsynced_.empty() && unsynced_.front().number <= number) {
    synced_ = std::max(synced_, unsynced_.front().last);
    unsynced_bytes_ -= unsynced_.front().bytes;
    unsynced_.pop_front();
  }
  log_.synced(synced_);
  while (!held_.empty() && held_.front().number <= persisted_) {
    // What was held for another term is of no use to anybody.
    if (held_.front().message.term == hard_.term)
      send(std::move(held_.front().message));
    held_.pop_front();
  }
  if (installing_ != Index(0) && installing_at_ <= persisted_) {
    applied_ = handed_out_ = installing_;
    installing_ = Index(0);
  }
  if (role_ == Role::kCandidate)
    count_votes();
  else if (role_ == Role::kLeader)
    maybe_commit();
  else if (leader_ != kNobody && std::min(matched_, synced_) > acknowledged_)
    acknowledge();
  check_caught_up();
}

void Core::applied(Index index) {
  COFFER_CHECK(index >= applied_ && index <= handed_out_);
  applied_ = index;
  if (replaces_ <= index)
    replaced_ = replaces_;
  membership_.compact(index);
  if (role_ == Role::kLeader)
    check_rounds();
}

Ready Core::take_ready() {
  if (role_ == Role::kLeader && !failed_)
    replicate();
  if (!failed_) {
    take_persist(ready_);
    take_apply(ready_);
  }
  return std::exchange(ready_, Ready());
}

void Core::take_persist(Ready& ready) {
  if (!dirty_)
    return;
  Unsynced unsynced{next_persist_, log_.last_index(), 0};
  if (written_ < log_.last_index()) {
    Result<std::vector<store::LogRecord>> records = log_.read(written_.next(), log_.last_index(), SIZE_MAX);
    COFFER_CHECK(records.ok());  // in memory: not yet written
    ready.append = std::move(records).value();
    for (const store::LogRecord& record : ready.append)
      unsynced.bytes += record.payload->size();
  }
  written_ = log_.last_index();
  if (hard_dirty_) {
    hard_.commit = commit_saved_ = commit_;
    ready.hard_state = hard_;
    if (mutant(Mutant::kVoteNotPersisted))
      ready.hard_state->voted_for = 0;
  }
  dirty_ = hard_dirty_ = false;
  ready.persist = next_persist_++;
  unsynced_.push_back(unsynced);
  unsynced_bytes_ = 0;  // counted anew: entries that were truncated before they were written are gone
  for (const Unsynced& each : unsynced_)
    unsynced_bytes_ += each.bytes;
}

void Core::take_apply(Ready& ready) {
  const Index synced = mutant(Mutant::kAppliedBeforeOwnSync) ? commit_ : synced_;
  const Index to = std::min(commit_, synced);
  if (handed_out_ >= to || installing_ != Index(0))
    return;
  Result<std::vector<store::LogRecord>> records = log_.read(handed_out_.next(), to, options_.apply_bytes_max);
  if (!records.ok())
    return fail(records.status());
  ready.apply = std::move(records).value();
  handed_out_ = ready.apply.back().index;
  for (const store::LogRecord& record : ready.apply)
    if (record.kind == static_cast<std::uint8_t>(EntryKind::kReplaced))
      replaces_ = record.index;
}

Result<SnapshotMeta> Core::snapshot_meta() const {
  COFFER_ASSIGN(const Term term, log_.term_at(applied_));
  return SnapshotMeta{applied_, term, membership_.at(applied_), WallTime()};
}

const Progress* Core::progress_of(NodeId peer) const {
  const auto it = std::find_if(peers_.begin(), peers_.end(), [peer](const Progress& p) { return p.id() == peer; });
  return it == peers_.end() ? nullptr : &*it;
}

}  // namespace coffer::raft
