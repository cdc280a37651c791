// A snapshot took the place of the state: what was derived is derived anew from it. And the group's record.
#include <boost/test/unit_test.hpp>

#include "core/group_record.h"
#include "core/published.h"
#include "store/memory_backend.h"
#include "tests/core/core_fixture.h"

namespace coffer::core {
namespace {

using testing::CoreFixture;

bool routes_to(const Published& published, std::string_view path) {
  return std::ranges::any_of(published.router->routes(),
                             [&](const Route& route) { return route.record.info.path == path; });
}

std::shared_ptr<const Published> derived(StateDeriver& deriver) {
  return std::static_pointer_cast<const Published>(deriver.attachment());
}

BOOST_AUTO_TEST_SUITE(replaced_state)

BOOST_FIXTURE_TEST_CASE(mounts_and_policies_are_those_of_the_new_state, CoreFixture) {
  const auto before = std::move(backend.view()).value();
  BOOST_REQUIRE(write("sys/mounts/other", R"({"type":"kv"})").status == 204);
  BOOST_REQUIRE(write("sys/policies/acl/p", R"({"policy":"path \"a\" { capabilities = [\"read\"] }"})").status < 300);
  const auto after = std::move(backend.view()).value();
  BOOST_TEST(routes_to(*derived(*deriver), "other/"));
  deriver->on_replaced(*before);
  BOOST_TEST(!derived(*deriver)->sealed);
  BOOST_TEST(!routes_to(*derived(*deriver), "other/"));
  BOOST_TEST(routes_to(*derived(*deriver), "secret/"));
  BOOST_TEST(derived(*deriver)->policies->find("p", committer.now) == nullptr);
  deriver->on_replaced(*after);
  BOOST_TEST(routes_to(*derived(*deriver), "other/"));
  BOOST_TEST(derived(*deriver)->policies->find("p", committer.now) != nullptr);
  BOOST_TEST(derived(*deriver)->damage.ok());
}

BOOST_FIXTURE_TEST_CASE(a_state_that_the_key_does_not_open_is_sealed, CoreFixture) {
  CoreFixture other;
  other.root_key = SecretBytes(32);
  const store::MemoryBackend nothing;
  deriver->on_replaced(*std::move(nothing.view()).value());
  BOOST_TEST(!deriver->started());
  BOOST_TEST(derived(*deriver)->sealed);
  BOOST_TEST((derived(*deriver)->damage.code() == Code::kDataLoss));
  // Who holds no keys derives nothing.
  deriver->stop();
  deriver->on_replaced(*std::move(other.backend.view()).value());
  BOOST_TEST(derived(*deriver)->sealed);
  BOOST_TEST(derived(*deriver)->damage.ok());
}

BOOST_AUTO_TEST_CASE(the_groups_record_is_read_back_and_damage_is_told) {
  RaftGroupRecord record;
  record.index = Index(77);
  record.time = WallTime(std::chrono::seconds(5));
  record.configuration.voters = {raft::NodeId(3), raft::NodeId(1'000'000'007)};
  record.configuration.learners = {raft::NodeId(4)};
  store::MemoryBackend backend;
  BOOST_TEST(!std::move(read_group(*std::move(backend.view()).value())).value().has_value());
  store::Op op = group_op(record);
  BOOST_TEST((op.value == group_op(record).value));
  backend.apply(Index(1), {&op, 1});
  backend.publish(nullptr);
  const auto read = std::move(read_group(*std::move(backend.view()).value())).value();
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST((read->index == record.index && read->time == record.time));
  BOOST_TEST((read->configuration == record.configuration));
  const std::string whole = *op.value;
  Index at(1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    op.value = whole.substr(0, size);
    backend.apply(at = at.next(), {&op, 1});
    backend.publish(nullptr);
    BOOST_TEST((read_group(*std::move(backend.view()).value()).code() == Code::kDataLoss));
  }
}

BOOST_AUTO_TEST_CASE(a_snapshots_header_carries_members_and_time) {
  raft::Configuration members;
  members.voters = {raft::NodeId(1), raft::NodeId(2)};
  const std::string bytes = encode_snapshot_extra(members, WallTime(std::chrono::seconds(9)));
  const auto extra = std::move(decode_snapshot_extra(bytes)).value();
  BOOST_TEST((extra.configuration == members));
  BOOST_TEST((extra.time == WallTime(std::chrono::seconds(9))));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST((decode_snapshot_extra(std::string_view(bytes).substr(0, size)).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
