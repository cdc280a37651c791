// Another state takes the place of a group's, through its log: with all members there, with some away, and with a crash
// at each step.
#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <future>
#include <random>

#include "base/model_disk.h"
#include "core/restored.h"
#include "tests/actors/group_fixture.h"

namespace coffer::actors {
namespace {

using testing::Cluster;
using testing::Member;
constexpr auto kCommitted = core::CommitOutcome::kCommitted;

class Attempt final : public core::SystemCommit {
 public:
  void done(core::CommitOutcome outcome, Index, Status) override { came = outcome; }
  std::optional<core::CommitOutcome> came;
};

std::size_t staged_files(const Member& member) {
  const auto names = std::move(posix_disk().list(member.spool())).value();
  return static_cast<std::size_t>(
      std::ranges::count_if(names, [](const std::string& name) { return name.starts_with("staged-"); }));
}

std::map<std::string, std::string> contents(const Member& member) {
  std::map<std::string, std::string> out;
  const auto view = std::move(member.backend->view()).value();
  const auto cursor = std::move(view->cursor()).value();
  for (bool more = std::move(cursor->seek("")).value(); more; more = std::move(cursor->next()).value())
    out.emplace(cursor->key(), cursor->value());
  return out;
}

Index last_restore(const Member& member) {
  const auto record = std::move(core::read_restore(*std::move(member.backend->view()).value())).value();
  return record ? record->index : Index(0);
}

Member& other_than(Cluster& cluster, const Member& one, const Member* two = nullptr) {
  for (const std::uint64_t id : {1, 2, 3})
    if (cluster[id].id != one.id && (two == nullptr || cluster[id].id != two->id))
      return cluster[id];
  return cluster[1];
}

void start_again(Member& member) {
  BOOST_REQUIRE(member.start(Node::Begin::kMember).ok());
  member.node->take_part(true, {});
}

void all_are_the_same(Cluster& cluster) {
  const auto first = contents(cluster[1]);
  for (const std::uint64_t id : {2, 3})
    BOOST_TEST((contents(cluster[id]) == first));
  for (const std::uint64_t id : {1, 2, 3}) {
    BOOST_TEST(cluster[id].failure.ok());
    BOOST_TEST(cluster.run_until([&] { return staged_files(cluster[id]) == 0u; }));  // what no entry names goes soon
  }
}

BOOST_AUTO_TEST_SUITE(restore)

void all_members_get_the_state(bool on_disk) {
  Cluster cluster(on_disk);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  const Index before = leader.node->applied_index();
  const auto time = leader.node->cluster_now();
  BOOST_REQUIRE(cluster.restore(leader, {{"new", "2"}}).ok());
  BOOST_TEST((leader.node->applied_index() > before));
  BOOST_TEST(leader.value("new").value() == "2");
  BOOST_TEST(!leader.value("old").has_value());
  BOOST_TEST(cluster.all_have("new", "2"));
  const auto group = std::move(core::read_group(*std::move(leader.backend->view()).value())).value();
  BOOST_REQUIRE(group.has_value());
  BOOST_TEST(group->configuration.voters.size() == 3u);
  BOOST_TEST((group->time >= time));
  BOOST_TEST((last_restore(leader) > before));
  for (const std::uint64_t id : {1, 2, 3}) {
    BOOST_TEST(!cluster[id].value("old").has_value());
    BOOST_TEST(cluster[id].told_restored == 1);
    BOOST_TEST(cluster[id].observer.restores == 1);
  }
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  all_are_the_same(cluster);
  // Once more, and all of them start anew.
  BOOST_REQUIRE(cluster.restore(leader, {{"newer", "4"}}).ok());
  BOOST_TEST(cluster.all_have("newer", "4"));
  if (on_disk) {
    for (const std::uint64_t id : {1, 2, 3})
      cluster[id].stop();
    for (const std::uint64_t id : {1, 2, 3})
      start_again(cluster[id]);
    Member* next = cluster.await_leader();
    BOOST_REQUIRE(next != nullptr);
    BOOST_REQUIRE((cluster.write(*next, "last", "5") == kCommitted));
    BOOST_TEST(cluster.all_have("last", "5"));
    BOOST_TEST(!next->value("after").has_value());
    BOOST_TEST(next->value("newer").value() == "4");
    all_are_the_same(cluster);
  }
}

BOOST_AUTO_TEST_CASE(all_members_get_the_state_in_memory) { all_members_get_the_state(false); }
BOOST_AUTO_TEST_CASE(all_members_get_the_state_on_disk) { all_members_get_the_state(true); }

BOOST_AUTO_TEST_CASE(a_member_of_one_restores_alone) {
  Cluster cluster(true);
  Member& member = cluster.add(1);
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  BOOST_REQUIRE((cluster.write(member, "old", "1") == kCommitted));
  BOOST_REQUIRE(cluster.restore(member, {{"new", "2"}}).ok());
  BOOST_TEST(!member.value("old").has_value());
  BOOST_REQUIRE((cluster.write(member, "after", "3") == kCommitted));
  member.stop();
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  BOOST_TEST(member.value("new").value() == "2");
  BOOST_TEST(member.value("after").value() == "3");
  BOOST_TEST(!member.value("old").has_value());
  BOOST_TEST(staged_files(member) == 0u);
}

// What ran against the old state must not be written into the new one.
BOOST_AUTO_TEST_CASE(nothing_that_read_the_old_state_is_written_into_the_new_one) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  const Index view = leader.node->applied_index();
  const auto propose = [&](Attempt& attempt, std::string_view name) {
    core::Proposal proposal;
    proposal.term = leader.node->leader_term();
    proposal.view = view;
    proposal.ops.push_back({testing::record_key(name), "of the old"});
    leader.node->submit_system(std::move(proposal), attempt);
  };
  std::optional<Status> done;
  std::vector<std::unique_ptr<Attempt>> attempts;
  leader.node->restore(cluster.stream(leader, {{"new", "2"}}), [&](Status status) { done = std::move(status); });
  // One more in each round, so that some stand before the entry and some come behind it.
  BOOST_REQUIRE(cluster.run_until([&] {
    attempts.push_back(std::make_unique<Attempt>());
    propose(*attempts.back(), "w" + std::to_string(attempts.size()));
    return done.has_value() && attempts.size() > 20;
  }));
  BOOST_TEST(done->ok());
  Attempt late;
  propose(late, "late");
  BOOST_REQUIRE(cluster.run_until([&] { return late.came.has_value(); }));
  BOOST_TEST((*late.came == core::CommitOutcome::kConflict));
  BOOST_REQUIRE(cluster.run_until(
      [&] { return std::ranges::all_of(attempts, [](const auto& attempt) { return attempt->came.has_value(); }); }));
  for (const auto& [key, value] : contents(leader))
    BOOST_TEST(value != "of the old");
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  all_are_the_same(cluster);
}

void a_member_without_the_stream(bool away) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  Member& other = other_than(cluster, leader);
  // Only who has an initialized server's state can miss that it becomes another one.
  BOOST_REQUIRE(cluster.restore(leader, {{"old", "1"}}).ok());
  BOOST_REQUIRE(cluster.all_have("old", "1"));
  BOOST_TEST(other.told_restored == 1);
  if (away)
    cluster.cut(other);
  else
    other.takes_streams = false;
  BOOST_REQUIRE(cluster.restore(leader, {{"new", "2"}}).ok());
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  cluster.mend();
  // It gets the state itself, and knows that it is another one.
  BOOST_TEST(cluster.all_have("after", "3"));
  BOOST_TEST(other.value("new").value() == "2");
  BOOST_TEST(!other.value("old").has_value());
  BOOST_TEST(other.told_restored == 2);
  BOOST_TEST((last_restore(other) == last_restore(leader)));
  all_are_the_same(cluster);
}

