#include "raft/read_index.h"

#include "base/check.h"

namespace coffer::raft {

void ReadIndex::add(std::uint64_t context, NodeId from, Index index) {
  COFFER_CHECK(waiting_.empty() || waiting_.back().index <= index);
  waiting_.push_back({context, from, index, round_ + 1});
}

std::uint64_t ReadIndex::start_round(BootTime now) {
  ++round_;
  rounds_.push_back({round_, now});
  if (rounds_.size() > kRoundsKeptMax)
    rounds_.pop_front();
  return round_;
}

std::vector<ReadIndex::Waiting> ReadIndex::confirmed(std::uint64_t round) {
  COFFER_CHECK(round <= round_);
  std::vector<Waiting> out;
  while (!waiting_.empty() && waiting_.front().round <= round) {
    out.push_back(waiting_.front());
    waiting_.pop_front();
  }
  return out;
}

std::optional<BootTime> ReadIndex::sent_at(std::uint64_t round) {
  while (rounds_.size() > 1 && rounds_[1].number <= round)
    rounds_.pop_front();
  if (rounds_.empty() || rounds_.front().number > round)
    return std::nullopt;
  return rounds_.front().sent;
}

std::vector<ReadIndex::Waiting> ReadIndex::reset() {
  std::vector<Waiting> out(waiting_.begin(), waiting_.end());
  waiting_.clear();
  rounds_.clear();
  round_ = 0;
  return out;
}

}  // namespace coffer::raft
