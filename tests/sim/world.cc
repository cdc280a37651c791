#include "tests/sim/world.h"

#include <algorithm>

#include "base/check.h"
#include "raft/wire.h"
#include "tests/sim/clients.h"
#include "tests/sim/node.h"

namespace coffer::sim {
namespace {

constexpr Time kTick = 50 * kMs;
constexpr Time kRecoveryMax = 10 * kSecond;
constexpr Time kConvergeMax = 40 * kSecond;

}  // namespace

const char* fault_name(Fault fault) {
  static constexpr const char* kNames[] = {
      "loss",      "delay",      "duplicate",     "reorder",    "partition",   "one-way partition",
      "isolation", "bridge",     "crash",         "power cut",  "torn write",  "misdirected write",
      "slow sync", "sync error", "pause",         "clock jump", "clock drift", "membership",
      "transfer",  "disk loss",  "database down", "snapshot",   "restore"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Fault::kCount));
  return kNames[static_cast<std::size_t>(fault)];
}

SimReport run_seed(std::uint64_t seed, const SimOptions& options) {
  SimOptions mine = options;
  // A part of the seeds runs on the real write-ahead log, which costs more.
  mine.real_log = options.real_log || seed % 12 == 5;
  return World(seed, mine).run();
}

World::World(std::uint64_t seed, const SimOptions& options) : options_(options), rng_(seed) {
  report_.seed = seed;
  report_.real_log = options.real_log;
  draw_profile();
  start_nodes();
  clients_ = std::make_unique<Clients>(*this, 6 + static_cast<std::size_t>(rng_.below(5)));
}

World::~World() = default;