BOOST_AUTO_TEST_CASE(a_member_that_was_away_gets_the_state) { a_member_without_the_stream(true); }
BOOST_AUTO_TEST_CASE(a_member_that_lacks_the_stream_gets_the_state) { a_member_without_the_stream(false); }

BOOST_AUTO_TEST_CASE(without_a_majority_nothing_is_restored) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  for (const std::uint64_t id : {1, 2, 3})
    cluster[id].takes_streams = false;
  BOOST_TEST((cluster.restore(leader, {{"new", "2"}}).code() == Code::kUnavailable));
  BOOST_TEST(leader.value("old").value() == "1");
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  all_are_the_same(cluster);
}

// The answer to a stream may be lost as any message; nobody waits for half an hour because of it.
BOOST_AUTO_TEST_CASE(a_lost_answer_to_a_stream_holds_nothing_up) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  for (const std::uint64_t id : {1, 2, 3})
    cluster[id].loses_staged = true;
  BOOST_REQUIRE(cluster.restore(leader, {{"new", "2"}}).ok());
  BOOST_TEST(cluster.all_have("new", "2"));
  for (const std::uint64_t id : {1, 2, 3})
    BOOST_TEST((cluster[id].id == leader.id || !cluster[id].loses_staged));
}

BOOST_AUTO_TEST_CASE(what_is_no_state_of_a_server_leaves_everything_as_it_was) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  const auto refused = [&](Member& member, const std::string& path) {
    std::optional<Status> came;
    member.node->restore(path, [&](Status status) { came = std::move(status); });
    BOOST_REQUIRE(cluster.run_until([&] { return came.has_value(); }));
    BOOST_TEST(!std::move(posix_disk().exists(path)).value());
    return came->code();
  };
  const std::string good = cluster.stream(leader, {{"new", "2"}});
  const std::string bytes = std::move(read_file(posix_disk(), good, 1u << 20)).value();
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
    BOOST_REQUIRE(replace_file(posix_disk(), leader.spool(), "upload", bytes.substr(0, size)).ok());
    BOOST_TEST((refused(leader, good) == Code::kDataLoss));
  }
  std::string flipped = bytes;
  flipped[bytes.size() / 2] ^= 4;
  BOOST_REQUIRE(replace_file(posix_disk(), leader.spool(), "upload", flipped).ok());
  BOOST_TEST((refused(leader, good) == Code::kDataLoss));
  BOOST_TEST((refused(leader, leader.spool() + "/nothing") == Code::kIo));
  // A stream that is whole, but of no initialized server.
  {
    const auto file = std::move(posix_disk().open(good, OpenMode::kCreateOrEmpty)).value();
    const auto view = std::move(leader.backend->view()).value();
    BOOST_REQUIRE(store::write_snapshot(*view, {}, *file).ok());
  }
  BOOST_TEST((refused(leader, good) == Code::kInvalid));
  Member& follower = other_than(cluster, leader);
  BOOST_TEST((refused(follower, cluster.stream(follower, {{"new", "2"}})) == Code::kUnavailable));
  BOOST_TEST(leader.value("old").value() == "1");
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  for (const std::uint64_t id : {1, 2, 3})
    BOOST_TEST(cluster[id].told_restored == 0);
  all_are_the_same(cluster);
}

