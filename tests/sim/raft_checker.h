// Looks at the whole cluster after every step of any node and compares with what was true before: terms and commits
// never go back, one vote and one leader a term, logs that agree, nothing committed is ever lost. Used by unit tests,
// scenarios and the simulator.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raft/core.h"

namespace coffer::sim {

class RaftChecker {
 public:
  // After Core::take_ready() gave `ready`. False when an invariant is broken; failure() says which.
  bool stepped(const raft::Core& core, const raft::Ready& ready);
  // The node came back from what its disk kept. `first_quiet` as of its own clock: no vote before it.
  bool restarted(const raft::Core& core, bool wiped);
  // Another node was elected: whether the lease of `holder` still runs by its own clock.
  bool lease_is_over(const raft::Core& holder, bool valid, Term elected);

  const std::string& failure() const noexcept { return failure_; }
  Index committed() const noexcept { return Index(committed_.size()); }
  // Of the committed entry.
  Term term_of(Index index) const { return committed_.at(index.get() - 1).term; }
  const std::shared_ptr<const std::string>& payload_of(Index index) const {
    return committed_.at(index.get() - 1).payload;
  }
  std::uint64_t elections() const noexcept { return leaders_.size(); }

 private:
  struct Seen {
    Term term;
    Index commit;
    Index applied;
    Index acknowledged;  // highest entry that it told its leader to have, in ack_term
    Term ack_term;
    Index snapshot;
    bool leader = false;
  };

  struct Committed {
    Index index;
    Term term;
    Term in;  // the leader's, at most: it is the term of the node that was seen to know first; never decreases
    std::shared_ptr<const std::string> payload;
  };

  bool check_progress(const raft::Core& core, Seen& seen);
  bool check_messages(const raft::Core& core, const raft::Ready& ready, Seen& seen);
  bool check_vote(Term term, raft::NodeId voter, raft::NodeId candidate);
  bool check_leader(const raft::Core& core, Seen& seen);
  bool check_appended(const raft::Ready& ready);
  bool check_applied(const raft::Core& core, const raft::Ready& ready);
  bool check_commit(const raft::Core& core, const Seen& seen);
  bool fail(const raft::Core& core, std::string what);

  std::map<raft::NodeId, Seen> nodes_;
  std::map<std::pair<Term, raft::NodeId>, raft::NodeId> votes_;
  std::map<Term, raft::NodeId> leaders_;
  std::map<std::pair<Index, Term>, std::shared_ptr<const std::string>> entries_;
  std::vector<Committed> committed_;
  std::string failure_;
};

}  // namespace coffer::sim
