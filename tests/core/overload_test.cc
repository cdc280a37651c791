#include "core/overload.h"

#include <boost/test/unit_test.hpp>

namespace coffer::core {
namespace {

using namespace std::chrono_literals;

struct Gate {
  OverloadGate gate{OverloadGate::Options{1s, 500ms}};
  BootTime now{Nanos(1h)};
  // A window in which writes took so long; none: nothing was committed.
  bool window(std::initializer_list<Nanos> delays, bool waiting = true) {
    for (const Nanos delay : delays)
      gate.took(delay);
    now += 500ms;
    gate.tick(now, waiting);
    return gate.overloaded();
  }
};

BOOST_AUTO_TEST_SUITE(overload)

BOOST_AUTO_TEST_CASE(a_queue_that_stays_is_noticed_and_ends) {
  Gate gate;
  BOOST_TEST(!gate.window({1ms}));
  BOOST_TEST(!gate.window({5s, 2ms, 9s}));  // slow ones among quick ones
  BOOST_TEST(gate.window({1200ms, 5s}));
  BOOST_TEST(gate.window({800ms}));          // not yet well
  BOOST_TEST(!gate.window({400ms}));
  BOOST_TEST(!gate.window({800ms}));
}

BOOST_AUTO_TEST_CASE(nothing_committed_at_all) {
  Gate gate;
  BOOST_TEST(!gate.window({}));
  BOOST_TEST(!gate.window({}));
  BOOST_TEST(gate.window({}));
  BOOST_TEST(!gate.window({}, false));  // all were answered
  BOOST_TEST(!gate.window({}, false));
}

BOOST_AUTO_TEST_CASE(switched_off) {
  OverloadGate gate({Nanos(0), 500ms});
  gate.took(1h);
  gate.tick(BootTime(Nanos(2h)), true);
  BOOST_TEST(!gate.overloaded());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