void World::draw_profile() {
  const auto maybe = [this](unsigned most) {
    return rng_.chance(5'000) ? static_cast<unsigned>(rng_.below(most)) : 0u;
  };
  profile_.loss = maybe(1'000);
  profile_.duplicate = maybe(1'000);
  profile_.reorder = maybe(2'000);
  profile_.delay_min = 50 * kUs;
  profile_.delay_max = rng_.chance(7'000) ? kMs : rng_.between(kMs, 40 * kMs);
  profile_.slow_max = rng_.between(5 * kMs, 500 * kMs);
  profile_.nemesis_min = 200 * kMs;
  profile_.nemesis_max = rng_.between(kSecond, 6 * kSecond);
  profile_.drift = maybe(30);
  profile_.enabled = static_cast<std::uint32_t>(rng_.next() | rng_.next());
}

void World::start_nodes() {
  const std::size_t voters = rng_.chance(7'000) ? 3 : rng_.chance(3'000) ? 4 : 5;
  raft::Configuration initial;
  for (std::size_t i = 0; i < voters; ++i)
    initial.voters.push_back(raft::NodeId(next_id_++));
  for (raft::NodeId id : initial.voters) {
    const Time drift = profile_.drift == 0 ? 0 : rng_.between(-static_cast<Time>(profile_.drift), profile_.drift);
    if (drift != 0)
      fault(Fault::kClockDrift);
    slots_[used_slots_] = std::make_unique<Node>(*this, now_, used_slots_, id, initial, drift);
    ++used_slots_;
  }
}

void World::after(Time delay, std::function<void()> what) {
  std::uint32_t slot;
  if (free_functions_.empty()) {
    slot = static_cast<std::uint32_t>(functions_.size());
    functions_.push_back(std::move(what));
  } else {
    slot = free_functions_.back();
    free_functions_.pop_back();
    functions_[slot] = std::move(what);
  }
  events_.push({now_ + std::max<Time>(delay, 0), ++order_, slot});
}

void World::trace(std::uint64_t what) {
  report_.trace = (report_.trace ^ what) * 0x9e3779b97f4a7c15u;
  report_.trace ^= report_.trace >> 31;
}

void World::fail(const std::string& what) {
  if (report_.failure.empty())
    report_.failure = "at " + std::to_string(now_ / kMs) + " ms: " + what;
}

Node* World::node_of(raft::NodeId id) {
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    if (slots_[slot]->id() == id)
      return slots_[slot].get();
  }
  return nullptr;
}

Node* World::leader() {
  Node* best = nullptr;
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node* node = slots_[slot].get();
    if (node->up() && node->core().role() == raft::Role::kLeader &&
        (best == nullptr || node->core().term() > best->core().term()))
      best = node;
  }
  return best;
}

// As the real transport's bytes.
raft::Message World::over_the_wire(const raft::Message& message) {
  wire_.clear();
  raft::encode_message(message, wire_);
  Result<raft::Message> read = raft::decode_message(wire_);
  if (!read.ok())
    fail("a message cannot be read: " + read.status().message());
  raft::Message out = read.ok() ? std::move(read).value() : message;
  out.spool = message.spool;
  return out;
}

void World::send(const raft::Message& sent) {
  raft::Message message = over_the_wire(sent);
  const Node* from = node_of(message.from);
  const Node* to = node_of(message.to);
  trace(static_cast<std::uint64_t>(message.kind) << 56 ^ message.from.get() << 48 ^ message.to.get() << 40 ^
        message.term.get() << 20 ^ message.index.get());
  if (from == nullptr || to == nullptr || blocked_[from->slot()][to->slot()])
    return;
  if (!healing_ && rng_.chance(profile_.loss)) {
    fault(Fault::kLoss);
    return;
  }
  Time delay = rng_.between(profile_.delay_min, profile_.delay_max);
  if (!healing_ && rng_.chance(profile_.reorder)) {
    fault(Fault::kReorder);
    delay += rng_.between(0, profile_.slow_max);
    if (delay > 100 * kMs)
      fault(Fault::kDelay);
  }
  if (!healing_ && rng_.chance(profile_.duplicate)) {
    fault(Fault::kDuplicate);
    after(delay + rng_.between(0, profile_.slow_max), [this, copy = message]() mutable { deliver(std::move(copy)); });
  }
  after(delay, [this, message = std::move(message)]() mutable { deliver(std::move(message)); });
}

void World::deliver(raft::Message message) {
  Node* to = node_of(message.to);
  const Node* from = node_of(message.from);
  if (to == nullptr || from == nullptr || !to->up() || blocked_[from->slot()][to->slot()])
    return;
  if (to->paused()) {
    to->later(0, [to, message = std::move(message)]() mutable { to->step(std::move(message)); });
    return;
  }
  to->step(std::move(message));
}

std::uint64_t World::stash(std::shared_ptr<const void> bytes) {
  stash_.push_back(std::move(bytes));
  return stash_.size();
}

// Nobody else may answer reads alone from here on, wherever it is and whatever it heard.
void World::elected(const Node& node) {
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    const Node* other = slots_[slot].get();
    if (other == &node || !other->up())
      continue;
    if (!checker_.lease_is_over(other->core(), other->lease_valid(), node.core().term()))
      fail(checker_.failure());
  }
}

// A node stops by itself only for a reason that the disk gave it.
void World::node_stopped(Node& node, const Status& status) {
  const bool damage = status.code() == Code::kDataLoss && node.disk().damaged();
  if (!damage && !node.disk().sync_failed()) {
    fail("node " + std::to_string(node.id().get()) + " stopped: " + status.message());
    return;
  }
  trace(0xdead ^ node.id().get());
  after(0, [this, &node, damage, life = node.life()] {
    if (node.life() == life)
      node.crash(LogDisk::Cut::kClean);
    if (damage)
      replace_disk(node);
    else
      after(rng_.between(100 * kMs, 2 * kSecond), [&node] { node.start(); });
  });
}

void World::step() {
  const Event event = events_.top();
  events_.pop();
  now_ = event.at;
  ++report_.events;
  trace(static_cast<std::uint64_t>(event.at) ^ event.order);
  const std::function<void()> what = std::move(functions_[event.slot]);
  functions_[event.slot] = nullptr;
  free_functions_.push_back(event.slot);
  what();
}

SimReport World::run() {
  for (std::size_t slot = 0; slot < used_slots_; ++slot)
    slots_[slot]->start();
  std::function<void()> ticks = [this, &ticks] {
    for (std::size_t slot = 0; slot < used_slots_; ++slot) {
      slots_[slot]->tick();
    }
    retire_removed();
    after(kTick, ticks);
  };
  after(0, ticks);
  std::function<void()> nemesis_loop = [this, &nemesis_loop] {
    if (healing_)
      return;
    nemesis();
    after(rng_.between(profile_.nemesis_min, profile_.nemesis_max), nemesis_loop);
  };
  after(2 * kSecond, nemesis_loop);
  clients_->begin();
  after(options_.length, [this] { start_healing(); });
  while (!done_ && !failed())
    step();
  finish();
  return report_;
}

// The end of all faults. From here on the cluster has to show that it lives.
void World::start_healing() {
  if (clients_->started() < options_.operations_min && now_ < options_.length_max) {
    after(kSecond, [this] { start_healing(); });
    return;
  }
  healing_ = true;
  healed_at_ = now_;
  heal_network();
  database_.down = false;
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node* node = slots_[slot].get();
    node->wake();
    node->slow_disk(2 * kMs, 0);
    node->start();
  }
  clients_->watch_success(now_);
  after(200 * kMs, [this] { check_recovery(); });
}

void World::check_recovery() {
  const Time success = clients_->first_success_after(healed_at_);
  if (success == 0) {
    if (now_ - healed_at_ > kRecoveryMax)
      fail("no write succeeded within 10 s after all faults had ended" + roll_call());
    else
      after(100 * kMs, [this] { check_recovery(); });
    return;
  }
  if (report_.recovery == 0)
    report_.recovery = success - healed_at_;
  clients_->stop();
  std::string why;
  if (clients_->idle() && converged(&why)) {
    done_ = true;
    return;
  }
  if (now_ - healed_at_ > kConvergeMax)
    fail("the cluster did not converge: " + (why.empty() ? "requests are still under way" : why));
  else
    after(250 * kMs, [this] { check_recovery(); });
}

// What a member thinks of itself.
std::string World::described(const Node& node) const {
  static constexpr const char* kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
  std::string out = "node " + std::to_string(node.id().get());
  if (!node.up())
    return out + " is down";
  const raft::Core& core = node.core();
  out += std::string(" ") + kRoles[static_cast<std::size_t>(core.role())] + " in term " +
         std::to_string(core.term().get()) + ", last " + std::to_string(core.last_index().get()) + ", synced " +
         std::to_string(core.synced_index().get()) + ", committed " + std::to_string(core.commit_index().get()) +
         ", applied " + std::to_string(core.applied_index().get()) + (core.may_vote() ? "" : ", may not vote") +
         (node.paused() ? ", paused" : "") + (node.restoring() ? ", restoring" : "") + node.streams() +
         (node.disk().damaged() ? ", disk damaged" : "") + ", voters";
  for (raft::NodeId id : core.configuration().voters)
    out += " " + std::to_string(id.get());
  for (raft::NodeId id : core.configuration().learners)
    out += " learner " + std::to_string(id.get());
  return out;
}

std::string World::behind(const Node& lead, const Node& node) const {
  std::string out = described(node) + (&node == &lead ? "" : "; led by node " + std::to_string(lead.id().get()));
  if (const raft::Progress* peer = lead.core().progress_of(node.id()); node.up() && peer != nullptr)
    out += ", progress state " + std::to_string(static_cast<int>(peer->state())) + " match " +
           std::to_string(peer->match().get()) + " next " + std::to_string(peer->next().get()) + " until " +
           std::to_string(peer->catch_up_to().get());
  return out;
}

// For the report of a cluster that does not recover.
std::string World::roll_call() {
  std::string out;
  const Node* lead = leader();
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    if (!slots_[slot]->retired())
      out += "\n  " + (lead == nullptr ? described(*slots_[slot]) : behind(*lead, *slots_[slot]));
  }
  return out;
}

