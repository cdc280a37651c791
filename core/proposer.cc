#include "core/proposer.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace coffer::core {
namespace {

bool contains(const KeyRange& range, std::string_view key) {
  return key >= range.first && (range.last.empty() || key < range.last);
}

}  // namespace

Proposer::Proposer(const Options& options) : options_(options), recent_(options.keys_max, options.hash_seed) {}

void Proposer::lead(Term term, Index mark) {
  COFFER_CHECK(term > Term(0));
  COFFER_CHECK(queues_.empty());
  term_ = term;
  draining_ = false;
  // Of an older leadership, and above an entry of this one that is committed: no log that follows can hold them.
  for (const Pending& pending : pending_)
    lost_.push_back({pending.ticket, CommitOutcome::kRefused, Index(0),
                     Status(Code::kUnavailable, "leadership was lost before the write was committed")});
  pending_.clear();
  recent_.reset(mark);
  applied_ = std::max(applied_, mark);
  published_ = std::max(published_, mark);
}

Proposer::Answers Proposer::step_down() {
  Answers answers;
  for (auto& [key, queue] : queues_) {
    for (const Waiter& waiter : queue.waiters)
      answers.push_back(
          {waiter.ticket, CommitOutcome::kRefused, Index(0), Status(Code::kUnavailable, "leadership was lost")});
  }
  for (const Unsettled& waiter : unsettled_)
    answers.push_back(
        {waiter.ticket, CommitOutcome::kRefused, Index(0), Status(Code::kUnavailable, "leadership was lost")});
  queues_.clear();
  holders_.clear();
  queued_ = 0;
  unsettled_.clear();
  term_ = Term(0);
  return answers;
}

bool Proposer::writes_key(const Proposal& proposal, std::uint64_t key) const {
  return std::any_of(proposal.ops.begin(), proposal.ops.end(),
                     [this, key](const store::Op& op) { return recent_.hash(op.key) == key; });
}

bool Proposer::writes_range(const Proposal& proposal, const KeyRange& range) {
  return std::any_of(proposal.ops.begin(), proposal.ops.end(),
                     [&range](const store::Op& op) { return contains(range, op.key); });
}

// What it read and was proposed since: the latest such, which takes longest to be applied.
std::optional<Proposer::Lost> Proposer::find_conflict(const Proposal& proposal) const {
  std::optional<Lost> lost;
  const auto check = [&](const std::string& key, Index read_at) {
    const std::uint64_t hash = recent_.hash(key);
    const Index last = recent_.last(hash);
    if (last > read_at && (!lost || last > lost->index))
      lost = Lost{hash, last, false, true};
  };
  for (const std::string& key : proposal.read_keys)
    check(key, proposal.view);
  for (const SpeculativeRead& read : proposal.speculative_reads)
    check(read.key, read.index);
  if (lost)
    lost->writes = writes_key(proposal, lost->key);
  if (mutant(Mutant::kListedRangeNotInReadSet))
    return lost;
  for (const KeyRange& range : proposal.read_ranges) {
    const std::optional<RecentKeys::Hit> hit = recent_.last_in(range, proposal.view);
    if (hit && (!lost || hit->index > lost->index)) {
      // All who list and write one range meet in one queue.
      const bool writes = writes_range(proposal, range);
      lost = Lost{writes ? recent_.hash(range.first) : hit->hash, hit->index, writes, false};
    }
  }
  return lost;
}

// A key that others wait for, and that this one would write before them.
std::optional<Proposer::Lost> Proposer::find_queue(const Proposal& proposal) const {
  if (queues_.empty())
    return std::nullopt;
  const auto meets = [&](const std::string& key) {
    const std::uint64_t hash = recent_.hash(key);
    return queues_.contains(hash) && writes_key(proposal, hash) ? std::optional(Lost{hash, proposal.view, true, true})
                                                                : std::nullopt;
  };
  for (const std::string& key : proposal.read_keys) {
    if (const std::optional<Lost> behind = meets(key))
      return behind;
  }
  for (const SpeculativeRead& read : proposal.speculative_reads) {
    if (const std::optional<Lost> behind = meets(read.key))
      return behind;
  }
  for (const KeyRange& range : proposal.read_ranges) {
    const std::uint64_t hash = recent_.hash(range.first);
    if (queues_.contains(hash) && writes_range(proposal, range))
      return Lost{hash, proposal.view, true, false};
  }
  return std::nullopt;
}

