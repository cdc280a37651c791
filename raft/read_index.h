// Reads that wait until a majority has confirmed, after they arrived, that this node still leads; and the times at
// which heartbeat rounds were sent, from which the lease counts.
//
// Threads: one (the node's).
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace coffer::raft {

// What read_index() comes to. `ok` false: not the leader any more, ask again.
struct ReadResult {
  std::uint64_t context = 0;
  Index index;  // serve from a view at or above it
  bool ok = false;
};

class ReadIndex {
 public:
  struct Waiting {
    std::uint64_t context;
    NodeId from;  // the asking node; the own one for local reads
    Index index;
    std::uint64_t round;
  };

  std::uint64_t last_round() const noexcept { return round_; }
  std::size_t waiting() const noexcept { return waiting_.size(); }
  // A round must be sent for the sake of reads that came since the last one.
  bool wants_round() const noexcept { return !waiting_.empty() && waiting_.back().round > round_; }

  // Waits for the round after the last one that was sent.
  void add(std::uint64_t context, NodeId from, Index index);
  std::uint64_t start_round(BootTime now);

  // A majority has answered `round`. The reads that are confirmed by it.
  std::vector<Waiting> confirmed(std::uint64_t round);
  // When the newest round at or below `round` was sent; nothing when it is not known any more.
  std::optional<BootTime> sent_at(std::uint64_t round);

  // The end of a leadership: all that waited.
  std::vector<Waiting> reset();

 private:
  static constexpr std::size_t kRoundsKeptMax = 256;
  struct Round {
    std::uint64_t number;
    BootTime sent;
  };
  std::deque<Waiting> waiting_;  // rounds never decrease
  std::deque<Round> rounds_;
  std::uint64_t round_ = 0;
};

}  // namespace coffer::raft
