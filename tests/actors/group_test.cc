// Several whole nodes: election, replication, failover, joining by entries and by snapshot, change of members, silence,
// hand-over, reads on followers, restarts.
#include <boost/test/unit_test.hpp>

#include "core/group_record.h"
#include "store/current.h"
#include "tests/actors/group_fixture.h"

namespace coffer::actors {
namespace {

using testing::Cluster;
using testing::Member;
using Kind = raft::Change::Kind;

constexpr core::CommitOutcome kCommitted = core::CommitOutcome::kCommitted;

std::vector<raft::NodeId> ids(std::initializer_list<std::uint64_t> numbers) {
  std::vector<raft::NodeId> out;
  for (const std::uint64_t number : numbers)
    out.push_back(raft::NodeId(number));
  return out;
}

raft::Configuration stored_members(const Member& member) {
  const auto view = std::move(member.backend->view()).value();
  const auto record = std::move(core::read_group(*view)).value();
  return record ? record->configuration : raft::Configuration();
}

// What asked for it was told.
template <typename T>
struct Told {
  std::optional<T> came;
  std::function<void(T)> take() {
    return [this](T value) { came.emplace(std::move(value)); };
  }
};

void a_write_reaches_all_and_outlives_its_leader(bool on_disk) {
  Cluster cluster(on_disk);
  Member& leader = cluster.form();
  BOOST_TEST((cluster.write(leader, "a", "1") == kCommitted));
  BOOST_TEST(leader.value("a").value() == "1");
  BOOST_TEST(cluster.all_have("a", "1"));
  const Term before = leader.node->group_status().term;
  leader.stop();
  Member* next = cluster.await_leader();
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST((next->id != leader.id));
  BOOST_TEST((next->node->group_status().term > before));
  BOOST_TEST(next->value("a").value() == "1");
  BOOST_TEST((cluster.write(*next, "a", "2") == kCommitted));
  // The first one comes back and follows.
  BOOST_REQUIRE(leader.start(Node::Begin::kMember).ok());
  BOOST_TEST(!leader.node->group_status().takes_part);
  leader.node->take_part(true, {});
  BOOST_TEST(cluster.all_have("a", "2"));
  BOOST_TEST((leader.observer.replaced_at == Index(0)));  // by entries
}

void a_joiner_far_behind_gets_the_state(bool on_disk) {
  Cluster cluster(on_disk);
  Member& leader = cluster.add(1);
  leader.log_kept_entries_max = 4;
  BOOST_REQUIRE(leader.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return leader.node->is_leader(); }));
  const std::string value(8 << 10, 'x');
  for (int i = 0; i < 40; ++i)
    BOOST_REQUIRE((cluster.write(leader, "k" + std::to_string(i), value) == kCommitted));
  if (on_disk)
    leader.flush();
  else
    BOOST_REQUIRE(leader.log->cut_below(leader.node->applied_index()).ok());
  cluster.run_for(std::chrono::milliseconds(50));
  BOOST_REQUIRE(leader.log->first_index() > Index(2));

