#include "core/expiry.h"

#include <boost/test/unit_test.hpp>

#include <map>
#include <set>

namespace coffer::core {
namespace {

WallTime at(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(expiry)

BOOST_AUTO_TEST_CASE(hands_out_what_is_due_in_order) {
  Expiry e({});
  e.put("c", at(30));
  e.put("a", at(10));
  e.put("b", at(20));
  Expiry::Step step = e.step(at(5));
  BOOST_CHECK(step.revoke.empty());
  BOOST_REQUIRE(step.wake_at);
  BOOST_CHECK(*step.wake_at == at(10));
  step = e.step(at(20));
  BOOST_REQUIRE_EQUAL(step.revoke.size(), 2u);
  BOOST_CHECK_EQUAL(step.revoke[0], "a");
  BOOST_CHECK_EQUAL(step.revoke[1], "b");
  BOOST_CHECK(*step.wake_at == at(30));
  BOOST_CHECK(e.step(at(20)).revoke.empty());
  e.revoked("a");
  e.revoked("b");
  e.revoked("c");
  BOOST_CHECK_EQUAL(e.size(), 0u);
  BOOST_CHECK(!e.step(at(99)).wake_at);
}

BOOST_AUTO_TEST_CASE(a_renewed_lease_lives_on) {
  Expiry e({});
  e.put("a", at(10));
  e.put("a", at(50));
  BOOST_CHECK(e.step(at(49)).revoke.empty());
  BOOST_CHECK_EQUAL(e.step(at(50)).revoke.size(), 1u);
  // Too late: it is being revoked.
  e.put("a", at(100));
  e.failed("a", at(50));
  BOOST_CHECK_EQUAL(e.step(at(60)).revoke.size(), 1u);
}

BOOST_AUTO_TEST_CASE(failures_pause_longer_and_end_as_irrevocable) {
  Expiry::Options options;
  options.tries_max = 4;
  Expiry e(options);
  e.put("a", at(0));
  std::int64_t now = 0;
  for (std::int64_t pause : {10, 20, 40}) {
    BOOST_REQUIRE_EQUAL(e.step(at(now)).revoke.size(), 1u);
    e.failed("a", at(now));
    BOOST_CHECK(e.step(at(now + pause - 1)).revoke.empty());
    now += pause;
  }
  BOOST_REQUIRE_EQUAL(e.step(at(now)).revoke.size(), 1u);
  e.failed("a", at(now));
  BOOST_CHECK(!e.step(at(now + 100'000)).wake_at);
  BOOST_CHECK_EQUAL(e.irrevocable_count(), 1u);
  BOOST_CHECK_EQUAL(e.irrevocable(10).at(0), "a");
  BOOST_CHECK(e.retry("a", at(now)));
  BOOST_CHECK(!e.retry("a", at(now)));
  BOOST_CHECK_EQUAL(e.step(at(now)).revoke.size(), 1u);
  e.revoked("a");
  BOOST_CHECK_EQUAL(e.irrevocable_count(), 0u);
}

BOOST_AUTO_TEST_CASE(steps_and_work_under_way_are_bounded) {
  Expiry::Options options;
  options.step_leases_max = 10;
  options.in_flight_leases_max = 25;
  Expiry e(options);
  for (int i = 0; i < 100; ++i)
    e.put("lease" + std::to_string(i), at(1));
  BOOST_CHECK_EQUAL(e.step(at(2)).revoke.size(), 10u);
  BOOST_CHECK_EQUAL(e.step(at(2)).revoke.size(), 10u);
  Expiry::Step step = e.step(at(2));
  BOOST_CHECK_EQUAL(step.revoke.size(), 5u);
  BOOST_CHECK(!step.wake_at);
  e.revoked(step.revoke[0]);
  BOOST_CHECK_EQUAL(e.step(at(2)).revoke.size(), 1u);
}

// Against a plain set of (due, id).
BOOST_AUTO_TEST_CASE(equals_a_model) {
  Expiry::Options options;
  options.step_leases_max = 1'000'000;
  options.in_flight_leases_max = 1'000'000;
  Expiry e(options);
  std::map<std::string, std::int64_t> model;
  std::uint64_t state = 3;
  const auto draw = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>((state >> 33) % below);
  };
  for (std::int64_t now = 0; now < 5'000; ++now) {
    for (int i = 0; i < 3; ++i) {
      const std::string id = "l" + std::to_string(draw(500));
      const std::int64_t due = now + draw(400);
      e.put(id, at(due));
      model[id] = due;
    }
    const std::string gone = "l" + std::to_string(draw(500));
    e.revoked(gone);
    model.erase(gone);
    std::set<std::string> expected;
    for (const auto& [id, due] : model) {
      if (due <= now)
        expected.insert(id);
    }
    const Expiry::Step step = e.step(at(now));
    BOOST_REQUIRE(std::set<std::string>(step.revoke.begin(), step.revoke.end()) == expected);
    for (const std::string& id : expected) {
      e.revoked(id);
      model.erase(id);
    }
    BOOST_REQUIRE_EQUAL(e.size(), model.size());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
