// A Committer on one thread: checks what a transaction read against what was applied since, applies to a store::Backend
// at once, tells the observer, publishes, then answers. Tests may let it refuse, lose or delay.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>

#include "core/commit.h"
#include "core/entry.h"
#include "core/observer.h"
#include "core/pipeline_state.h"
#include "store/backend.h"

namespace coffer::core::testing {

class FakeCommitter final : public Committer {
 public:
  FakeCommitter(store::Backend& backend, StateObserver& observer) : backend_(backend), observer_(observer) {}

  void submit(std::unique_ptr<Exchange> exchange, CommitSink& sink) override {
    const auto [outcome, status] = commit(proposal_of(*exchange));
    if (outcome == CommitOutcome::kConflict)
      exchange->pipeline->speculation = std::exchange(speculation, nullptr);
    sink.committed(std::move(exchange), outcome, index_, status);
  }
  void submit_system(Proposal proposal, SystemCommit& done) override {
    const auto [outcome, status] = commit(proposal);
    done.done(outcome, index_, status);
  }
  void abandon(const Exchange&) override { ++abandoned; }
  Term leader_term() const override { return term; }
  bool is_leader() const override { return leading; }
  WallTime cluster_now() const override { return now; }
  bool lease_valid() const override { return leading && lease; }
  bool overloaded() const override { return busy; }

  // Applies without a check, as the first entry of a new store.
  void apply(std::span<const store::Op> ops) {
    index_ = index_.next();
    backend_.apply(index_, ops);
    observer_.on_apply(index_, ops);
    for (const store::Op& op : ops)
      written_[op.key] = index_;
    backend_.publish(observer_.attachment());
  }

  // As when a snapshot takes the place of the state.
  void replace(std::span<const store::Op> ops) {
    index_ = index_.next();
    backend_.apply(index_, ops);
    for (const store::Op& op : ops)
      written_[op.key] = index_;
    backend_.publish(nullptr);
    observer_.on_replaced(*std::move(backend_.view()).value());
    backend_.publish(observer_.attachment());
  }

  Term term{1};
  bool leading = true;
  bool lease = true;
  bool busy = false;
  WallTime now{std::chrono::hours(24 * 365 * 50)};
  std::size_t conflicts = 0;
  std::size_t abandoned = 0;
  std::size_t commits = 0;
  std::size_t largest_entry_bytes = 0;
  std::vector<Proposal> accepted;                        // every proposal that committed, when `keep` is set
  bool keep = false;
  std::function<void(const Proposal&)> before;           // called before the check of each submitted proposal
  std::shared_ptr<const Speculation> speculation;        // goes out with the next conflict
  std::deque<std::pair<CommitOutcome, Status>> forced;   // answers to give instead, first come first

 private:
  std::pair<CommitOutcome, Status> commit(const Proposal& proposal) {
    if (before) {
      auto hook = std::exchange(before, nullptr);
      hook(proposal);
    }
    if (!forced.empty()) {
      auto answer = forced.front();
      forced.pop_front();
      return answer;
    }
    if (!leading || proposal.term != term)
      return {CommitOutcome::kRefused, Status(Code::kUnavailable, "not the leader")};
    if (conflicts_with(proposal)) {
      ++conflicts;
      return {CommitOutcome::kConflict, ok_status()};
    }
    // Through the codec, as in the log.
    std::string body;
    entry::encode(0, proposal.key_term, proposal.ops, body);
    largest_entry_bytes = std::max(largest_entry_bytes, body.size());
    const auto decoded = entry::decode(body);
    COFFER_CHECK(decoded.ok());
    apply(decoded->ops);
    ++commits;
    if (keep)
      accepted.push_back(proposal);
    return {CommitOutcome::kCommitted, ok_status()};
  }

  bool conflicts_with(const Proposal& proposal) const {
    for (const std::string& key : proposal.read_keys)
      if (const auto at = written_.find(key); at != written_.end() && at->second > proposal.view)
        return true;
    for (const KeyRange& range : proposal.read_ranges)
      for (auto at = written_.lower_bound(range.first);
           at != written_.end() && (range.last.empty() || at->first < range.last); ++at)
        if (at->second > proposal.view)
          return true;
    return false;
  }

  store::Backend& backend_;
  StateObserver& observer_;
  Index index_;
  std::map<std::string, Index> written_;
};

}  // namespace coffer::core::testing