BOOST_AUTO_TEST_CASE(one_restore_at_a_time_and_no_change_of_members_meanwhile) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  std::optional<Status> first, second, change, move;
  const std::string path = cluster.stream(leader, {{"new", "2"}});
  leader.node->restore(path, [&](Status status) { first = std::move(status); });
  leader.node->restore(leader.spool() + "/other", [&](Status status) { second = std::move(status); });
  leader.node->change_membership({raft::Change::Kind::kDemote, other_than(cluster, leader).id},
                                 [&](Status status, Index) { change = std::move(status); });
  leader.node->transfer_leadership(raft::kNobody, [&](Status status) { move = std::move(status); });
  BOOST_REQUIRE(cluster.run_until([&] { return first && second && change && move; }));
  BOOST_TEST(first->ok());
  BOOST_TEST((second->code() == Code::kUnavailable));
  BOOST_TEST((change->code() == Code::kUnavailable));
  BOOST_TEST((move->code() == Code::kUnavailable));
  BOOST_TEST(cluster.change(leader, raft::Change::Kind::kDemote, other_than(cluster, leader)).ok());
}

// The leader is lost when the others have the stream and it has hardly proposed anything.
BOOST_AUTO_TEST_CASE(a_leader_that_dies_after_staging_leaves_one_state) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  Member& one = other_than(cluster, leader);
  Member& two = other_than(cluster, leader, &one);
  leader.node->restore(cluster.stream(leader, {{"new", "2"}}), [](Status) {});
  BOOST_REQUIRE(cluster.run_until([&] { return staged_files(one) == 1u && staged_files(two) == 1u; }));
  leader.stop();
  Member* next = cluster.await_leader();
  BOOST_REQUIRE(next != nullptr);
  const bool restored = next->value("new").has_value();
  BOOST_TEST(next->value("old").has_value() == !restored);
  start_again(leader);
  BOOST_REQUIRE((cluster.write(*next, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  for (const std::uint64_t id : {1, 2, 3})
    BOOST_TEST(cluster[id].value("new").has_value() == restored);
  // What nobody needs goes with the next one.
  BOOST_REQUIRE(cluster.restore(*next, {{"newer", "4"}}).ok());
  BOOST_TEST(cluster.all_have("newer", "4"));
  all_are_the_same(cluster);
}

// Whoever is elected goes on with the entry, whatever became of the leader that proposed it.
BOOST_AUTO_TEST_CASE(what_was_committed_takes_effect_without_its_leader) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  bool done = false;
  leader.node->restore(cluster.stream(leader, {{"new", "2"}}), [&](Status status) { done = status.ok(); });
  BOOST_REQUIRE(cluster.run_until([&] { return done; }));
  // In this moment the others have the entry and need not know that it is committed.
  leader.stop();
  Member* next = cluster.await_leader();
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST(next->value("new").value() == "2");
  BOOST_TEST(!next->value("old").has_value());
  start_again(leader);
  BOOST_REQUIRE((cluster.write(*next, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  all_are_the_same(cluster);
}

// A process dies when its log has the entry and its state is still the old one.
BOOST_AUTO_TEST_CASE(a_restart_before_the_state_is_replaced_goes_on_from_the_stream) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  Member& other = other_than(cluster, leader);
  BOOST_REQUIRE((cluster.write(leader, "old", "1") == kCommitted));
  BOOST_REQUIRE(cluster.all_have("old", "1"));
  leader.node->restore(cluster.stream(leader, {{"new", "2"}}), [](Status) {});
  BOOST_REQUIRE(cluster.run_until([&] { return staged_files(other) == 1u; }));
  // It takes the entry, and dies before it hears that it is committed.
  const Index last = other.node->group_status().last;
  BOOST_REQUIRE(cluster.run_until([&] { return other.node->group_status().last > last || other.told_restored > 0; }));
  other.stop();
  BOOST_REQUIRE(cluster.run_until([&] { return leader.value("new").has_value(); }));
  start_again(other);
  BOOST_REQUIRE((cluster.write(leader, "after", "3") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "3"));
  BOOST_TEST(other.value("new").value() == "2");
  BOOST_TEST(!other.value("old").has_value());
  all_are_the_same(cluster);
}

// Without the bytes that its log promises a node does not start.
BOOST_AUTO_TEST_CASE(a_stream_that_is_lost_is_named) {
  Cluster cluster(true);
  Member& member = cluster.add(1);
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  member.stop();
  member.open();
  const Index at = member.log->last_index().next();
  std::string payload = core::encode_replaced({std::string(core::kStreamDigestBytes, 'd'), {}});
  const store::LogRecord record{at, member.log->last_term(), static_cast<std::uint8_t>(raft::EntryKind::kReplaced),
                                std::make_shared<const std::string>(std::move(payload))};
  BOOST_REQUIRE(member.log->append({&record, 1}).ok());
  BOOST_REQUIRE(member.log->sync().ok());
  member.close();
  const Status refused = member.start(Node::Begin::kSoleVoter);
  BOOST_TEST((refused.code() == Code::kDataLoss));
  BOOST_TEST(refused.message().find("staged-") != std::string::npos);
}

// Restores, writes, crashes and cuts in a random order. Whoever was told that a write was committed finds it, unless a
// restore stands above it, and then nobody does; and all members hold the same.
class Disorder {
 public:
  explicit Disorder(unsigned seed) : random_(seed) {
    for (const std::uint64_t id : {1, 2, 3})
      cluster_.add(id).log_kept_entries_max = 16;
    cluster_.form();
  }

  void act() {
    Member& member = cluster_[1 + below(3)];
    switch (below(10)) {
      case 0: cluster_.cut(member); break;
      case 1:
      case 2: cluster_.mend(); break;
      case 3: member.stop(); break;
      case 4:
      case 5: start_all(); break;
      case 6:
        if (member.up())
          member.flush();
        break;
      case 7: member.takes_streams = below(3) != 0; break;
      default: restore(); break;
    }
    for (std::size_t i = below(6); i > 0; --i)
      write();
    cluster_.run_for(std::chrono::milliseconds(20 * (1 + below(25))));
  }

  void end() {
    cluster_.mend();
    start_all();
    BOOST_REQUIRE(cluster_.run_until([&] {
      Member* leader = cluster_.await_leader();
      return leader != nullptr && cluster_.write(*leader, "last", "1") == kCommitted;
    }));
    BOOST_TEST(cluster_.all_have("last", "1"));
    BOOST_REQUIRE(cluster_.run_until(
        [&] { return std::ranges::all_of(attempts_, [](const auto& attempt) { return attempt.second->told; }); }));
    const auto first = contents(cluster_[1]);
    const Index restored = last_restore(cluster_[1]);
    for (const auto& [name, attempt] : attempts_) {
      if (attempt->index != Index(0))
        BOOST_TEST(first.contains(testing::record_key(name)) == (attempt->index > restored), name);
    }
    for (const std::uint64_t id : {2, 3})
      BOOST_TEST((contents(cluster_[id]) == first));
    for (const std::uint64_t id : {1, 2, 3})
      BOOST_TEST(cluster_[id].failure.ok(), cluster_[id].failure.message());
    BOOST_TEST(done_ > 0u);
    BOOST_TEST((restored > Index(0)));
  }

 private:
  class Write final : public core::SystemCommit {
   public:
    void done(core::CommitOutcome outcome, Index at, Status) override {
      told = true;
      if (outcome == kCommitted)
        index = at;
    }
    bool told = false;
    Index index;
  };

  std::size_t below(std::size_t bound) { return random_() % bound; }

  void start_all() {
    for (const std::uint64_t id : {1, 2, 3})
      if (!cluster_[id].up())
        start_again(cluster_[id]);
  }

  Member* some_leader() {
    for (const std::uint64_t id : {1, 2, 3})
      if (cluster_[id].up() && cluster_[id].node->is_leader())
        return &cluster_[id];
    return nullptr;
  }

  void write() {
    Member* leader = some_leader();
    if (leader == nullptr)
      return;
    const std::string name = "w" + std::to_string(attempts_.size());
    core::Proposal proposal;
    proposal.term = leader->node->leader_term();
    proposal.view = leader->node->applied_index();
    proposal.ops.push_back({testing::record_key(name), "x"});
    const auto& attempt = attempts_.emplace_back(name, std::make_unique<Write>()).second;
    leader->node->submit_system(std::move(proposal), *attempt);
  }

  // One upload at a time has the name.
  void restore() {
    Member* leader = some_leader();
    if (leader == nullptr || restoring_)
      return;
    restoring_ = true;
    const std::string path = cluster_.stream(*leader, {{"restored", std::to_string(++restores_)}});
    leader->node->restore(path, [this](const Status& status) {
      restoring_ = false;
      done_ += status.ok() ? 1 : 0;
    });
  }

  std::minstd_rand random_;
  std::vector<std::pair<std::string, std::unique_ptr<Write>>> attempts_;  // outlives the nodes
  bool restoring_ = false;
  std::size_t restores_ = 0;
  std::size_t done_ = 0;
  Cluster cluster_{true};
};

BOOST_AUTO_TEST_CASE(all_agree_whatever_happens_meanwhile) {
  for (const unsigned seed : {1u, 2u}) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Disorder disorder(seed);
      for (int i = 0; i < 60; ++i)
        disorder.act();
      disorder.end();
    }
  }
}

// Below the watermark writes are refused; a copy of the whole state must not be what brings a node there.
BOOST_AUTO_TEST_CASE(no_snapshot_is_written_below_the_watermark) {
  ModelDisk disk(1);
  store::MemoryBackend backend;
  store::MemoryTarget target(backend);
  const auto desk = std::move(SnapshotDesk::open(disk, "spool", target, 1u << 20)).value();
  const auto written = [&] {
    std::promise<Status> told;
    BOOST_REQUIRE(desk->write(std::move(backend.view()).value(), store::SnapshotMeta(),
                              [&](const Result<std::string>& path) { told.set_value(path.status()); }));
    return told.get_future().get();
  };
  BOOST_TEST(written().ok());
  const std::size_t files = std::move(disk.list("spool")).value().size();
  disk.set_free_bytes((1u << 20) - 1);
  BOOST_TEST((written().code() == Code::kUnavailable));
  BOOST_TEST(std::move(disk.list("spool")).value().size() == files);
  // Nor is one loaded that would.
  disk.set_free_bytes((1u << 20) + (64u << 10));
  BOOST_REQUIRE(replace_file(disk, "spool", "upload", std::string(60u << 10, 'x')).ok());
  std::promise<Status> told;
  BOOST_REQUIRE(desk->stage("spool/upload", [&](const Result<SnapshotDesk::Staged>& staged) {
    told.set_value(staged.status());
  }));
  BOOST_TEST(told.get_future().get().message().find("has no room") != std::string::npos);
}

// Whenever the power goes: what was said to be staged is there, whole, at the next start.
BOOST_AUTO_TEST_CASE(what_is_staged_outlives_a_power_cut) {
  std::string bytes;
  {
    Cluster cluster(false);
    Member& member = cluster.add(1);
    BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
    bytes = std::move(read_file(posix_disk(), cluster.stream(member, {{"new", "2"}}), 1u << 20)).value();
  }
  for (std::uint64_t changes = 1; changes < 40; ++changes) {
    ModelDisk disk(changes);
    store::MemoryBackend backend;
    store::MemoryTarget target(backend);
    std::string digest;
    {
      auto desk = std::move(SnapshotDesk::open(disk, "spool", target)).value();
      BOOST_REQUIRE(replace_file(disk, "spool", "upload", bytes).ok());
      disk.power_off_after(changes);
      std::promise<std::string> told;
      BOOST_REQUIRE(desk->stage("spool/upload", [&](const Result<SnapshotDesk::Staged>& staged) {
        told.set_value(staged.ok() ? staged->digest : std::string());
      }));
      digest = told.get_future().get();
    }
    disk.power_cut({});
    auto desk = std::move(SnapshotDesk::open(disk, "spool", target)).value();
    BOOST_REQUIRE(desk->clean(digest.empty() ? std::set<std::string>() : std::set<std::string>{digest}).ok());
    const std::size_t left = std::move(disk.list("spool")).value().size();
    BOOST_TEST(left == (digest.empty() ? 0u : 1u));
    if (!digest.empty())
      BOOST_TEST(desk->restage(digest).ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::actors
