#include "core/rotation.h"

#include <boost/test/unit_test.hpp>

#include "tests/core/core_fixture.h"

namespace coffer::core {
namespace {

using testing::Answer;
using testing::CoreFixture;

struct Fixture : CoreFixture {
  std::string term() { return read("sys/key-status").text("data|term"); }
};

seal::Keyring::TermInfo active(std::uint64_t encryptions, WallTime installed) {
  return {KeyTerm(3), installed, encryptions};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rotation_test)

BOOST_AUTO_TEST_CASE(it_is_due_by_count_or_by_age) {
  const WallTime now{std::chrono::hours(1000)};
  RotationRules rules;
  BOOST_TEST(!rotation_is_due(rules, active(RotationRules::kOperationsMax - 1, WallTime()), now));
  BOOST_TEST(rotation_is_due(rules, active(RotationRules::kOperationsMax, now), now));
  rules.interval = std::chrono::hours(24);
  BOOST_TEST(rotation_is_due(rules, active(0, now - std::chrono::hours(24)), now));
  BOOST_TEST(!rotation_is_due(rules, active(0, now - std::chrono::hours(24) + Nanos(1)), now));
  rules.enabled = false;
  BOOST_TEST(!rotation_is_due(rules, active(RotationRules::kOperationsMax, WallTime()), now));
}

BOOST_FIXTURE_TEST_CASE(rules_are_kept, Fixture) {
  const Answer at_first = read("sys/rotate/config");
  BOOST_TEST(at_first.text("data|enabled") == "true");
  BOOST_TEST(at_first.text("data|max_operations") == "3865470566");
  BOOST_TEST(at_first.text("data|interval") == "0");
  BOOST_TEST(write("sys/rotate/config", R"({"interval":"48h","max_operations":2000000})").status < 300);
  BOOST_TEST(write("sys/rotate/keyring/config", R"({"enabled":false})").status < 300);
  const Answer then = read("sys/rotate/keyring/config");
  BOOST_TEST(then.text("data|enabled") == "false");
  BOOST_TEST(then.text("data|interval") == "172800");
  BOOST_TEST(then.text("data|max_operations") == "2000000");
  for (const std::string_view body : {R"({"interval":"1h"})", R"({"max_operations":999999})",
                                      R"({"max_operations":3865470567})", R"({"enabled":"perhaps"})"})
    BOOST_TEST(write("sys/rotate/config", body).status == 400);
  BOOST_TEST(read("sys/rotate/config", "").status == 403);
}

BOOST_FIXTURE_TEST_CASE(the_key_is_rotated_when_it_is_due, Fixture) {
  Rotator rotator(services);
  BootTime now{std::chrono::hours(1)};
  BOOST_TEST(term() == "1");
  BOOST_TEST(rotator.tick(now));
  BOOST_TEST(!rotator.tick(now));
  BOOST_TEST(term() == "1");
  write("sys/rotate/config", R"({"interval":"24h"})");
  advance(std::chrono::hours(24));
  BOOST_TEST(rotator.tick(now += Rotator::kPause));
  BOOST_TEST(term() == "2");
  BOOST_TEST(rotator.tick(now += Rotator::kPause));
  BOOST_TEST(term() == "2");
  write("sys/rotate/config", R"({"enabled":false})");
  advance(std::chrono::hours(240));
  rotator.tick(now += Rotator::kPause);
  BOOST_TEST(term() == "2");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
