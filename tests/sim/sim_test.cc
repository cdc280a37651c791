// Seeds of the cluster simulator in the test run. COFFER_SIM_SEEDS sets how many (default 1,000); the fresh ones begin
// at COFFER_SIM_FIRST, or at the time of day, and are printed so that a failure can be repeated.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdlib>

#include "tests/sim/campaign.h"

namespace coffer::sim {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_all(std::uint64_t first) {
  const std::uint64_t count = from_environment("COFFER_SIM_SEEDS", 1'000);
  Campaign campaign;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const SimReport report = campaign.run(seed);
    if (!report.failure.empty())
      BOOST_ERROR("seed " << seed << " (sim_run --seeds " << seed << ".." << seed << "): " << report.failure);
    BOOST_REQUIRE_GE(report.simulated, 60 * kSecond);
    BOOST_REQUIRE_GE(report.operations, 1'000u);
    if (campaign.failures() >= 3)
      break;
  }
  BOOST_TEST_MESSAGE("seeds from " << first << ": " << campaign.text());
  if (count < 500 || campaign.failures() > 0)
    return;
  BOOST_CHECK_GE(campaign.speculative_runs(), campaign.seeds());
  for (std::size_t i = 0; i < static_cast<std::size_t>(Fault::kCount); ++i) {
    const auto fault = static_cast<Fault>(i);
    BOOST_CHECK_MESSAGE(campaign.seeds_with(fault) * 100 >= campaign.seeds(),
                        fault_name(fault) << " is in less than 1 % of the seeds");
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fixed)

BOOST_AUTO_TEST_CASE(seeds) { run_all(1); }

BOOST_AUTO_TEST_CASE(a_seed_runs_the_same_twice) {
  for (std::uint64_t seed : {3u, 5u, 17u, 77u, 101u}) {
    const SimReport once = run_seed(seed, SimOptions());
    const SimReport twice = run_seed(seed, SimOptions());
    BOOST_CHECK_EQUAL(once.trace, twice.trace);
    BOOST_CHECK_EQUAL(once.events, twice.events);
    BOOST_CHECK_EQUAL(once.simulated, twice.simulated);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(fresh)

BOOST_AUTO_TEST_CASE(seeds) {
  const auto day = std::chrono::system_clock::now().time_since_epoch();  // chooses seeds; each of them is repeatable
  run_all(from_environment(
      "COFFER_SIM_FIRST",
      1'000'000 + static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(day).count()) * 1'000));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::sim
