#include "core/seal_health.h"

#include <boost/test/unit_test.hpp>
#include <functional>
#include <vector>

namespace coffer::core {
namespace {

class SomeSeal final : public seal::KeyWrapper {
 public:
  Status answer;
  int asked = 0;

  std::string_view kind() const noexcept override { return "pkcs11"; }
  bool remote() const noexcept override { return true; }
  Result<std::string> wrap(const SecretBytes&, std::string_view, RandomSource&) override { return std::string(); }
  Result<SecretBytes> unwrap(std::string_view, std::string_view) override { return SecretBytes(); }
  Status check() override {
    ++asked;
    return answer;
  }
};

// Runs what it took when the test wants it.
class LaterCalls final : public CallPool {
 public:
  bool full = false;
  bool submit(std::function<void()> task) override {
    if (!full)
      tasks_.push_back(std::move(task));
    return !full;
  }
  std::size_t run() {
    std::vector<std::function<void()>> tasks = std::move(tasks_);
    tasks_.clear();
    for (const auto& task : tasks)
      task();
    return tasks.size();
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

struct Fixture {
  std::size_t after(Nanos time) {
    clock.advance(time);
    health.tick(calls);
    return calls.run();
  }

  ManualClock clock;
  std::unique_ptr<Logger> log = Logger::open({.file = "/dev/null"}).value();
  SomeSeal seal;
  LaterCalls calls;
  SealHealth health{&seal, clock, *log};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(seal_health_test, Fixture)

BOOST_AUTO_TEST_CASE(it_is_asked_now_and_then_and_more_often_while_it_is_away) {
  BOOST_TEST(after(SealHealth::kPause - Nanos(1)) == 0u);
  BOOST_TEST(after(Nanos(1)) == 1u);
  BOOST_TEST(!health.state().away_since);
  seal.answer = Status(Code::kUnavailable, "away");
  BOOST_TEST(after(SealHealth::kPauseAway) == 0u);
  BOOST_TEST(after(SealHealth::kPause) == 1u);
  const WallTime since = clock.wall_now();
  BOOST_TEST((health.state().away_since == since));
  BOOST_TEST(after(SealHealth::kPauseAway) == 1u);
  BOOST_TEST((health.state().away_since == since));
  seal.answer = ok_status();
  BOOST_TEST(after(SealHealth::kPauseAway) == 1u);
  BOOST_TEST(!health.state().away_since);
  BOOST_TEST(after(SealHealth::kPauseAway) == 0u);
}

BOOST_AUTO_TEST_CASE(one_question_at_a_time_and_none_is_lost) {
  clock.advance(SealHealth::kPause);
  calls.full = true;
  health.tick(calls);
  calls.full = false;
  health.tick(calls);
  health.tick(calls);
  BOOST_TEST(calls.run() == 1u);
  BOOST_TEST(seal.asked == 1);
}

BOOST_AUTO_TEST_CASE(what_was_seen_counts) {
  health.note(Status(Code::kUnavailable, "away"));
  BOOST_TEST(health.state().away_since.has_value());
  BOOST_TEST(after(SealHealth::kPauseAway) == 1u);
  BOOST_TEST(!health.state().away_since);
  SealHealth shamir(nullptr, clock, *log);
  clock.advance(SealHealth::kPause);
  shamir.tick(calls);
  BOOST_TEST(calls.run() == 0u);
  BOOST_TEST(shamir.state().kind == "shamir");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
