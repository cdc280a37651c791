// A group of nodes that does what the test says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/group.h"

namespace coffer::core::testing {

// Answers questions at once, when the test says so, or not.
class FakeGroup final : public Group {
 public:
  void change_membership(raft::Change, std::function<void(Status, Index)> done) override { done(ok_status(), {}); }
  void transfer_leadership(raft::NodeId, std::function<void(Status)> done) override { done(ok_status()); }
  void when_applied(Index, std::function<void(Status)> done) override { done(ok_status()); }
  void take_part(bool, std::function<void()> then) override { then(); }
  void restore(std::string, std::function<void(Status)> done) override { done(ok_status()); }
  std::string spool_folder() const override { return {}; }
  void save(std::function<void(Result<SavedState>)> done) override { done(SavedState{}); }
  GroupStatus group_status() const override { return {}; }
  raft::NodeId leader() const override { return known; }
  void read_index(std::function<void(Result<Index>)> done) override {
    ++questions;
    if (keeps)
      return kept.push_back(std::move(done));
    answer(done);
  }
  void answer(const std::function<void(Result<Index>)>& done) {
    if (!refusal.ok())
      return done(refusal);
    follow();
    done(Index(1));
  }
  void answer_first() {
    const auto done = std::move(kept.front());
    kept.erase(kept.begin());
    answer(done);
  }

  raft::NodeId known{1};
  Status refusal;
  bool keeps = false;
  std::size_t questions = 0;
  std::vector<std::function<void(Result<Index>)>> kept;
  std::function<void()> follow;
};

}  // namespace coffer::core::testing
