// An operator who saves the state and puts an earlier one in its place, and what must be true of that.
#include <algorithm>

#include "base/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/node.h"
#include "tests/sim/world.h"

namespace coffer::sim {

void World::strike_restore() {
  if (saved_.empty() || rng_.chance(4'000))
    save_state();
  after(rng_.between(0, 3 * kSecond), [this] {
    if (!healing_)
      begin_restore();
  });
}

// As any node has it.
void World::save_state() {
  Node* node = slots_[random_slot()].get();
  if (!node->up() || node->paused())
    return;
  auto records = std::make_shared<testing::Records>();
  const std::unique_ptr<store::View> view = node->view();
  Result<std::unique_ptr<store::Cursor>> cursor = view->cursor();
  COFFER_CHECK(cursor.ok());
  for (Result<bool> more = (*cursor)->seek(""); *more; more = (*cursor)->next())
    records->emplace((*cursor)->key(), (*cursor)->value());
  saved_.push_back(std::move(records));
}

void World::begin_restore() {
  Node* lead = leader();
  if (saved_.empty() || lead == nullptr || !lead->serving() || lead->paused())
    return;
  fault(Fault::kRestore);
  const std::size_t call = calls_.size();
  calls_.push_back({1 + rng_.below(saved_.size()), tick_order()});
  lead->restore(call, calls_[call].stream);
  // In the midst of it, too.
  for (unsigned more = 0; more < 2; ++more) {
    static constexpr Fault kKinds[] = {Fault::kCrash,     Fault::kPowerCut, Fault::kTornWrite, Fault::kPause,
                                       Fault::kPartition, Fault::kSlowSync, Fault::kIsolation, Fault::kTransfer};
    if (rng_.chance(6'000))
      continue;
    const Fault kind = kKinds[rng_.below(std::size(kKinds))];
    after(rng_.between(0, 1'800 * kMs), [this, kind] {
      if (!healing_)
        strike(kind);
    });
  }
}

void World::restore_proposed(std::size_t call, Index index, Term term) {
  calls_[call].index = index;
  calls_[call].term = term;
}

void World::restore_ended(std::size_t call, RestoreCall::End end) {
  RestoreCall& ended = calls_[call];
  COFFER_CHECK(!ended.end);
  ended.end = end;
  trace(static_cast<std::uint64_t>(end) << 32 ^ call);
  if (end == RestoreCall::End::kDone)
    ended.returned = tick_order();
}

void World::replaced(Index index, std::uint64_t stream) {
  if (replaced_.try_emplace(index, Replaced{saved(stream), clients_->next_request()}).second)
    ++report_.restores;
}

std::vector<RestoreCall> World::restores() {
  std::vector<RestoreCall> out;
  for (RestoreCall call : calls_) {
    const bool committed =
        call.index != Index(0) && call.index <= checker_.committed() && checker_.term_of(call.index) == call.term;
    if (call.end == RestoreCall::End::kDone && !committed)
      fail("a restore was acknowledged and did not happen");
    if (call.end == RestoreCall::End::kRefused && committed)
      fail("a restore was refused and happened all the same");
    if (!committed)
      continue;
    // It has happened, whenever that was.
    call.returned = std::min(call.returned, Operation::kNever - 1);
    out.push_back(call);
  }
  return out;
}

// A user whose lease the cluster knew until a state without it was put in place. Only the operator can know of it.
bool World::is_orphan(const std::string& user) const {
  const std::uint64_t request = std::stoull(user.substr(user.find('/') + 1));
  return std::ranges::any_of(replaced_, [&](const auto& one) {
    return request < one.second.next_request && !one.second.records->contains(user);
  });
}

std::size_t World::users_left() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(database_.users(), [this](const std::string& user) { return !is_orphan(user); }));
}

}  // namespace coffer::sim