  Member& joiner = cluster.add(2);
  BOOST_REQUIRE(joiner.start(Node::Begin::kJoining).ok());
  joiner.node->take_part(true, {});
  const auto old_view = std::move(joiner.backend->view()).value();
  cluster.admit(leader, joiner);
  BOOST_TEST(cluster.all_have("k39", value));
  BOOST_TEST((joiner.observer.replaced_at > Index(0)));
  BOOST_TEST(joiner.value("k0").value() == value);
  // A view of before sees what it saw.
  std::string out;
  BOOST_TEST(!std::move(old_view->get(testing::record_key("k0"), out)).value());
  BOOST_TEST((leader.node->group_status().configuration.voters == ids({1, 2})));
  BOOST_TEST((cluster.write(leader, "after", "1") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "1"));
  BOOST_TEST((stored_members(joiner) == stored_members(leader)));
  BOOST_TEST(joiner.failure.ok());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(group)

BOOST_AUTO_TEST_CASE(a_write_reaches_all_in_memory) { a_write_reaches_all_and_outlives_its_leader(false); }
BOOST_AUTO_TEST_CASE(a_write_reaches_all_on_disk) { a_write_reaches_all_and_outlives_its_leader(true); }
BOOST_AUTO_TEST_CASE(a_joiner_gets_the_state_in_memory) { a_joiner_far_behind_gets_the_state(false); }
BOOST_AUTO_TEST_CASE(a_joiner_gets_the_state_on_disk) { a_joiner_far_behind_gets_the_state(true); }

BOOST_AUTO_TEST_CASE(members_outlive_a_restart_of_all) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  BOOST_TEST(cluster.all_have("a", "1"));
  // One by its state, the others by their logs.
  cluster[2].flush();
  for (const std::uint64_t id : {1, 2, 3})
    cluster[id].stop();
  for (const std::uint64_t id : {1, 2, 3}) {
    Member& member = cluster[id];
    member.open();
    BOOST_TEST(!std::move(Node::is_sole_voter(*member.backend, *member.log, member.id)).value());
    member.close();
    BOOST_TEST((member.start(Node::Begin::kSoleVoter).code() == Code::kInvalid));
    BOOST_TEST((member.start(Node::Begin::kJoining).code() == Code::kInvalid));
    BOOST_REQUIRE(member.start(Node::Begin::kMember).ok());
    BOOST_TEST((member.node->group_status().configuration.voters == ids({1, 2, 3})));
    member.node->take_part(true, {});
  }
  Member* next = cluster.await_leader();
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST((cluster.write(*next, "b", "2") == kCommitted));
  BOOST_TEST(cluster.all_have("b", "2"));
  BOOST_TEST(cluster.all_have("a", "1"));
}

BOOST_AUTO_TEST_CASE(who_is_alone_is_known_from_state_and_log) {
  Cluster cluster(true);
  Member& member = cluster.add(1);
  member.open();
  BOOST_TEST(std::move(Node::is_sole_voter(*member.backend, *member.log, member.id)).value());
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  member.flush();
  member.stop();
  member.open();
  BOOST_TEST(std::move(Node::is_sole_voter(*member.backend, *member.log, member.id)).value());
  BOOST_TEST(!std::move(Node::is_sole_voter(*member.backend, *member.log, raft::NodeId(9))).value());
  member.close();
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  // Who began to join and heard nobody yet still waits after a restart.
  Member& joiner = cluster.add(2);
  BOOST_REQUIRE(joiner.start(Node::Begin::kJoining).ok());
  joiner.node->take_part(true, {});
  cluster.run_for(std::chrono::seconds(3));
  BOOST_TEST(!joiner.node->is_leader());
  joiner.stop();
  joiner.open();
  BOOST_TEST(!std::move(Node::is_sole_voter(*joiner.backend, *joiner.log, joiner.id)).value());
  joiner.close();
  BOOST_REQUIRE(joiner.start(Node::Begin::kMember).ok());
  joiner.node->take_part(true, {});
  cluster.run_for(std::chrono::seconds(3));
  BOOST_TEST((joiner.node->group_status().role == raft::Role::kFollower));
}

BOOST_AUTO_TEST_CASE(one_that_waits_to_join_may_begin_alone_instead) {
  Cluster cluster(true);
  Member& first = cluster.add(1);
  BOOST_REQUIRE(first.start(Node::Begin::kJoining).ok());
  Told<Status> alone;
  first.node->lead_alone(alone.take());
  BOOST_REQUIRE(cluster.run_until([&] { return alone.came.has_value(); }));
  BOOST_TEST(alone.came->ok());
  BOOST_TEST(first.node->is_leader());
  BOOST_REQUIRE((cluster.write(first, "a", "1") == kCommitted));
  first.stop();
  first.open();
  BOOST_TEST(std::move(Node::is_sole_voter(*first.backend, *first.log, first.id)).value());
  first.close();
  BOOST_REQUIRE(first.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return first.node->is_leader(); }));
  BOOST_TEST(cluster.all_have("a", "1"));
  // Others join it, and none of them can leave it that way.
  Member& second = cluster.add(2);
  BOOST_REQUIRE(second.start(Node::Begin::kJoining).ok());
  second.node->take_part(true, {});
  cluster.admit(first, second);
  Told<Status> refused;
  second.node->lead_alone(refused.take());
  BOOST_REQUIRE(cluster.run_until([&] { return refused.came.has_value(); }));
  BOOST_TEST((refused.came->code() == Code::kInvalid));
}

