// What goes wrong, and when.
#include <algorithm>

#include "base/check.h"
#include "tests/sim/node.h"
#include "tests/sim/world.h"

namespace coffer::sim {
void World::heal_network() {
  for (auto& row : blocked_)
    row.fill(false);
}

void World::nemesis() {
  if (rng_.chance(3'000)) {
    heal_network();
    database_.down = false;
  }
  for (int tries = 0; tries < 4; ++tries) {
    const auto kind = static_cast<Fault>(rng_.below(static_cast<std::uint64_t>(Fault::kCount)));
    if ((profile_.enabled >> static_cast<unsigned>(kind) & 1) == 0)
      continue;
    trace(static_cast<std::uint64_t>(kind));
    strike(kind);
    return;
  }
}

void World::strike(Fault kind) {
  switch (kind) {
    case Fault::kPartition:
    case Fault::kOneWayPartition:
    case Fault::kIsolation:
    case Fault::kBridge:
      heal_network();
      fault(kind);
      return strike_network(kind);
    case Fault::kCrash:
    case Fault::kPowerCut:
    case Fault::kTornWrite:
    case Fault::kMisdirectedWrite:
    case Fault::kSlowSync:
    case Fault::kSyncError:
    case Fault::kPause:
    case Fault::kClockJump:
      return strike_process(kind);
    case Fault::kMembership:
    case Fault::kTransfer:
    case Fault::kDiskLoss:
      return strike_cluster(kind);
    case Fault::kDatabaseDown:
      fault(kind);
      database_.down = true;
      return;
    case Fault::kRestore:
      return strike_restore();
    default:
      return;  // drawn for each message or each seed
  }
}

void World::strike_network(Fault kind) {
  Node* lead = leader();
  const std::size_t chosen = lead != nullptr && rng_.chance(5'000) ? lead->slot() : random_slot();
  const std::size_t bridge = random_slot();
  const std::uint64_t sides = rng_.next();
  for (std::size_t a = 0; a < kSlots; ++a) {
    for (std::size_t b = 0; b < kSlots; ++b) {
      const bool apart = (sides >> a & 1) != (sides >> b & 1);
      switch (kind) {
        case Fault::kPartition:
          blocked_[a][b] = apart;
          break;
        case Fault::kOneWayPartition:
          blocked_[a][b] = rng_.chance(3'000);
          break;
        case Fault::kIsolation:
          blocked_[a][b] = a == chosen || b == chosen;
          break;
        default:
          blocked_[a][b] = apart && a != bridge && b != bridge;
          break;
      }
    }
  }
}

void World::strike_process(Fault kind) {
  Node* lead = leader();
  const bool at_leader = lead != nullptr && rng_.chance(4'000);
  Node* node = at_leader ? lead : slots_[random_slot()].get();
  if (!node->up())
    return;
  const auto restart = [this](Node* who, Time least, Time most) {
    after(rng_.between(least, most), [who] { who->start(); });
  };
  switch (kind) {
    case Fault::kPowerCut:
      for (std::size_t slot = 0; slot < used_slots_; ++slot) {
        if (!slots_[slot]->up())
          continue;
        slots_[slot]->crash(LogDisk::Cut::kTorn);
        restart(slots_[slot].get(), 100 * kMs, 3 * kSecond);
      }
      break;
    case Fault::kCrash:
      node->crash(LogDisk::Cut::kClean);
      restart(node, 10 * kMs, rng_.chance(5'000) ? 300 * kMs : 6 * kSecond);
      break;
    case Fault::kTornWrite:
      node->crash(LogDisk::Cut::kTorn);
      restart(node, 10 * kMs, 2 * kSecond);
      break;
    case Fault::kMisdirectedWrite:
      if (!options_.real_log || !may_lose_disk())
        return;
      node->crash(LogDisk::Cut::kMisdirected);
      restart(node, 10 * kMs, 2 * kSecond);
      break;
    case Fault::kSlowSync:
      node->slow_disk(rng_.between(50 * kMs, 5 * kSecond), now_ + rng_.between(kSecond, 6 * kSecond));
      break;
    case Fault::kSyncError:
      node->disk().fail_next_sync();
      break;
    case Fault::kPause:
      node->pause(now_ + rng_.between(50 * kMs, 4 * kSecond));
      break;
    default:
      node->clock().jump_wall(rng_.chance(5'000) ? rng_.between(-3600 * kSecond, 3600 * kSecond)
                                                 : rng_.between(-3 * kSecond, 3 * kSecond));
      break;
  }
  fault(kind);
}

// At most one node at a time has lost what it promised, and none while members change.
bool World::may_lose_disk() {
  Node* lead = leader();
  if (lead == nullptr || lead->core().configuration().voters.size() < 3 ||
      !lead->core().configuration().learners.empty() || !lead->core().configuration_committed())
    return false;
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node& node = *slots_[slot];
    if (node.retired())
      continue;
    if (node.wiped() && node.up() && node.core().may_vote() && now_ > node.wiped_at() + Node::kReplaceDisk)
      node.caught_up();
    if (node.wiped() || node.disk().damaged())
      return false;
  }
  return true;
}

void World::replace_disk(Node& node) {
  node.wipe();
  after(Node::kReplaceDisk, [&node] { node.start(); });
}

void World::strike_cluster(Fault kind) {
  Node* lead = leader();
  if (lead == nullptr || !lead->serving() || lead->paused() || lead->restoring())
    return;
  if (kind == Fault::kTransfer) {
    if (lead->core().transfer_leadership().ok())
      fault(kind);
    lead->poll();
    // And soon back, while handlers that began under the first leadership still run.
    if (rng_.chance(5'000)) {
      after(rng_.between(100 * kMs, 800 * kMs), [this, back = lead->id()] {
        Node* now = leader();
        if (now == nullptr || now->paused() || now->restoring() || !now->core().transfer_leadership(back).ok())
          return;
        now->poll();
      });
    }
    return;
  }
  if (kind == Fault::kDiskLoss) {
    Node* node = slots_[random_slot()].get();
    if (!node->up() || !may_lose_disk())
      return;
    node->crash(LogDisk::Cut::kClean);
    replace_disk(*node);
    fault(kind);
    return;
  }
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    if (!slots_[slot]->retired() && (slots_[slot]->wiped() || slots_[slot]->disk().damaged()))
      return;
  }
  change_members(*lead);
}

void World::change_members(Node& lead) {
  const raft::Configuration& now = lead.core().configuration();
  raft::Change change;
  Node* added = nullptr;
  if (!now.learners.empty() && rng_.chance(7'000)) {
    change = {raft::Change::Kind::kPromote, now.learners[static_cast<std::size_t>(rng_.below(now.learners.size()))]};
  } else if (now.voters.size() + now.learners.size() < 5 && used_slots_ < kSlots && rng_.chance(6'000)) {
    added = add_node();
    change = {raft::Change::Kind::kAddLearner, added->id()};
  } else if (now.voters.size() > 3) {
    change.node = now.voters[static_cast<std::size_t>(rng_.below(now.voters.size()))];
    change.kind = rng_.chance(3'000) ? raft::Change::Kind::kDemote : raft::Change::Kind::kRemove;
  } else {
    return;
  }
  if (!lead.core().propose_change(lead.core().term(), change).ok()) {
    if (added != nullptr)
      added->retire();
    return;
  }
  fault(Fault::kMembership);
  ++report_.changes;
  lead.poll();
}

// A new machine, which knows nothing yet.
Node* World::add_node() {
  const std::size_t slot = used_slots_++;
  slots_[slot] = std::make_unique<Node>(*this, now_, slot, raft::NodeId(next_id_++), raft::Configuration(), 0);
  slots_[slot]->start();
  return slots_[slot].get();
}

// Who is no member by a committed configuration is switched off.
void World::retire_removed() {
  Node* lead = leader();
  if (lead == nullptr || !lead->serving() || !lead->core().configuration_committed())
    return;
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node& node = *slots_[slot];
    if (&node != lead && !node.retired() && !lead->core().configuration().contains(node.id()) &&
        now_ > node.born() + 5 * kSecond)
      node.retire();
  }
}

std::size_t World::random_slot() {
  for (;;) {
    const auto slot = static_cast<std::size_t>(rng_.below(used_slots_));
    if (!slots_[slot]->retired())
      return slot;
  }
}

}  // namespace coffer::sim
