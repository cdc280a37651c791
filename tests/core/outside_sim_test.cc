// Crash schedules around a fake system outside; COFFER_OUTSIDE_SCHEDULES sets their number (scripts/long outside).
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "tests/core/outside_sim.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

BOOST_AUTO_TEST_SUITE(outside)

BOOST_AUTO_TEST_CASE(whatever_was_made_has_a_lease) {
  const char* wished = std::getenv("COFFER_OUTSIDE_SCHEDULES");
  const std::uint64_t count = wished == nullptr ? 500 : std::strtoull(wished, nullptr, 10);
  OutsideReport sum;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    const OutsideReport one = run_outside_schedule(seed);
    BOOST_TEST_REQUIRE(one.failure.empty(), "schedule " << seed << ": " << one.failure);
    sum.crashes += one.crashes;
    sum.created += one.created;
    sum.answered += one.answered;
    sum.late += one.late;
  }
  BOOST_TEST_MESSAGE(count << " schedules, checks after every step: " << sum.created << " users made, " << sum.answered
                           << " answers, " << sum.crashes << " crashes, " << sum.late << " calls came late;");
  BOOST_TEST(sum.created > count / 2);
}

BOOST_AUTO_TEST_CASE(planted_bugs_are_found) {
  for (const Mutant which : {Mutant::kOutsideBeforeIntent, Mutant::kIntentForgottenOnFailure,
                             Mutant::kIntentRevokedOnce, Mutant::kOutsideAfterLeadership, Mutant::kLeaseWithoutExpiry,
                             Mutant::kRevokeErrorIgnored}) {
    const coffer::testing::ScopedMutant on(which);
    std::uint64_t seed = 1;
    while (seed <= 5000 && run_outside_schedule(seed).failure.empty())
      ++seed;
    BOOST_TEST(seed <= 5000, "mutant " << static_cast<int>(which) << " was not found");
    BOOST_TEST_MESSAGE("mutant " << static_cast<int>(which) << " found by schedule " << seed);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
