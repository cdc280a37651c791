#include "tests/actors/group_fixture.h"

#include <boost/test/unit_test.hpp>

#include "base/disk.h"
#include "base/rng.h"
#include "core/group_record.h"
#include "core/layout.h"
#include "store/current.h"
#include "store/key.h"
#include "store/wal.h"

namespace coffer::actors::testing {
namespace {

constexpr Nanos kStep = std::chrono::milliseconds(5);
constexpr std::chrono::microseconds kWakeWait{1000};  // for the threads of logs and snapshots
constexpr std::size_t kFileBytesMax = 64u << 20;

class Outcome final : public core::SystemCommit {
 public:
  void done(core::CommitOutcome outcome, Index, Status) override { came = outcome; }
  std::optional<core::CommitOutcome> came;
};

}  // namespace

std::string record_key(std::string_view name) {
  return store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(9), name);
}

Member::Member(Cluster& cluster, raft::NodeId id_, bool on_disk_)
    : id(id_), on_disk(on_disk_), cluster_(cluster) {
  if (!on_disk) {
    auto memory = std::make_unique<store::MemoryBackend>();
    target = std::make_unique<store::MemoryTarget>(*memory);
    backend = std::move(memory);
    log = std::make_unique<store::MemoryLog>();
  }
}

Member::~Member() { stop(); }

void Member::open() {
  if (!on_disk || log != nullptr)
    return;
  Disk& disk = posix_disk();
  BOOST_REQUIRE(disk.make_folder(folder() + "/log").ok());
  store::WalOptions wal;
  wal.segment_bytes = 64u << 10;
  log = std::move(store::WriteAheadLog::open(disk, folder() + "/log", wal)).value();
  store::LmdbOptions options;
  options.map_bytes = 64u << 20;
  auto table = std::move(store::open_state(disk, folder(), options, system_random())).value();
  const store::SetHashKey hash_key = table->hash_key();
  auto kept = std::make_unique<store::StateBackend>(std::move(table), generations);
  state = kept.get();
  target = std::make_unique<store::DiskTarget>(disk, folder(), options, system_random(), *state, hash_key);
  backend = std::move(kept);
}

void Member::close() {
  if (!on_disk)
    return;
  target.reset();
  backend.reset();
  log.reset();
  state = nullptr;
}

Status Member::start(Node::Begin begin) {
  open();
  Node::Options options;
  options.raft.id = id;
  options.raft.random_seed = id.get();
  options.spool_folder = spool();
  options.commit_time_max = std::chrono::seconds(5);
  options.log_kept_entries_max = log_kept_entries_max;
  Node::Ports ports{*log,
                    *backend,
                    state,
                    observer,
                    cluster_.clock,
                    *cluster_.logger,
                    [this] { cluster_.woken(); },
                    [this](const Status& status) { failure = status; },
                    {},
                    {}};
  ports.transport = this;
  ports.snapshots = target.get();
  ports.disk = &posix_disk();
  ports.restored = [this] { ++told_restored; };
  COFFER_ASSIGN(node, Node::create(options, std::move(ports), begin));
  return Status();
}

void Member::stop() {
  if (node != nullptr)
    node->stop();
  node.reset();
  close();
}

std::optional<std::string> Member::value(std::string_view name) const {
  std::string out;
  const auto view = std::move(backend->view()).value();
  return std::move(view->get(record_key(name), out)).value() ? std::optional(out) : std::nullopt;
}

void Member::flush() {
  BOOST_REQUIRE(state != nullptr);
  while (!state->freeze())
    static_cast<void>(state->flush_step());
  BOOST_REQUIRE(state->flush_step().ok());
}

void Member::send(std::vector<raft::Message> messages) {
  for (raft::Message& message : messages) {
    ++sent;
    if (message.kind == raft::MessageKind::kStaged && std::exchange(loses_staged, false))
      continue;
    handed_over |= message.kind == raft::MessageKind::kTimeoutNow;
    const raft::NodeId to = message.to;
    auto shared = std::make_shared<raft::Message>(std::move(message));
    cluster_.post(
        [this, to, shared] {
          if (Member* peer = cluster_.find(to); peer != nullptr && peer->up())
            peer->node->receive(std::move(*shared));
        },
        id, to);
  }
}

void Member::send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) {
  const raft::NodeId to = message.to;
  if (!cluster_.connected(id, to))
    return done(Status(Code::kUnavailable, "there is no connection"));
  cluster_.post(
      [this, to, message, path, done] {
        Member* peer = cluster_.find(to);
        const Result<std::string> bytes = read_file(posix_disk(), path, kFileBytesMax);
        if (!up() || peer == nullptr || !peer->up() || !bytes.ok() || (message.staged && !peer->takes_streams))
          return done(Status(Code::kUnavailable, "there is no such node"));
        BOOST_REQUIRE(replace_file(posix_disk(), peer->spool(), "in-1", *bytes).ok());
        const bool taken = peer->node->receive_snapshot(message, peer->spool() + "/in-1");
        done(taken ? Status() : Status(Code::kUnavailable, "the node did not take it"));
      },
      id, to);
}

Cluster::~Cluster() {
  network_.clear();
  for (auto& [id, member] : members_)
    member->stop();
}

Member& Cluster::add(std::uint64_t id) {
  auto& member = members_[raft::NodeId(id)];
  BOOST_REQUIRE(member == nullptr);
  member = std::make_unique<Member>(*this, raft::NodeId(id), on_disk_);
  return *member;
}

Member* Cluster::find(raft::NodeId id) {
  const auto at = members_.find(id);
  return at == members_.end() ? nullptr : at->second.get();
}