// Who has no vote never campaigns, and forgets the leader from whom it is cut off all the same.
BOOST_AUTO_TEST_CASE(a_member_knows_when_it_heard_of_its_leader) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& learner = cluster.add(4);
  BOOST_REQUIRE(learner.start(Node::Begin::kJoining).ok());
  learner.node->take_part(true, {});
  BOOST_REQUIRE(cluster.change(leader, raft::Change::Kind::kAddLearner, learner).ok());
  const auto hears = [&] { return cluster.clock.boot_now() - learner.node->leader_heard() < std::chrono::seconds(1); };
  BOOST_TEST(cluster.run_until(hears));
  cluster.cut(learner);
  cluster.run_for(std::chrono::seconds(5));
  BOOST_TEST((learner.node->leader() == raft::kNobody));
  BOOST_TEST(!hears());
  cluster.mend();
  BOOST_TEST(cluster.run_until(hears));
  BOOST_TEST((learner.node->leader() == leader.id));
}

// Long before a generation is full or old.
BOOST_AUTO_TEST_CASE(what_shall_be_on_the_disk_goes_there_at_once) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  const Index written = leader.node->applied_index();
  BOOST_TEST((leader.backend->durable_index() < written));
  leader.node->flush_state();
  BOOST_TEST(cluster.run_until([&] { return leader.backend->durable_index() >= written; }));
}

BOOST_AUTO_TEST_CASE(a_node_that_is_silent_neither_hears_nor_speaks) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& follower = cluster[leader.id == raft::NodeId(2) ? 3 : 2];
  bool silent = false;
  follower.node->take_part(false, [&] { silent = true; });
  BOOST_REQUIRE(cluster.run_until([&] { return silent; }));
  const std::size_t sent = follower.sent;
  BOOST_TEST(!follower.node->receive(raft::Message{.from = leader.id, .to = follower.id}));
  BOOST_TEST((follower.node->leader() == raft::kNobody));
  BOOST_TEST((cluster.write(leader, "a", "1") == kCommitted));
  cluster.run_for(std::chrono::seconds(3));
  BOOST_TEST(follower.sent == sent);
  BOOST_TEST(!follower.value("a").has_value());
  BOOST_TEST(leader.node->is_leader());
  for (const core::GroupPeer& peer : leader.node->group_status().peers)
    BOOST_TEST((peer.last_contact > std::chrono::seconds(2)) == (peer.id == follower.id));
  follower.node->take_part(true, {});
  BOOST_TEST(cluster.all_have("a", "1"));
  BOOST_TEST(leader.node->is_leader());
}

BOOST_AUTO_TEST_CASE(a_leader_that_falls_silent_hands_over_first) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  bool silent = false;
  leader.node->take_part(false, [&] { silent = true; });
  BOOST_REQUIRE(cluster.run_until([&] { return silent; }));
  BOOST_TEST(!leader.node->is_leader());
  BOOST_TEST(!leader.node->lease_valid());
  Member* next = cluster.await_leader({leader.id});
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST((next->id != leader.id));
  BOOST_TEST(leader.handed_over);
}

