// Who hears of a leader and who does not (core/leader_watch.h).
#include <boost/test/unit_test.hpp>

#include "core/leader_watch.h"

namespace coffer::core {
namespace {

constexpr raft::NodeId kSelf{1};
constexpr raft::NodeId kOther{2};
constexpr BootTime kLongAgo{};

BootTime at(std::int64_t milliseconds) { return BootTime{std::chrono::milliseconds(100'000 + milliseconds)}; }

bool out_of_touch(LeaderWatch& watch, raft::NodeId leader, BootTime heard, BootTime now) {
  watch.look(kSelf, leader, heard, now);
  return watch.is_out_of_touch();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(leader_watch)

BOOST_AUTO_TEST_CASE(without_a_leader_it_takes_its_time) {
  LeaderWatch watch;
  BOOST_TEST(!out_of_touch(watch, raft::kNobody, kLongAgo, at(0)));
  BOOST_TEST(!out_of_touch(watch, raft::kNobody, kLongAgo, at(2999)));
  BOOST_TEST(out_of_touch(watch, raft::kNobody, kLongAgo, at(3000)));
  BOOST_TEST(!out_of_touch(watch, kOther, at(3500), at(3500)));
}

// A node without a vote goes on naming the leader that it knew.
BOOST_AUTO_TEST_CASE(a_leader_that_says_nothing_is_none) {
  LeaderWatch watch;
  BOOST_TEST(!out_of_touch(watch, kOther, at(0), at(0)));
  BOOST_TEST(!out_of_touch(watch, kOther, at(5000), at(5100)));
  BOOST_TEST(!out_of_touch(watch, kOther, at(5000), at(7999)));
  BOOST_TEST(out_of_touch(watch, kOther, at(5000), at(8000)));
  BOOST_TEST(out_of_touch(watch, raft::kNobody, at(5000), at(8100)));
  BOOST_TEST(!out_of_touch(watch, kOther, at(8150), at(8200)));
}

BOOST_AUTO_TEST_CASE(who_leads_is_in_touch) {
  LeaderWatch watch;
  for (int time = 0; time < 20'000; time += 1000)
    BOOST_TEST(!out_of_touch(watch, kSelf, kLongAgo, at(time)));
  BOOST_TEST(!out_of_touch(watch, raft::kNobody, kLongAgo, at(20'000)));
}

BOOST_AUTO_TEST_CASE(who_was_sealed_begins_anew) {
  LeaderWatch watch;
  BOOST_TEST(!out_of_touch(watch, raft::kNobody, kLongAgo, at(0)));
  BOOST_TEST(out_of_touch(watch, raft::kNobody, kLongAgo, at(9000)));
  watch.reset();
  BOOST_TEST(!watch.is_out_of_touch());
  BOOST_TEST(!out_of_touch(watch, kOther, kLongAgo, at(9100)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
