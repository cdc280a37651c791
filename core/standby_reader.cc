#include "core/standby_reader.h"

#include <cstddef>
#include <iterator>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

constexpr std::size_t kKeptByMutantBytes = 1024;

}  // namespace

StandbyReader::~StandbyReader() { COFFER_CHECK(rounds_ == 0 && waiting_.empty()); }

bool StandbyReader::ask(std::unique_ptr<Exchange>& exchange) {
  if (group_.leader() == raft::kNobody)
    return false;
  Round round;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kRequestsMax)
      return false;
    waiting_.push_back(std::move(exchange));
    if (rounds_ >= kRoundsMax)
      return true;
    ++rounds_;
    round.swap(waiting_);
  }
  begin(std::move(round));
  return true;
}

void StandbyReader::begin(Round round) {
  // A std::function must be copyable; this one is called once.
  const auto held = std::make_shared<Round>(std::move(round));
  group_.read_index([this, held](const Result<Index>& index) { end(std::move(*held), index.ok()); });
}

// Node's thread, mostly. The next question goes out before those who waited for this one are told. Where no leader was
// found in time there will be none for those behind either.
void StandbyReader::end(Round round, bool confirmed) {
  Round next;
  {
    const std::lock_guard lock(mutex_);
    next.swap(waiting_);
    if (!confirmed)
      round.insert(round.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
    ++counts_.questions;
    (confirmed ? counts_.confirmed : counts_.unconfirmed) += round.size();
    if (!confirmed || next.empty()) {
      next.clear();
      --rounds_;
    }
  }
  if (!next.empty())
    begin(std::move(next));
  for (std::unique_ptr<Exchange>& exchange : round) {
    if (mutant(Mutant::kStandbyKeepsReads)) [[unlikely]]
      static_cast<void>(::operator new(kKeptByMutantBytes));
    exchange->pipeline->read = confirmed ? StandbyRead::kConfirmed : StandbyRead::kUnconfirmed;
    Home* home = exchange->home;
    home->resume_later(std::move(exchange));
  }
}

StandbyReader::Counts StandbyReader::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace coffer::core