BOOST_AUTO_TEST_CASE(one_that_is_alone_serves_again_after_silence) {
  Cluster cluster(false);
  Member& member = cluster.add(1);
  BOOST_REQUIRE(member.start(Node::Begin::kSoleVoter).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  BOOST_REQUIRE((cluster.write(member, "a", "1") == kCommitted));
  bool silent = false;
  member.node->take_part(false, [&] { silent = true; });
  BOOST_REQUIRE(cluster.run_until([&] { return silent; }));
  BOOST_TEST(!member.node->is_leader());
  member.node->take_part(true, {});
  BOOST_REQUIRE(cluster.run_until([&] { return member.node->is_leader(); }));
  BOOST_TEST((cluster.write(member, "a", "2") == kCommitted));
}

BOOST_AUTO_TEST_CASE(leadership_goes_to_whom_it_is_given) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& other = cluster[leader.id == raft::NodeId(3) ? 2 : 3];
  Told<Status> refused;
  other.node->transfer_leadership(raft::kNobody, refused.take());
  BOOST_REQUIRE(cluster.run_until([&] { return refused.came.has_value(); }));
  BOOST_TEST((refused.came->code() == Code::kUnavailable));
  Told<Status> nobody;
  leader.node->transfer_leadership(raft::NodeId(77), nobody.take());
  BOOST_REQUIRE(cluster.run_until([&] { return nobody.came.has_value(); }));
  BOOST_TEST((nobody.came->code() == Code::kInvalid));
  Told<Status> done;
  leader.node->transfer_leadership(other.id, done.take());
  BOOST_REQUIRE(cluster.run_until([&] { return done.came.has_value(); }));
  BOOST_TEST(done.came->ok());
  BOOST_TEST((cluster.await_leader() == &other));
  BOOST_TEST((cluster.write(other, "a", "1") == kCommitted));
}

BOOST_AUTO_TEST_CASE(a_hand_over_to_one_that_is_away_fails_and_writes_go_on) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& away = cluster[leader.id == raft::NodeId(3) ? 2 : 3];
  cluster.cut(away);
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  Told<Status> done;
  leader.node->transfer_leadership(away.id, done.take());
  BOOST_REQUIRE(cluster.run_until([&] { return done.came.has_value(); }));
  BOOST_TEST((done.came->code() == Code::kUnavailable));
  BOOST_TEST((cluster.write(leader, "a", "2") == kCommitted));
}

