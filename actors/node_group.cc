// What the layers above ask of the group, and how this node takes part in it.
#include <algorithm>
#include <utility>

#include "actors/node.h"
#include "base/wake.h"
#include "core/group_record.h"
#include "raft/entry.h"

namespace coffer::actors {
namespace {

constexpr std::uint64_t kLogMarkBytes = 1u << 20;
constexpr std::size_t kHeldAppendsMax = 1024;  // beyond it they are lost, and sent again

Status not_leading() { return Status(Code::kUnavailable, "this node does not lead"); }

template <typename Done>
Owed owe_status(Done done) {
  return std::make_shared<OwedAnswer>([done = std::move(done)](Status status, Index) { done(std::move(status)); });
}

}  // namespace

bool Node::take_messages() {
  if (!messages_.drain(message_batch_))
    return false;
  std::size_t bytes = 0;
  bool is_led = false;
  for (raft::Message& message : message_batch_) {
    for (const store::LogRecord& entry : message.entries)
      bytes += entry.payload->size();
    const raft::NodeId from = message.from;
    step(std::move(message));
    is_led = is_led || from == core_->leader();
  }
  if (is_led)
    leader_heard_.store(ports_.clock.boot_now().time_since_epoch().count(), std::memory_order_relaxed);
  message_batch_.clear();
  message_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  return true;
}

// A follower that applies faster than its disk takes it would grow without bound: entries wait, heartbeats do not.
void Node::step(raft::Message message) {
  if (!participating_)
    return;
  if (message.kind == raft::MessageKind::kStaged)
    return note_stream(message.from, message.context, !message.reject);
  if (message.kind != raft::MessageKind::kAppend)
    return core_->step(std::move(message));
  if (held_appends_.empty() && !flush_pressure()) {
    end_at_missing(message);
    core_->step(std::move(message));
    return;
  }
  if (held_appends_.size() < kHeldAppendsMax)
    held_appends_.push_back(std::move(message));
}

bool Node::step_held() {
  bool any = false;
  while (!held_appends_.empty() && !flush_pressure()) {
    end_at_missing(held_appends_.front());
    core_->step(std::move(held_appends_.front()));
    held_appends_.pop_front();
    any = true;
  }
  return any;
}

void Node::follow_leadership(const raft::Leadership& leadership) {
  const raft::NodeId leader = participating_ ? leadership.leader : raft::kNobody;
  leader_.store(leader.get(), std::memory_order_release);
  if (leader != last_leader_ && leader != raft::kNobody && leader != core_->id())
    ports_.logger.info("raft", "follows a leader", {{"leader", leader.get()}, {"term", leadership.term.get()}});
  last_leader_ = leader;
  note_role(leadership.role);
  publish_group();
  note_leadership();
  if (ports_.leadership_changed)
    ports_.leadership_changed(leadership);
}

void Node::note_role(raft::Role role) {
  const auto slot = [](raft::Role one) -> std::size_t {
    return one == raft::Role::kLeader ? 0 : one == raft::Role::kFollower ? 2 : 1;
  };
  if (slot(role) == slot(last_role_))
    return;
  roles_[slot(role)].fetch_add(1, std::memory_order_relaxed);
  last_role_ = role;
  if (role == raft::Role::kLeader)
    ports_.logger.info("raft", "election won", {{"term", core_->term().get()}});
  else if (role != raft::Role::kFollower && has_other_voter())
    ports_.logger.info("raft", "entering candidate state", {{"term", core_->term().get()}});
}

Node::RoleChanges Node::role_changes() const {
  const auto count = [this](std::size_t slot) { return roles_[slot].load(std::memory_order_relaxed); };
  return {count(0), count(1), count(2)};
}

void Node::publish_group() {
  auto status = std::make_shared<core::GroupStatus>();
  status->self = core_->id();
  status->role = core_->role();
  status->takes_part = participating_;
  status->serving = serving_;
  status->may_vote = core_->may_vote();
  status->term = core_->term();
  status->leader = participating_ ? core_->leader() : raft::kNobody;
  status->last = core_->last_index();
  status->configuration = core_->configuration();
  status->configuration_committed = core_->configuration_committed();
  const BootTime now = ports_.clock.boot_now();
  const auto add = [&](raft::NodeId id) {
    if (const raft::Progress* peer = core_->progress_of(id); peer != nullptr)
      status->peers.push_back(
          {id, peer->match(), now - peer->heard(), peer->state() == raft::Progress::State::kSnapshot});
  };
  if (status->role == raft::Role::kLeader) {
    std::ranges::for_each(status->configuration.voters, add);
    std::ranges::for_each(status->configuration.learners, add);
  }
  group_.store(std::move(status));
}

core::GroupStatus Node::group_status() const {
  core::GroupStatus status = *group_.load();
  status.applied = applied_index();
  status.committed = commit_index();
  return status;
}

// Membership.

void Node::change_membership(raft::Change change, std::function<void(Status, Index)> done) {
  auto owed = std::make_shared<OwedAnswer>(std::move(done));
  operate(owed, [this, change, owed] { begin_change(change, owed); });
}

void Node::begin_change(const raft::Change& change, const Owed& owed) {
  if (ports_.transport == nullptr)
    return owed->tell(Status(Code::kInvalid, "this node is not one of a cluster: cluster_addr is needed"));
  if (!serving())
    return owed->tell(not_leading());
  if (change_ || hand_over_ || restore_)
    return owed->tell(Status(Code::kUnavailable, "another change of leader or members, or a restore, is under way"),
                      change_ ? change_->index : Index(0));
  const Result<Index> index = core_->propose_change(core_->term(), change);
  if (!index.ok())
    return owed->tell(index.status());
  change_ = MembershipChange{*index, core_->term(), ports_.clock.boot_now() + options_.commit_time_max, owed};
}

// The entry (index, term) is applied.
void Node::settle_change(Index index, Term term) {
  if (!change_ || index < change_->index)
    return;
  const MembershipChange change = *std::exchange(change_, std::nullopt);
  if (index == change.index && term == change.term)
    return change.owed->tell(Status(), index);
  change.owed->tell(Status(Code::kUnavailable, "leadership was lost before the change was committed"));
}

// For each configuration entry, the same on every member.
Result<store::Op> Node::group_record(const store::LogRecord& record) const {
  core::RaftGroupRecord group;
  group.index = record.index;
  COFFER_ASSIGN(group.time, raft::entry_time(record));
  COFFER_ASSIGN(group.configuration, raft::decode_configuration(raft::entry_body(record)));
  return core::group_op(group);
}

// Handing leadership over.

bool Node::has_other_voter() const {
  return std::ranges::any_of(core_->configuration().voters, [this](raft::NodeId id) { return id != core_->id(); });
}

void Node::transfer_leadership(raft::NodeId to, std::function<void(Status)> done) {
  const Owed owed = owe_status(std::move(done));
  operate(owed, [this, to, owed] {
    if (!serving())
      return owed->tell(not_leading());
    if (hand_over_ || change_ || restore_)
      return owed->tell(Status(Code::kUnavailable, "another change of leader or members, or a restore, is under way"));
    if (!has_other_voter() || to == core_->id() || (to != raft::kNobody && !core_->configuration().is_voter(to)))
      return owed->tell(Status(Code::kInvalid, "there is no such voter to lead instead"));
    begin_hand_over(to, owed);
  });
}

void Node::begin_hand_over(raft::NodeId to, Owed owed) {
  const BootTime now = ports_.clock.boot_now();
  hand_over_ = HandOver{to, now + options_.hand_over_time_max / 2, now + options_.hand_over_time_max, {}};
  if (owed != nullptr)
    hand_over_->owed.push_back(std::move(owed));
  update_drain();
}

// The next step of a hand-over, if there is one.
void Node::move_leadership() {
  const BootTime now = ports_.clock.boot_now();
  if (!hand_over_) {
    if (silent_after_ && !settling(now)) {
      silent_after_ = false;
      go_silent();
    }
    return;
  }
  if (core_->role() != raft::Role::kLeader) {
    // Its vote may be needed until somebody leads.
    if (core_->leader() != raft::kNobody && core_->leader() != core_->id())
      return end_hand_over(Status());
    if (now >= hand_over_->deadline)
      end_hand_over(Status(Code::kUnavailable, "no new leader was heard of in time"));
    return;
  }
  if (now >= hand_over_->deadline)
    return end_hand_over(Status(Code::kUnavailable, "leadership could not be handed over in time"));
  if (core_->transferring() || (!proposer_.idle() && now < hand_over_->drained_by))
    return;
  if (Status begun = core_->transfer_leadership(hand_over_->to); !begun.ok())
    end_hand_over(begun);
}

void Node::end_hand_over(const Status& status) {
  const HandOver ended = std::move(*std::exchange(hand_over_, std::nullopt));
  update_drain();
  if (std::exchange(silent_after_, false))
    go_silent();
  for (const Owed& owed : ended.owed)
    owed->tell(status);
}

// Taking part.

void Node::take_part(bool part, std::function<void()> then) {
  // A node that has stopped takes no part either: its caller goes on.
  const auto owed = std::make_shared<OwedAnswer>([then = std::move(then)](Status, Index) {
    if (then)
      then();
  });
  operate(owed, [this, part, owed] { participate(part, owed); });
}

void Node::participate(bool part, const Owed& then) {
  if (part == participating_ && !silent_after_)
    return then->tell(Status());
  if (part) {
    silent_after_ = false;
    if (!participating_) {
      participating_ = true;
      // What was under way when it fell silent is settled before it serves in the same term.
      serves_above_ = core_->role() == raft::Role::kLeader ? core_->last_index() : Index(0);
      takes_part_.store(true, std::memory_order_release);
      follow_leadership({core_->role(), core_->term(), core_->leader(), Index(0)});
    }
    for (const Owed& waiting : std::exchange(silent_then_, {}))
      waiting->tell(Status());
    return then->tell(Status());
  }
  silent_then_.push_back(then);
  if (std::exchange(silent_after_, true) || hand_over_)
    return;
  // The others fall silent as well: there is nobody to hand over to.
  if (settling(ports_.clock.boot_now()))
    return;
  if (ports_.transport != nullptr && core_->role() == raft::Role::kLeader && has_other_voter())
    return begin_hand_over(raft::kNobody, nullptr);
  silent_after_ = false;
  go_silent();
}

void Node::go_silent() {
  participating_ = false;
  takes_part_.store(false, std::memory_order_release);
  held_appends_.clear();
  reads_.refuse_all(Status(Code::kUnavailable, "this node takes no part in its cluster"));
  follow_leadership({raft::Role::kFollower, core_->term(), raft::kNobody, Index(0)});
  for (const Owed& waiting : std::exchange(silent_then_, {}))
    waiting->tell(Status());
}

// Reads.

void Node::read_index(std::function<void(Result<Index>)> done) {
  const auto owed = std::make_shared<OwedAnswer>([done = std::move(done)](Status status, Index index) {
    if (status.ok())
      done(index);
    else
      done(std::move(status));
  });
  operate(owed, [this, owed] {
    if (!participating_)
      return owed->tell(Status(Code::kUnavailable, "this node takes no part in its cluster"));
    if (ports_.transport == nullptr)
      return owed->tell(serving() ? Status() : not_leading(), core_->applied_index());
    reads_.ask({owed, ports_.clock.boot_now() + options_.read_time_max});
  });
}

void Node::when_applied(Index index, std::function<void(Status)> done) {
  const Owed owed = owe_status(std::move(done));
  operate(owed, [this, index, owed] {
    if (applied_index() >= index)
      return owed->tell(Status(), index);
    waiters_.add(index, {owed, ports_.clock.boot_now() + options_.read_time_max});
  });
}

// One question for all who wait.
void Node::ask_reads() {
  if (!participating_)
    return;
  const BootTime now = ports_.clock.boot_now();
  while (const std::optional<std::uint64_t> round = reads_.next(now)) {
    if (!core_->read_index(*round).ok())
      return reads_.failed(*round, now);
  }
}

void Node::take_reads(const std::vector<raft::ReadResult>& reads) {
  if (!reads.empty())
    publish_time();  // the answer may have brought a later one
  const WakeScope batch;
  for (const raft::ReadResult& read : reads) {
    if (!read.ok) {
      reads_.failed(read.context, ports_.clock.boot_now());
      continue;
    }
    for (Waiter& waiter : reads_.answered(read.context)) {
      if (applied_index() >= read.index)
        waiter.owed->tell(Status(), read.index);
      else
        waiters_.add(read.index, std::move(waiter));
    }
  }
}

void Node::expire_waiters(BootTime now) {
  waiters_.expire(now);
  reads_.expire(now);
  retry_snapshots(now);
  drop_streams(now);
  tell_again(now);
  if (change_ && now >= change_->deadline)
    std::exchange(change_, std::nullopt)
        ->owed->tell(Status(Code::kOutcomeUnknown, "the change was neither committed nor given up in time"));
}

// The node stops: whoever waits is told so by what is dropped here.
void Node::drop_waiters() {
  change_.reset();
  restore_.reset();
  hand_over_.reset();
  silent_then_.clear();
  const Status stopped(Code::kUnavailable, "the node has stopped");
  waiters_.refuse_all(stopped);
  reads_.refuse_all(stopped);
}

// The log.

void Node::mark_log(const std::vector<store::LogRecord>& appended) {
  if (ports_.transport == nullptr)
    return;
  for (const store::LogRecord& record : appended)
    log_bytes_ += record.payload->size();
  const std::uint64_t marked = log_marks_.empty() ? 0 : log_marks_.back().bytes;
  if (log_bytes_ - marked >= kLogMarkBytes)
    log_marks_.push_back({appended.back().index, log_bytes_});
  while (log_marks_.size() > 1 && log_bytes_ - log_marks_[1].bytes >= options_.log_kept_bytes_max)
    log_marks_.pop_front();
}

// Never above what survives a crash without the log; and what a follower may still need stays.
Status Node::cut_log() {
  Index to = ports_.backend.durable_index();
  if (ports_.transport != nullptr) {
    const std::uint64_t last = core_->last_index().get();
    const std::uint64_t entries = options_.log_kept_entries_max;
    std::uint64_t kept_from = last > entries ? last - entries + 1 : 0;
    if (!log_marks_.empty() && log_bytes_ - log_marks_.front().bytes >= options_.log_kept_bytes_max)
      kept_from = std::max(kept_from, log_marks_.front().index.get());
    to = std::min(to, Index(kept_from));
  }
  return to > Index(0) ? ports_.log.cut_below(to) : Status();
}

}  // namespace coffer::actors
