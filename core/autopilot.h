// Which learner becomes a voter, and when. Pure; the leader's housekeeping asks it.
#pragma once

#include <map>
#include <optional>

#include "core/cluster.h"
#include "core/group.h"

namespace coffer::core {

class Autopilot {
 public:
  struct Options {
    Nanos stabilization{std::chrono::seconds(10)};   // of a learner while there are voters enough
    Nanos contact_max{std::chrono::seconds(1)};      // a node that was heard longer ago is not healthy
    std::uint64_t trailing_entries_max = 1000;       // a node further behind is not healthy
    std::size_t voters_at_once = 3;                  // while fewer vote, nobody waits
  };

  Autopilot() : Autopilot(Options()) {}
  explicit Autopilot(const Options& options) : options_(options) {}

  // The next change, if one is due: by a node that serves, one at a time. Called about ten times a second.
  std::optional<raft::Change> decide(const GroupStatus& group, const Members& members, BootTime now);

 private:
  const Options options_;
  std::map<raft::NodeId, BootTime> healthy_since_;  // learners
};

}  // namespace coffer::core
