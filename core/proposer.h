// Decides which transactions may enter the log, and tells each how it ended.
//
// A transaction is taken when nothing that it read was proposed after the view that it read from. It keeps the index at
// which each key was last proposed, down to a low-water mark; a view below the mark cannot be judged and is refused. A
// transaction that lost on a key waits in that key's queue; the first of the queue runs again, and whoever comes to the
// key meanwhile queues behind it. It runs at once on what is proposed (core/speculation.h), where that is known and
// small, or when the entry that it lost to is applied: so those who write one record share commits.
//
// Threads: one (the node's); check and append are one step of it. No clock: `now` is an argument. Everything is
// bounded.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "core/commit.h"
#include "core/recent_keys.h"

namespace coffer::core {

// The caller's name for a request; the same on every run of its handler.
using Ticket = std::uint64_t;

class Proposer {
 public:
  struct Options {
    std::size_t keys_max = 1u << 16;        // remembered keys; older ones raise the mark
    std::size_t proposed_max = 8192;        // under way
    std::size_t queued_max = 8192;          // waiting for a key
    // How long a key is kept for the one that was told to run again, should it not come back.
    Nanos hold_max{std::chrono::milliseconds(5)};
    std::uint64_t hash_seed = 0;            // random, so that nobody can choose keys that meet in the index
    // While so many are under way nobody speculates: each of them would keep what it ran on.
    std::size_t speculating_max = 1024;
    // Keys that nobody reads from a speculation. Null: none.
    bool (*never_speculative)(std::string_view key) = nullptr;
  };

  enum class Verdict : std::uint8_t {
    kAccepted,   // append it now, then call proposed()
    kQueued,     // it lost on a key: an answer comes (kConflict: run again)
    kRunAgain,   // the view cannot be judged any more: run again at once, from a new view
    kWrongTerm,  // read under another leadership: refuse
    kFull,       // a bound is reached: refuse
    kLate,       // its answer is due already: refuse
  };

  struct Answer {
    Ticket ticket = 0;
    CommitOutcome outcome = CommitOutcome::kRefused;
    Index index;  // kCommitted only
    Status status;
    std::shared_ptr<const Speculation> speculation = nullptr;  // kConflict: what to run on besides a view; may be null
  };
  using Answers = std::vector<Answer>;

  explicit Proposer(const Options& options);

  // This node leads `term`, and everything up to `mark` (at or above the first entry of the term) is applied and
  // published. What is still under way from an older leadership is answered at the next published() or expire().
  void lead(Term term, Index mark);
  // It does not lead any more. Who waits for a key is refused; what is in the log is answered by applied() or expire().
  Answers step_down();
  bool leading() const noexcept { return term_ != Term(0); }
  // From here on nothing is taken; what is under way goes on.
  void drain() noexcept { draining_ = true; }
  void resume() noexcept { draining_ = false; }
  // Nothing is under way or waits.
  bool idle() const noexcept { return pending_.empty() && queued() == 0 && unpublished_.empty() && lost_.empty(); }

  // `deadline` is when its answer is due in any case.
  Verdict judge(const Proposal& proposal, Ticket ticket, BootTime now, BootTime deadline);
  // An accepted proposal stands in the log at `index`. The proposal stays where it is until its ticket is answered.
  void proposed(const Proposal& proposal, Ticket ticket, Index index, BootTime deadline);
  // A request that was told to run again will not come back: the next of its key may run.
  Answers abandoned(Ticket ticket, BootTime now);

  // The entry (index, term) was applied, not yet published. Indexes are those of the log, in order.
  void applied(Index index, Term term);
  // The state was replaced by a snapshot as of `index`: what became of proposals below it is not known.
  void replaced_by_snapshot(Index index);
  // The entry `index`, applied last, put another state in the place of everything: who read anything before it, or on
  // what was proposed before it, runs again.
  void replaced(Index index);
  // Everything applied is visible to views taken from now on: wakes those who waited for it.
  Answers published(BootTime now);
  // Answers that are due now.
  Answers expire(BootTime now);

  Index mark() const noexcept { return recent_.mark(); }
  std::size_t pending() const noexcept { return pending_.size(); }
  std::size_t queued() const noexcept { return queued_ + unsettled_.size(); }

 private:
  struct Pending {
    Index index;
    Term term;
    Ticket ticket;
    BootTime deadline;
    const Proposal* proposal;  // the caller's
  };
  struct Waiter {
    Ticket ticket;
    BootTime deadline;
    bool writes;      // it writes the key as well, so two of them at once would meet again
    bool speculates;  // it may run on what is proposed
  };
  // Ran on a speculation and has nothing to write: runs again when what it read is published.
  struct Unsettled {
    Ticket ticket;
    BootTime deadline;
    Index index;
  };
  // One contended key.
  struct Queue {
    Index blocked_by;           // who runs again before this is published needs a speculation
    std::deque<Waiter> waiters;
    Ticket holder = 0;          // was told to run again and has not come back; 0 for nobody
    BootTime hold_until;
  };
  struct Lost {
    std::uint64_t key;  // hash
    Index index;        // of the proposal that it lost to; the view's when it only has to queue
    bool writes;
    bool point;  // a record, not a range of them
  };

  bool writes_key(const Proposal& proposal, std::uint64_t key) const;
  static bool writes_range(const Proposal& proposal, const KeyRange& range);
  std::optional<Lost> find_conflict(const Proposal& proposal) const;
  std::optional<Lost> find_queue(const Proposal& proposal) const;
  Verdict enqueue(const Lost& lost, const Proposal& proposal, Ticket ticket, BootTime deadline);
  Verdict settle(const Proposal& proposal, Ticket ticket, BootTime deadline);
  std::shared_ptr<const Speculation> speculate(const Queue& queue, std::uint64_t key) const;
  void release(Ticket ticket);
  void block_queues(const Proposal& proposal, Index index);
  void block(std::uint64_t key, Index index);
  void wake(Queue& queue, std::uint64_t key, BootTime now, Answers& answers);
  void wake_all(BootTime now, Answers& answers);
  bool overdue(BootTime deadline, BootTime now);
  void expire_waiters(BootTime now, Answers& answers);

  const Options options_;
  Term term_;  // 0: not leading
  bool draining_ = false;
  RecentKeys recent_;
  Index applied_;
  Index published_;

  std::deque<Pending> pending_;  // by index
  Answers unpublished_;          // outcomes that wait for published()
  Answers lost_;                 // due at the next occasion
  BootTime next_deadline_ = BootTime::max();  // none of pending_ and of the waiters is earlier

  std::unordered_map<std::uint64_t, Queue> queues_;           // by hash of the key
  std::unordered_map<Ticket, std::uint64_t> holders_;         // the key that is kept for a ticket
  std::size_t queued_ = 0;
  std::vector<Unsettled> unsettled_;  // with queued_ at most queued_max
};

// What the visible state and the waiting requests need of whoever applies a batch of entries.
class BatchEnd {
 public:
  virtual ~BatchEnd() = default;
  virtual void publish() = 0;
  virtual void deliver(Proposer::Answers answers) = 0;
};

// Ends a batch that was applied, in the one order that keeps "who was answered sees it": publish first, then wake.
void finish_batch(Proposer& proposer, BatchEnd& end, BootTime now);

}  // namespace coffer::core