bool World::converged(std::string* why) {
  Node* first = leader();
  if (first == nullptr || !first->serving()) {
    *why = "nobody leads";
    return false;
  }
  const raft::Configuration& members = first->core().configuration();
  const auto records = [](Node& node) {
    TableImage::Records all;
    const std::unique_ptr<store::View> view = node.view();
    Result<std::unique_ptr<store::Cursor>> cursor = view->cursor();
    for (Result<bool> more = (*cursor)->seek(""); *more; more = (*cursor)->next())
      all.emplace((*cursor)->key(), (*cursor)->value());
    return all;
  };
  const Index applied = first->core().applied_index();
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node* node = slots_[slot].get();
    if (node->retired() || !members.contains(node->id()))
      continue;
    if (!node->up() || node->core().applied_index() != applied || !node->core().may_vote()) {
      *why = behind(*first, *node) + "\n  " + described(*first);
      return false;
    }
  }
  if (first->expiry().size() > 0 || users_left() > 0) {
    *why = std::to_string(first->expiry().size()) + " leases and " + std::to_string(users_left()) +
           " users of the database are left";
    return false;
  }
  const TableImage::Records expected = records(*first);
  if (first->core().applied_index() != applied)
    return false;  // an interlude went on; look again
  for (std::size_t slot = 0; slot < used_slots_; ++slot) {
    Node* node = slots_[slot].get();
    if (!node->retired() && members.contains(node->id()) && records(*node) != expected &&
        node->core().applied_index() == applied)
      fail("the state of node " + std::to_string(node->id().get()) + " differs from its leader's");
  }
  return true;
}

void World::finish() {
  report_.simulated = now_;
  report_.elections = checker_.elections();
  if (failed())
    return;
  const std::vector<RestoreCall> effective = restores();
  if (failed())
    return;
  if (const std::string wrong = clients_->check(effective); !wrong.empty())
    fail(wrong);
  trace(report_.acknowledged);
}

}  // namespace coffer::sim
