// Which configuration holds where in the log. A configuration counts from the moment it is appended, so a truncation
// brings back the one before it.
//
// Threads: one (the node's).
#pragma once

#include <vector>

#include "base/status.h"
#include "raft/types.h"

namespace coffer::raft {

// The configuration after one change, or why it cannot be made.
Result<Configuration> changed(const Configuration& from, const Change& change);

class Membership {
 public:
  Membership(Index index, Configuration configuration) { history_.push_back({index, std::move(configuration)}); }

  const Configuration& current() const noexcept { return history_.back().configuration; }
  Index current_index() const noexcept { return history_.back().index; }
  // As of entry `index`, which is not below the last compact().
  const Configuration& at(Index index) const;

  void append(Index index, Configuration configuration);
  // True when the current configuration changed by it.
  bool truncate_from(Index from);
  void reset(Index index, Configuration configuration);
  // Entries up to `applied` will not be asked for again, except the one that holds there.
  void compact(Index applied);

 private:
  struct Held {
    Index index;
    Configuration configuration;
  };
  std::vector<Held> history_;  // by index; never empty
};

}  // namespace coffer::raft