void Cluster::post(std::function<void()> delivery, raft::NodeId from, raft::NodeId to) {
  network_.push_back({from, to, std::move(delivery)});
}

void Cluster::woken() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_one();
}

void Cluster::round() {
  for (std::size_t left = network_.size(); left > 0; --left) {
    const Delivery delivery = std::move(network_.front());
    network_.pop_front();
    if (connected(delivery.from, delivery.to))
      delivery.run();
  }
  for (auto& [id, member] : members_) {
    if (member->up())
      member->node->work();
  }
  {
    std::unique_lock lock(mutex_);
    if (network_.empty())
      wake_.wait_for(lock, kWakeWait, [this] { return woken_; });
    if (std::exchange(woken_, false) || !network_.empty())
      return;
  }
  clock.advance(kStep);
  for (auto& [id, member] : members_) {
    if (!member->up())
      continue;
    member->node->tick();
    if (member->flushes && member->state != nullptr)
      BOOST_REQUIRE(member->state->flush_step().ok());
  }
}

bool Cluster::run_until(const std::function<bool()>& reached) {
  const BootTime end = system_clock().boot_now() + std::chrono::seconds(20);
  while (!reached()) {
    if (system_clock().boot_now() >= end)
      return false;
    round();
  }
  return true;
}

void Cluster::run_for(Nanos time) {
  const BootTime end = clock.boot_now() + time;
  BOOST_REQUIRE(run_until([&] { return clock.boot_now() >= end; }));
}

Member* Cluster::await_leader(const std::set<raft::NodeId>& but) {
  Member* found = nullptr;
  run_until([&] {
    found = nullptr;
    for (auto& [id, member] : members_) {
      if (member->up() && !but.contains(id) && member->node->is_leader())
        found = member.get();
    }
    return found != nullptr && std::ranges::all_of(members_, [&](const auto& entry) {
      const Member& member = *entry.second;
      return !member.up() || but.contains(member.id) || !member.node->group_status().takes_part ||
             member.node->leader() == found->id;
    });
  });
  return found;
}

core::CommitOutcome Cluster::write(Member& leader, std::string_view name, std::string_view value) {
  core::Proposal proposal;
  proposal.term = leader.node->leader_term();
  proposal.view = leader.node->applied_index();
  proposal.ops.push_back({record_key(name), std::string(value)});
  Outcome outcome;
  leader.node->submit_system(std::move(proposal), outcome);
  BOOST_REQUIRE(run_until([&] { return outcome.came.has_value(); }));
  return *outcome.came;
}

Status Cluster::change(Member& leader, raft::Change::Kind kind, Member& of) {
  std::optional<Status> came;
  leader.node->change_membership({kind, of.id}, [&](Status status, Index) { came = std::move(status); });
  BOOST_REQUIRE(run_until([&] { return came.has_value(); }));
  return *came;
}

std::string Cluster::stream(Member& leader, const std::map<std::string, std::string>& records) {
  namespace layout = core::layout;
  const auto system = [](store::KeyClass cls, std::string_view rest) {
    return store::make_key(cls, layout::kRootNamespace, layout::kSystemMount, rest);
  };
  std::map<std::string, std::string> all{{system(store::KeyClass::kClusterLocal, layout::kSealConfig), "seal"},
                                         {system(store::KeyClass::kClusterLocal, layout::kClusterInfo), "name\nid"},
                                         {system(store::KeyClass::kShared, layout::kKeyring), "keyring"},
                                         {system(store::KeyClass::kShared, layout::member_record(77)), "gone"},
                                         {core::group_key(), "another group"}};
  for (const auto& [name, value] : records)
    all.emplace(record_key(name), value);
  const std::string path = leader.spool() + "/upload";
  store::SnapshotMeta meta;
  meta.applied = Index(1'000'000);
  meta.term = Term(50);
  meta.hash_key[0] = 9;
  const auto file = std::move(posix_disk().open(path, OpenMode::kCreateOrEmpty)).value();
  const auto writer = std::move(store::SnapshotWriter::begin(*file, meta)).value();
  for (const auto& [key, value] : all)
    BOOST_REQUIRE(writer->add(key, value).ok());
  BOOST_REQUIRE(writer->finish().ok());
  return path;
}

Status Cluster::restore(Member& leader, const std::map<std::string, std::string>& records) {
  std::optional<Status> came;
  leader.node->restore(stream(leader, records), [&](Status status) { came = std::move(status); });
  BOOST_REQUIRE(run_until([&] { return came.has_value(); }));
  return *came;
}

void Cluster::admit(Member& leader, Member& joiner) {
  BOOST_REQUIRE(change(leader, raft::Change::Kind::kAddLearner, joiner).ok());
  BOOST_REQUIRE(run_until([&] { return change(leader, raft::Change::Kind::kPromote, joiner).ok(); }));
}

Member& Cluster::form() {
  const auto member = [this](std::uint64_t id) -> Member& {
    Member* const added = find(raft::NodeId(id));
    return added == nullptr ? add(id) : *added;
  };
  Member& first = member(1);
  BOOST_REQUIRE(first.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(run_until([&] { return first.node->is_leader(); }));
  for (const std::uint64_t id : {2, 3}) {
    Member& joiner = member(id);
    BOOST_REQUIRE(joiner.start(Node::Begin::kJoining).ok());
    joiner.node->take_part(true, {});
    admit(first, joiner);
  }
  Member* leader = await_leader();
  BOOST_REQUIRE(leader != nullptr);
  return *leader;
}

bool Cluster::all_have(std::string_view name, std::string_view value) {
  return run_until([&] {
    return std::ranges::all_of(members_, [&](const auto& entry) {
      return !entry.second->up() || entry.second->value(name) == value;
    });
  });
}

}  // namespace coffer::actors::testing
