// What mounts do without being asked, carried on step by step by whoever leads.
#include <boost/test/unit_test.hpp>

#include "core/tending.h"
#include "tests/core/core_fixture.h"

namespace coffer::core::testing {
namespace {

struct Tended : CoreFixture {
  // Ticks until nothing is due; how often a step was started.
  int settle(Tender& tender, BootTime now) {
    int steps = 0;
    while (tender.tick(now))
      BOOST_REQUIRE(++steps < 1000);
    return steps;
  }
};

BOOST_FIXTURE_TEST_SUITE(tending, Tended)

BOOST_AUTO_TEST_CASE(a_mount_is_converted_and_then_serves) {
  write("sys/mounts/old", R"({"type":"kv"})");
  for (int i = 0; i < 700; ++i)
    write("old/f/s" + std::to_string(i), R"({"n":)" + std::to_string(i) + "}");
  BOOST_TEST(write("sys/mounts/old/tune", R"({"options":{"version":"2"}})").status == 200);
  for (const char* path : {"old/data/f/s1", "old/f/s1"}) {
    const Answer answer = read(path);
    BOOST_TEST(answer.status == 400);
    BOOST_TEST(answer.text("errors|0").starts_with("Upgrading from non-versioned to versioned data."));
  }
  BOOST_TEST(write("old/data/f/new", R"({"data":{}})").status == 400);
  // One node begins, another goes on with what it finds.
  Tender first(services);
  BOOST_TEST(first.tick(BootTime{}));
  Tender second(services);
  settle(second, BootTime{});
  BOOST_TEST(read("old/data/f/s699").text("data|data|n") == "699");
  BOOST_TEST(read("sys/mounts/old").text("data|options") == R"({"version":"2"})");
  BOOST_TEST(list("old/metadata/f").at("data|keys").size() == 700u);
  BOOST_TEST(write("old/data/f/new", R"({"data":{}})").status == 200);
}

BOOST_AUTO_TEST_CASE(nothing_is_done_without_leading) {
  write("sys/mounts/old", R"({"type":"kv"})");
  write("sys/mounts/old/tune", R"({"options":{"version":"2"}})");
  committer.leading = false;
  Tender tender(services);
  BOOST_TEST(!tender.tick(BootTime{}));
}

BOOST_AUTO_TEST_CASE(an_idle_mount_is_left_alone_for_a_while) {
  Tender tender(services);
  settle(tender, BootTime{});
  BOOST_TEST(!tender.tick(BootTime{} + limits::kTendPause - Nanos{1}));
  BOOST_TEST(tender.tick(BootTime{} + limits::kTendPause));
}

BOOST_AUTO_TEST_CASE(deleted_metadata_goes_when_its_time_is_over) {
  write("secret/data/a", R"({"data":{"k":"v"}})");
  const Route* route = published_in(backend.attachment())->router->match("secret/");
  BOOST_REQUIRE(route != nullptr);
  const MountId mount = route->record.info.id;
  erase("secret/metadata/a");
  Tender tender(services);
  settle(tender, BootTime{});
  BOOST_TEST(records(store::KeyClass::kShared, mount, "d/") == 1u);
  advance(std::chrono::hours(73));
  settle(tender, BootTime{} + std::chrono::hours(73));
  BOOST_TEST(records(store::KeyClass::kShared, mount, "d/") == 0u);
  BOOST_TEST(records(store::KeyClass::kShared, mount, "t/") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
