#include "base/wake.h"

#include <boost/test/unit_test.hpp>
#include <thread>
#include <vector>

namespace coffer {
namespace {

struct Counted final : Sleeper {
  void wake() noexcept override { ++woken; }
  int woken = 0;
};

BOOST_AUTO_TEST_CASE(outside_of_a_scope_a_sleeper_is_woken_at_once) {
  const auto sleeper = std::make_shared<Counted>();
  WakeScope::wake(sleeper);
  BOOST_TEST(sleeper->woken == 1);
  BOOST_TEST(sleeper.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(the_outermost_scope_wakes_when_it_ends) {
  const auto sleeper = std::make_shared<Counted>();
  {
    const WakeScope outer;
    {
      const WakeScope inner;
      WakeScope::wake(sleeper);
    }
    BOOST_TEST(sleeper->woken == 0);
  }
  BOOST_TEST(sleeper->woken == 1);
  WakeScope::wake(sleeper);
  BOOST_TEST(sleeper->woken == 2);
}

BOOST_AUTO_TEST_CASE(who_is_about_to_wait_wakes_the_others_first) {
  const auto sleeper = std::make_shared<Counted>();
  {
    const WakeScope scope;
    WakeScope::wake(sleeper);
    WakeScope::now();
    BOOST_TEST(sleeper->woken == 1);
  }
  BOOST_TEST(sleeper->woken == 1);
}

BOOST_AUTO_TEST_CASE(a_scope_is_its_own_threads_alone) {
  const auto sleeper = std::make_shared<Counted>();
  const WakeScope scope;
  std::thread([&sleeper] { WakeScope::wake(sleeper); }).join();
  BOOST_TEST(sleeper->woken == 1);
}

BOOST_AUTO_TEST_CASE(a_sleeper_lives_until_it_was_woken) {
  auto sleeper = std::make_shared<Counted>();
  const std::weak_ptr<Counted> seen = sleeper;
  {
    const WakeScope scope;
    WakeScope::wake(sleeper);
    sleeper.reset();
    BOOST_TEST(!seen.expired());
  }
  BOOST_TEST(seen.expired());
}

BOOST_AUTO_TEST_CASE(nobody_is_forgotten_however_many_sleep) {
  std::vector<std::shared_ptr<Counted>> sleepers;
  for (int i = 0; i < 100; ++i)
    sleepers.push_back(std::make_shared<Counted>());
  {
    const WakeScope scope;
    for (const auto& sleeper : sleepers)
      WakeScope::wake(sleeper);
  }
  for (const auto& sleeper : sleepers)
    BOOST_TEST(sleeper->woken == 1);
}

}  // namespace
}  // namespace coffer
