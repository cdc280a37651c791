// Whether a node still hears of the node that leads. Who only receives never campaigns, and may know a leader of whom
// it has heard nothing for long: it goes by the leader's last message. Pure; one thread.
#pragma once

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "raft/types.h"

namespace coffer::core {

class LeaderWatch {
 public:
  static constexpr std::chrono::seconds kSilenceMax{3};

  // Each tick: who leads as far as this node knows, and when the last message of whoever led came.
  void look(raft::NodeId self, raft::NodeId leader, BootTime heard, BootTime now) {
    if (!in_touch_ || leader == self)
      in_touch_ = now;
    else if (leader != raft::kNobody)
      in_touch_ = std::max(*in_touch_, heard);
    silent_ = now - *in_touch_ >= kSilenceMax;
  }
  // While the node talks to nobody, of its own accord.
  void reset() {
    in_touch_.reset();
    silent_ = false;
  }
  bool is_out_of_touch() const { return silent_; }

 private:
  std::optional<BootTime> in_touch_;
  bool silent_ = false;
};

}  // namespace coffer::core