Proposer::Verdict Proposer::judge(const Proposal& proposal, Ticket ticket, BootTime now, BootTime deadline) {
  COFFER_CHECK(ticket != 0);
  if (term_ == Term(0) || draining_)
    return Verdict::kWrongTerm;
  if (!mutant(Mutant::kOldTermProposal)) {
    if (proposal.term != term_)
      return Verdict::kWrongTerm;
    if (proposal.view < recent_.mark())
      return Verdict::kRunAgain;
  }
  // Of entries that another leadership proposed, none may have come to be.
  if (!proposal.speculative_reads.empty() && proposal.speculation->term() != term_ &&
      !mutant(Mutant::kSpeculationOfOldTerm))
    return Verdict::kRunAgain;
  for (const SpeculativeRead& read : proposal.speculative_reads) {
    if (read.index < recent_.mark())
      return Verdict::kRunAgain;
  }
  if (now >= deadline)
    return Verdict::kLate;
  if (proposal.ops.empty() && !proposal.speculative_reads.empty())
    return settle(proposal, ticket, deadline);
  if (pending_.size() >= options_.proposed_max)
    return Verdict::kFull;
  const auto held = holders_.find(ticket);
  const bool holds = held != holders_.end();
  const std::optional<Lost> lost = find_conflict(proposal);
  if (lost && !(holds && mutant(Mutant::kRetryOnStaleState)))
    return enqueue(*lost, proposal, ticket, deadline);
  if (!holds) {
    if (const std::optional<Lost> behind = find_queue(proposal))
      return enqueue(*behind, proposal, ticket, deadline);
  }
  return Verdict::kAccepted;
}

Proposer::Verdict Proposer::enqueue(const Lost& lost, const Proposal& proposal, Ticket ticket, BootTime deadline) {
  if (queued() >= options_.queued_max)
    return Verdict::kFull;
  // One that held this key and lost again keeps its place before all who came later.
  const auto held = holders_.find(ticket);
  const bool first = held != holders_.end() && held->second == lost.key;
  release(ticket);
  Queue& queue = queues_[lost.key];
  queue.blocked_by = std::max(queue.blocked_by, lost.index);
  // Who lost on a speculation would lose on the next one too: some of what it reads is not in there.
  const bool speculates = proposal.may_speculate && lost.point && proposal.speculation == nullptr;
  const Waiter waiter{ticket, deadline, lost.writes, speculates};
  if (first)
    queue.waiters.push_front(waiter);
  else
    queue.waiters.push_back(waiter);
  ++queued_;
  next_deadline_ = std::min(next_deadline_, deadline);
  return Verdict::kQueued;
}

Proposer::Verdict Proposer::settle(const Proposal& proposal, Ticket ticket, BootTime deadline) {
  if (queued() >= options_.queued_max)
    return Verdict::kFull;
  release(ticket);
  Index last;
  for (const SpeculativeRead& read : proposal.speculative_reads)
    last = std::max(last, read.index);
  unsettled_.push_back({ticket, deadline, last});
  next_deadline_ = std::min(next_deadline_, deadline);
  return Verdict::kQueued;
}

void Proposer::release(Ticket ticket) {
  const auto held = holders_.find(ticket);
  if (held == holders_.end())
    return;
  if (const auto queue = queues_.find(held->second); queue != queues_.end() && queue->second.holder == ticket)
    queue->second.holder = 0;
  holders_.erase(held);
}

void Proposer::proposed(const Proposal& proposal, Ticket ticket, Index index, BootTime deadline) {
  COFFER_CHECK(pending_.empty() || pending_.back().index < index);
  COFFER_CHECK(index > applied_);
  recent_.note(index, proposal.ops);
  recent_.trim(published_);
  pending_.push_back({index, term_, ticket, deadline, &proposal});
  next_deadline_ = std::min(next_deadline_, deadline);
  release(ticket);
  if (!queues_.empty())
    block_queues(proposal, index);
}

// Those who wait for a key that was just proposed again wait for this entry.
void Proposer::block_queues(const Proposal& proposal, Index index) {
  for (const store::Op& op : proposal.ops)
    block(recent_.hash(op.key), index);
  for (const KeyRange& range : proposal.read_ranges) {
    if (writes_range(proposal, range))
      block(recent_.hash(range.first), index);
  }
}

void Proposer::block(std::uint64_t key, Index index) {
  if (const auto queue = queues_.find(key); queue != queues_.end())
    queue->second.blocked_by = index;
}

Proposer::Answers Proposer::abandoned(Ticket ticket, BootTime now) {
  Answers answers;
  release(ticket);
  wake_all(now, answers);
  return answers;
}

void Proposer::applied(Index index, Term term) {
  COFFER_CHECK(index > applied_);
  applied_ = index;
  while (!pending_.empty() && pending_.front().index <= index) {
    const Pending& pending = pending_.front();
    if (pending.index == index && pending.term == term)
      unpublished_.push_back({pending.ticket, CommitOutcome::kCommitted, index, Status()});
    else
      unpublished_.push_back({pending.ticket, CommitOutcome::kRefused, Index(0),
                              Status(Code::kUnavailable, "leadership was lost before the write was committed")});
    pending_.pop_front();
  }
}

void Proposer::replaced_by_snapshot(Index index) {
  while (!pending_.empty() && pending_.front().index <= index) {
    unpublished_.push_back({pending_.front().ticket, CommitOutcome::kOutcomeUnknown, Index(0),
                            Status(Code::kOutcomeUnknown, "leadership was lost while the write was under way")});
    pending_.pop_front();
  }
  applied_ = std::max(applied_, index);
}

