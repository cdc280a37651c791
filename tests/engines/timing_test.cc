// Whether the time of a login tells who is there (advisory B3): Welch's t over logins of a user who exists and of one
// who does not, in random order, by the thread's own CPU time, so that other work on the machine does not count.
// COFFER_TIMING_PAIRS sets how many, at the full cost of a hash at most 2,000 of them.
#include <boost/test/unit_test.hpp>

#include <time.h>

#include <algorithm>
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
// With fewer the means of equal things differ by more than a hundredth on a machine that has other work.
constexpr std::size_t kPairsForMeans = 1000;
constexpr std::size_t kPairsAtFullCostMax = 2000;  // a minute and a half of one core for each thousand

std::size_t pairs_wanted(std::size_t sample, std::size_t most) {
  const char* wanted = std::getenv("COFFER_TIMING_PAIRS");
  return wanted == nullptr ? sample : std::min(most, static_cast<std::size_t>(std::strtoull(wanted, nullptr, 10)));
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

struct Logins {
  testing::EngineMount mount{engines::make_userpass_engine(), "userpass/"};

  explicit Logins(const char* user) { mount.write("users/alice", user); }
  void login(const char* path) { mount.write(path, R"({"password":"wrong"})"); }
  Outcome measured(const char* what, std::size_t pairs) {
    const Outcome outcome = compare(pairs, [&] { login("login/alice"); }, [&] { login("login/ghost"); });
    report(what, outcome);
    return outcome;
  }
};

// A computation of bcrypt as users have them by default.
double bcrypt_us(Logins& logins) {
  double shortest = 1e18;
  for (int i = 0; i < 3; ++i) {
    const double begin = cpu_microseconds();
    logins.login("login/ghost");
    shortest = std::min(shortest, cpu_microseconds() - begin);
  }
  return shortest;
}

BOOST_AUTO_TEST_CASE(b3_ghosts_take_as_long_as_users) {
  Logins logins(R"({"password":"one"})");
  const Outcome outcome = logins.measured("userpass", pairs_wanted(60, kPairsAtFullCostMax));
  BOOST_TEST(std::abs(outcome.t) < kTellsMin);
  if (outcome.pairs >= kPairsForMeans)
    BOOST_TEST(std::abs(outcome.ghost_us - outcome.real_us) < 0.01 * outcome.real_us);
  for (const Mutant mutant : {Mutant::kGhostUserAnswersFast, Mutant::kGhostHashedCheaply}) {
    const testing::ScopedMutant on(mutant);
    const double begin = cpu_microseconds();
    logins.login("login/ghost");
    BOOST_TEST(cpu_microseconds() - begin < 0.5 * outcome.real_us);
  }
}

// All but the hash itself: both sides compute one of the lowest cost, which a difference elsewhere cannot hide behind.
BOOST_AUTO_TEST_CASE(b3_nothing_beside_the_hash_tells) {
  Logins logins(R"({"password_hash":"$2b$04$abcdefghijklmnopqrstuuuiMd1XkP3MYkehzxpPHB6m5Tr0FZSYG"})");
  const double full = bcrypt_us(logins);
  const testing::ScopedMutant cheap(Mutant::kGhostHashedCheaply);
  const Outcome outcome = logins.measured("userpass beside the hash", pairs_wanted(2000, SIZE_MAX));
  BOOST_TEST(std::abs(outcome.t) < kTellsMin);
  BOOST_TEST(std::abs(outcome.ghost_us - outcome.real_us) < 0.01 * full);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