BOOST_AUTO_TEST_CASE(a_read_on_a_follower_sees_what_was_acknowledged) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& follower = cluster[leader.id == raft::NodeId(2) ? 3 : 2];
  for (int i = 0; i < 20; ++i) {
    const std::string value = std::to_string(i);
    BOOST_REQUIRE((cluster.write(leader, "a", value) == kCommitted));
    Told<std::string> on_follower, on_leader;
    Index told;
    follower.node->read_index([&](Result<Index> index) {
      told = std::move(index).value();
      on_follower.came = follower.value("a");
    });
    leader.node->read_index([&](Result<Index> index) {
      BOOST_TEST(index.ok());
      on_leader.came = leader.value("a");
    });
    BOOST_REQUIRE(cluster.run_until([&] { return on_follower.came.has_value() && on_leader.came.has_value(); }));
    BOOST_TEST(*on_follower.came == value);
    BOOST_TEST(*on_leader.came == value);
    BOOST_TEST((follower.node->applied_index() >= told));
  }
  // Without a leader there is no answer but that.
  cluster.cut(follower);
  Told<Result<Index>> alone;
  follower.node->read_index(alone.take());
  BOOST_REQUIRE(cluster.run_until([&] { return alone.came.has_value(); }));
  BOOST_TEST((alone.came->code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(who_waits_for_an_index_is_told_when_it_is_visible_or_too_late) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& follower = cluster[leader.id == raft::NodeId(2) ? 3 : 2];
  const Index next = leader.node->applied_index().next();
  Told<Status> reached;
  bool seen = false;
  follower.node->when_applied(next, [&](Status status) {
    seen = follower.value("a") == "1";
    reached.came = std::move(status);
  });
  cluster.run_for(std::chrono::milliseconds(100));
  BOOST_TEST(!reached.came.has_value());
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  BOOST_REQUIRE(cluster.run_until([&] { return reached.came.has_value(); }));
  BOOST_TEST(reached.came->ok());
  BOOST_TEST(seen);
  Told<Status> never;
  follower.node->when_applied(Index(1'000'000), never.take());
  BOOST_REQUIRE(cluster.run_until([&] { return never.came.has_value(); }));
  BOOST_TEST((never.came->code() == Code::kUnavailable));
  // The node stops before.
  Told<Status> stopped;
  follower.node->when_applied(Index(1'000'000), stopped.take());
  follower.stop();
  BOOST_REQUIRE(stopped.came.has_value());
  BOOST_TEST((stopped.came->code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(a_leader_without_a_majority_acknowledges_nothing) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  cluster.cut(leader);
  BOOST_TEST((cluster.write(leader, "a", "lost") != kCommitted));
  Member* next = cluster.await_leader({leader.id});
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST(!leader.node->is_leader());
  BOOST_TEST((cluster.write(*next, "a", "kept") == kCommitted));
  cluster.mend();
  BOOST_TEST(cluster.all_have("a", "kept"));
}

BOOST_AUTO_TEST_CASE(a_follower_whose_flusher_is_behind_lets_entries_wait_and_stays_in_touch) {
  Cluster cluster(true);
  Member& slow = cluster.add(2);
  slow.generations.generation_keys_max = 8;
  slow.flushes = false;
  Member& leader = cluster.form();
  BOOST_REQUIRE((leader.id != slow.id));
  for (int i = 0; i < 100; ++i)
    BOOST_REQUIRE((cluster.write(leader, "k" + std::to_string(i), "v") == kCommitted));
  cluster.run_for(std::chrono::seconds(2));
  BOOST_TEST(slow.state->flush_pressure());
  BOOST_TEST((slow.node->applied_index() < leader.node->applied_index()));
  BOOST_TEST(leader.node->is_leader());
  BOOST_TEST((slow.node->leader() == leader.id));
  for (const core::GroupPeer& peer : leader.node->group_status().peers)
    BOOST_TEST((peer.last_contact < std::chrono::milliseconds(200)));
  BOOST_TEST(cluster.run_until([&] {
    slow.flush();
    return slow.value("k99") == "v";
  }));
  BOOST_TEST(slow.value("k0").value() == "v");
}

BOOST_AUTO_TEST_CASE(changes_of_members_are_made_one_at_a_time_by_the_leader) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  Member& follower = cluster[leader.id == raft::NodeId(2) ? 3 : 2];
  Member& fourth = cluster.add(4);
  BOOST_TEST((cluster.change(follower, Kind::kAddLearner, fourth).code() == Code::kUnavailable));
  Told<Status> first, second;
  Index made, in_the_way;
  leader.node->change_membership({Kind::kAddLearner, fourth.id}, [&](Status s, Index index) {
    first.came = std::move(s);
    made = index;
  });
  leader.node->change_membership({Kind::kDemote, follower.id}, [&](Status s, Index index) {
    second.came = std::move(s);
    in_the_way = index;
  });
  BOOST_REQUIRE(cluster.run_until([&] { return first.came && second.came; }));
  BOOST_TEST(first.came->ok());
  BOOST_TEST((second.came->code() == Code::kUnavailable));
  BOOST_TEST((made == in_the_way));
  // It was never heard of: it would only raise the majority.
  BOOST_TEST((cluster.change(leader, Kind::kPromote, fourth).code() == Code::kUnavailable));
  BOOST_TEST(cluster.change(leader, Kind::kRemove, fourth).ok());
  BOOST_TEST(cluster.change(leader, Kind::kDemote, follower).ok());
  const core::GroupStatus status = leader.node->group_status();
  BOOST_TEST(status.configuration.voters.size() == 2u);
  BOOST_TEST((status.configuration.learners == std::vector{follower.id}));
  BOOST_TEST(status.peers.size() == 2u);
  BOOST_TEST((stored_members(leader) == status.configuration));
  BOOST_TEST(cluster.run_until([&] { return stored_members(follower) == status.configuration; }));
}

BOOST_AUTO_TEST_CASE(a_leader_that_is_removed_leaves_when_that_is_committed) {
  Cluster cluster(false);
  Member& leader = cluster.form();
  BOOST_TEST(cluster.change(leader, Kind::kRemove, leader).ok());
  BOOST_REQUIRE(cluster.run_until([&] { return !leader.node->is_leader(); }));
  Member* next = cluster.await_leader({leader.id});
  BOOST_REQUIRE(next != nullptr);
  BOOST_TEST((next->id != leader.id));
  BOOST_TEST(next->node->group_status().configuration.voters.size() == 2u);
  BOOST_TEST((cluster.write(*next, "a", "1") == kCommitted));
}

// The process died after the state had become the snapshot's and before its log followed.
BOOST_AUTO_TEST_CASE(an_installation_that_was_cut_short_is_ended_at_the_next_start) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  for (int i = 0; i < 5; ++i)
    BOOST_REQUIRE((cluster.write(leader, "k" + std::to_string(i), "v") == kCommitted));
  const core::GroupStatus status = leader.node->group_status();
  const Index at = leader.node->applied_index();
  Member& late = cluster.add(4);
  late.open();
  BOOST_REQUIRE(posix_disk().make_folder(late.spool()).ok());
  const std::string path = late.spool() + "/installing";
  {
    const auto file = std::move(posix_disk().open(path, OpenMode::kCreateNew)).value();
    const auto view = std::move(leader.backend->view()).value();
    store::SnapshotMeta meta;
    meta.term = status.term;
    meta.extra = core::encode_snapshot_extra(status.configuration, leader.node->cluster_now());
    BOOST_REQUIRE(store::write_snapshot(*view, meta, *file).ok());
    auto reader = std::move(store::SnapshotReader::open(
                                std::move(posix_disk().open(path, OpenMode::kRead)).value(), path))
                      .value();
    auto prepared = std::move(late.target->prepare(*reader)).value();
    BOOST_REQUIRE(prepared->take_over().ok());
  }
  late.close();
  BOOST_REQUIRE(late.start(Node::Begin::kMember).ok());
  BOOST_TEST((late.log->last_index() == at));
  BOOST_TEST((late.log->last_term() == status.term));
  BOOST_TEST(late.value("k4").value() == "v");
  BOOST_TEST(!std::move(posix_disk().exists(path)).value());
  late.node->take_part(true, {});
  cluster.admit(leader, late);
  BOOST_TEST((cluster.write(leader, "after", "1") == kCommitted));
  BOOST_TEST(cluster.all_have("after", "1"));
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_is_not_what_it_claims_changes_nothing) {
  Cluster cluster(true);
  Member& leader = cluster.form();
  BOOST_REQUIRE((cluster.write(leader, "a", "1") == kCommitted));
  Member& follower = cluster[leader.id == raft::NodeId(2) ? 3 : 2];
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.from = leader.id;
  message.to = follower.id;
  message.term = leader.node->group_status().term;
  raft::SnapshotMeta meta;
  meta.index = Index(1'000);
  meta.term = message.term;
  meta.configuration = leader.node->group_status().configuration;
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(meta);
  for (int i = 0; i < 3; ++i) {
    const std::string path = follower.spool() + "/in-9";
    BOOST_REQUIRE(replace_file(posix_disk(), follower.spool(), "in-9", "COFRSNP1 and no more").ok());
    BOOST_REQUIRE(cluster.run_until([&] { return follower.node->receive_snapshot(message, path); }));
    BOOST_REQUIRE(cluster.run_until([&] { return !std::move(posix_disk().exists(path)).value(); }));
  }
  BOOST_TEST((cluster.write(leader, "a", "2") == kCommitted));
  BOOST_TEST(cluster.all_have("a", "2"));
  BOOST_TEST((follower.observer.replaced_at == Index(0)));
  BOOST_TEST(follower.failure.ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::actors
