#include "core/lockout.h"

#include <boost/test/unit_test.hpp>

#include "core/mounts.h"

namespace coffer::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kMount = "auth_userpass_1";

struct Fixture {
  Lockouts lockouts;
  LockoutRule rule;
  WallTime now{std::chrono::hours(24 * 365 * 50)};

  bool locked(std::string_view name, std::string_view mount = kMount) {
    return lockouts.locked(mount, name, rule, now);
  }
  void fail(std::string_view name, int times = 1) {
    for (int i = 0; i < times; ++i)
      lockouts.failed(kMount, name, rule, now);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(lockout)

BOOST_FIXTURE_TEST_CASE(locks_at_the_threshold_and_for_a_time, Fixture) {
  fail("alice", 4);
  BOOST_TEST(!locked("alice"));
  fail("alice");
  BOOST_TEST(locked("alice"));
  BOOST_TEST(!locked("bob"));
  BOOST_TEST(!locked("alice", "auth_userpass_2"));
  now += minutes(15) - seconds(1);
  BOOST_TEST(locked("alice"));
  now += seconds(1);
  BOOST_TEST(!locked("alice"));
  fail("alice");
  BOOST_TEST(!locked("alice"));
}

BOOST_FIXTURE_TEST_CASE(failures_are_forgotten, Fixture) {
  fail("alice", 4);
  now += minutes(15);
  fail("alice", 4);
  BOOST_TEST(!locked("alice"));
  lockouts.forget(kMount, "alice");
  fail("alice", 4);
  BOOST_TEST(!locked("alice"));
  fail("alice");
  BOOST_TEST(locked("alice"));
  lockouts.forget(kMount, "alice");
  BOOST_TEST(!locked("alice"));
}

BOOST_FIXTURE_TEST_CASE(shows_who_is_locked_out, Fixture) {
  fail("carol", 5);
  fail("alice", 6);
  fail("bob", 4);
  const std::vector<std::string> expected{"alice", "carol"};
  BOOST_TEST(lockouts.names(kMount, rule, now) == expected, boost::test_tools::per_element());
  BOOST_TEST(lockouts.names("auth_userpass_2", rule, now).empty());
  now += minutes(15);
  BOOST_TEST(lockouts.names(kMount, rule, now).empty());
}

BOOST_FIXTURE_TEST_CASE(counts_a_bounded_number_of_names, Fixture) {
  fail("first", 5);
  fail("second", 5);
  for (std::size_t i = 0; i + 1 < Lockouts::kNamesMax; ++i)
    fail("ghost" + std::to_string(i));
  BOOST_TEST(!locked("first"));
  BOOST_TEST(locked("second"));
  const std::string long_name(Lockouts::kNameBytesMax, 'x');
  fail(long_name + "1", 3);
  fail(long_name + "2", 2);
  BOOST_TEST(locked(long_name + "3"));
}

BOOST_AUTO_TEST_CASE(rules_go_from_all_to_the_mount) {
  const Lockouts lockouts({{"all", {.threshold = 9}}, {"ldap", {.disabled = true}}});
  MountTuning tuning;
  BOOST_TEST(lockouts.rule("userpass", tuning).threshold == 9u);
  BOOST_TEST(lockouts.rule("ldap", tuning).disabled);
  tuning.lockout_set = true;
  tuning.lockout_threshold = 2;
  tuning.lockout_duration = minutes(1);
  const LockoutRule rule = lockouts.rule("ldap", tuning);
  BOOST_TEST(!rule.disabled);
  BOOST_TEST(rule.threshold == 2u);
  BOOST_TEST((rule.duration == minutes(1)));
  BOOST_TEST((rule.counter_reset == minutes(15)));
  BOOST_TEST(Lockouts().rule("userpass", MountTuning()).threshold == 5u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
