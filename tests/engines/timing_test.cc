// Whether the time of a login tells who is there (advisory B3): Welch's t over logins of a user who exists and of one
// who does not, in random order, by the thread's own CPU time, so that other work on the machine does not count.
// COFFER_TIMING_PAIRS sets how many.
#include <boost/test/unit_test.hpp>

#include <time.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "engines/userpass/userpass.h"
#include "tests/engines/engine_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

constexpr double kTellsMin = 4.5;

std::size_t pairs_wanted(std::size_t sample) {
  const char* wanted = std::getenv("COFFER_TIMING_PAIRS");
  return wanted == nullptr ? sample : static_cast<std::size_t>(std::strtoull(wanted, nullptr, 10));
}

double cpu_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

struct Sample {
  double count = 0;
  double mean = 0;
  double squares = 0;  // of distances from the mean

  void add(double value) {
    ++count;
    const double delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
  }
  double variance_of_mean() const { return squares / (count - 1) / count; }
};

struct Outcome {
  double t = 0;
  double real_us = 0;
  double ghost_us = 0;
  std::size_t pairs = 0;
};

// What took far longer than the shortest was interrupted: a page fault or an interrupt is charged to whom it hits.
Outcome compare(std::size_t pairs, const std::function<void()>& real, const std::function<void()>& ghost) {
  std::mt19937_64 random(20'261'122);
  std::vector<std::pair<bool, double>> times;
  times.reserve(2 * pairs);
  double shortest = 1e18;
  for (std::size_t i = 0; i < 2 * pairs + 8; ++i) {
    const bool is_ghost = (random() & 1) != 0;
    const double begin = cpu_microseconds();
    is_ghost ? ghost() : real();
    const double took = cpu_microseconds() - begin;
    if (i < 8)
      continue;  // cold
    times.emplace_back(is_ghost, took);
    shortest = std::min(shortest, took);
  }
  Sample of[2];
  for (const auto& [is_ghost, took] : times)
    if (took < 2 * shortest)
      of[is_ghost ? 1 : 0].add(took);
  BOOST_REQUIRE(of[0].count > 1 && of[1].count > 1);
  const double spread = std::sqrt(of[0].variance_of_mean() + of[1].variance_of_mean());
  return {(of[1].mean - of[0].mean) / spread, of[0].mean, of[1].mean, pairs};
}

void report(const char* what, const Outcome& outcome) {
  BOOST_TEST_MESSAGE(what << ": " << outcome.pairs << " pairs of checks, t = " << outcome.t << ", "
                          << outcome.real_us << " us for who is there, " << outcome.ghost_us << " us for who is not");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(timing)

BOOST_AUTO_TEST_CASE(b3_ghosts_take_as_long_as_users) {
  testing::EngineMount mount(engines::make_userpass_engine(), "userpass/");
  mount.write("users/alice", R"({"password":"one"})");
  const auto login = [&mount](const char* path) { mount.write(path, R"({"password":"wrong"})"); };
  const Outcome outcome =
      compare(pairs_wanted(60), [&] { login("login/alice"); }, [&] { login("login/ghost"); });
  report("userpass", outcome);
  BOOST_TEST(std::abs(outcome.t) < kTellsMin);
  BOOST_TEST(std::abs(outcome.ghost_us - outcome.real_us) < 0.01 * outcome.real_us);
  const testing::ScopedMutant mutant(Mutant::kGhostUserAnswersFast);
  const double begin = cpu_microseconds();
  login("login/ghost");
  BOOST_TEST(cpu_microseconds() - begin < 0.5 * outcome.real_us);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