void Proposer::replaced(Index index) {
  COFFER_CHECK(index == applied_);
  // Nothing was proposed above it: who does so drains first.
  if (leading() && !mutant(Mutant::kReplacementUnmarked))
    recent_.reset(index);
}

Proposer::Answers Proposer::published(BootTime now) {
  published_ = applied_;
  Answers answers = std::move(unpublished_);
  unpublished_.clear();
  std::move(lost_.begin(), lost_.end(), std::back_inserter(answers));
  lost_.clear();
  wake_all(now, answers);
  return answers;
}

// Null when what was written to the key last is not known, too much, or never to be run on.
std::shared_ptr<const Speculation> Proposer::speculate(const Queue& queue, std::uint64_t key) const {
  if (pending_.size() >= options_.speculating_max)
    return nullptr;
  const auto last = std::lower_bound(pending_.begin(), pending_.end(), queue.blocked_by,
                                     [](const Pending& pending, Index index) { return pending.index < index; });
  if (last == pending_.end() || last->index != queue.blocked_by || last->term != term_)
    return nullptr;
  const auto usable = [&](const store::Op& op) {
    return recent_.hash(op.key) == key &&
           (options_.never_speculative == nullptr || !options_.never_speculative(op.key));
  };
  const std::vector<store::Op>& ops = last->proposal->ops;
  if (ops.size() > Speculation::kRecordsMax || std::none_of(ops.begin(), ops.end(), usable))
    return nullptr;
  return Speculation::after(*last->proposal, term_, last->index, published_, options_.never_speculative);
}

void Proposer::wake_all(BootTime now, Answers& answers) {
  std::erase_if(unsettled_, [&](const Unsettled& waiter) {
    if (waiter.index > published_)
      return false;
    answers.push_back({waiter.ticket, CommitOutcome::kConflict, Index(0), Status()});
    return true;
  });
  for (auto it = queues_.begin(); it != queues_.end();) {
    wake(it->second, it->first, now, answers);
    if (it->second.waiters.empty() && it->second.holder == 0)
      it = queues_.erase(it);
    else
      ++it;
  }
}

// When what it lost to is visible, those who only read the key may all go on; of those who write it, one. Until then
// one at a time, on what is proposed.
void Proposer::wake(Queue& queue, std::uint64_t key, BootTime now, Answers& answers) {
  if (queue.holder != 0 && now >= queue.hold_until)
    release(Ticket(queue.holder));
  const bool visible = queue.blocked_by <= published_ || mutant(Mutant::kRetryOnStaleState);
  while (!queue.waiters.empty() && queue.holder == 0) {
    const Waiter waiter = queue.waiters.front();
    std::shared_ptr<const Speculation> speculation;
    if (!visible && (!waiter.speculates || (speculation = speculate(queue, key)) == nullptr))
      return;
    queue.waiters.pop_front();
    --queued_;
    answers.push_back({waiter.ticket, CommitOutcome::kConflict, Index(0), Status(), std::move(speculation)});
    if (visible && !waiter.writes)
      continue;
    queue.holder = waiter.ticket;
    queue.hold_until = now + options_.hold_max;
    holders_[waiter.ticket] = key;
  }
}

Proposer::Answers Proposer::expire(BootTime now) {
  Answers answers = std::move(lost_);
  lost_.clear();
  if (now >= next_deadline_) {
    next_deadline_ = BootTime::max();
    std::erase_if(pending_, [&](const Pending& pending) {
      if (!overdue(pending.deadline, now))
        return false;
      answers.push_back({pending.ticket, CommitOutcome::kOutcomeUnknown, Index(0),
                         Status(Code::kOutcomeUnknown, "the write was neither committed nor given up in time")});
      return true;
    });
    expire_waiters(now, answers);
  }
  wake_all(now, answers);
  return answers;
}

// Remembers the earliest of those that are not.
bool Proposer::overdue(BootTime deadline, BootTime now) {
  if (now >= deadline)
    return true;
  next_deadline_ = std::min(next_deadline_, deadline);
  return false;
}

void Proposer::expire_waiters(BootTime now, Answers& answers) {
  const auto due = [&](const auto& waiter) {
    if (!overdue(waiter.deadline, now))
      return false;
    answers.push_back({waiter.ticket, CommitOutcome::kRefused, Index(0),
                       Status(Code::kUnavailable, "the record is written by too many at once")});
    return true;
  };
  for (auto& [key, queue] : queues_)
    queued_ -= std::erase_if(queue.waiters, due);
  std::erase_if(unsettled_, due);
}

void finish_batch(Proposer& proposer, BatchEnd& end, BootTime now) {
  if (mutant(Mutant::kViewPublishedAfterWakeUp)) {
    end.deliver(proposer.published(now));
    end.publish();
    return;
  }
  end.publish();
  end.deliver(proposer.published(now));
}

}  // namespace coffer::core
