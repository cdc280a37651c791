// The port from the request pipeline to the replicated log: implemented by the node actor in production, by the
// simulator and by a single-threaded fake in tests.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "core/request.h"
#include "core/txn.h"

namespace coffer::core {

enum class CommitOutcome : std::uint8_t {
  kCommitted,       // applied and published: a view taken now sees it
  kConflict,        // run the handler again now, on the speculation that the exchange was given if there is one
  kRefused,         // not proposed or replaced by another entry: nothing happened; see the status
  kOutcomeUnknown,  // neither committed nor replaced by the deadline
};

class CommitSink {
 public:
  virtual ~CommitSink() = default;
  // On the node's thread: must not block. Exactly once per submit().
  virtual void committed(std::unique_ptr<Exchange> exchange, CommitOutcome outcome, Index index, Status status) = 0;
};

// For jobs and timers of the server itself (expiry, token clean-up, unseal bookkeeping): a proposal without an
// exchange.
class SystemCommit {
 public:
  virtual ~SystemCommit() = default;
  virtual void done(CommitOutcome outcome, Index index, Status status) = 0;  // node's thread; once
};

class Committer {
 public:
  virtual ~Committer() = default;
  // Any thread. The proposal is proposal_of(*exchange) (core/pipeline.h). Answers kRefused with kExhausted at once when
  // the bounded queue is full.
  virtual void submit(std::unique_ptr<Exchange> exchange, CommitSink& sink) = 0;
  // Any thread. `done` must stay alive until it was called.
  virtual void submit_system(Proposal proposal, SystemCommit& done) = 0;
  // Any thread. After kConflict: this exchange will not be submitted again, so who waits behind it need not.
  virtual void abandon(const Exchange& exchange) = 0;
  // The term that proposals must carry, and whether this node leads. Any thread.
  virtual Term leader_term() const = 0;
  virtual bool is_leader() const = 0;
  // Cluster time. Any thread.
  virtual WallTime cluster_now() const = 0;
  // True while a read from a view taken now is linearizable without asking anyone (lease, or sole voter). Any thread.
  virtual bool lease_valid() const = 0;
  // Writes come faster than they are committed: new ones are better refused. Any thread.
  virtual bool overloaded() const { return false; }
};

}  // namespace coffer::core
