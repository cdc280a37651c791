#include "actors/waiters.h"

#include <boost/test/unit_test.hpp>

namespace coffer::actors {
namespace {

constexpr BootTime at(int ms) { return BootTime(std::chrono::milliseconds(ms)); }

struct Heard {
  Waiter waiter(BootTime deadline) {
    return {std::make_shared<OwedAnswer>([this](Status status, Index index) {
              codes.push_back(status.code());
              last = index;
            }),
            deadline};
  }
  std::vector<Code> codes;
  Index last;
};

BOOST_AUTO_TEST_SUITE(waiters)

BOOST_AUTO_TEST_CASE(an_answer_is_told_once_or_when_it_is_dropped) {
  Heard heard;
  {
    const Owed owed = heard.waiter(at(0)).owed;
    owed->tell(Status(), Index(3));
    owed->tell(Status(Code::kInternal, "again"));
  }
  BOOST_TEST((heard.codes == std::vector{Code::kOk}));
  BOOST_TEST((heard.last == Index(3)));
  heard.waiter(at(0)).owed.reset();
  BOOST_TEST((heard.codes == std::vector{Code::kOk, Code::kUnavailable}));
}

BOOST_AUTO_TEST_CASE(an_index_is_waited_for_until_its_deadline) {
  IndexWaiters waiters(2);
  Heard five, nine, third;
  waiters.add(Index(5), five.waiter(at(10)));
  waiters.add(Index(9), nine.waiter(at(20)));
  waiters.add(Index(1), third.waiter(at(20)));
  BOOST_TEST((third.codes == std::vector{Code::kExhausted}));
  waiters.reached(Index(4));
  BOOST_TEST(five.codes.empty());
  waiters.reached(Index(5));
  BOOST_TEST((five.codes == std::vector{Code::kOk}));
  waiters.expire(at(19));
  BOOST_TEST(nine.codes.empty());
  waiters.expire(at(20));
  BOOST_TEST((nine.codes == std::vector{Code::kUnavailable}));
  waiters.reached(Index(9));
  BOOST_TEST(nine.codes.size() == 1u);
}

BOOST_AUTO_TEST_CASE(who_asks_while_questions_are_under_way_shares_the_next) {
  ReadRounds rounds({.waiters_max = 4, .rounds_max = 1, .repeat_after = std::chrono::milliseconds(100)});
  Heard heard;
  BOOST_TEST(!rounds.next(at(0)).has_value());
  rounds.ask(heard.waiter(at(1000)));
  const auto first = rounds.next(at(0));
  BOOST_REQUIRE(first.has_value());
  rounds.ask(heard.waiter(at(1000)));
  rounds.ask(heard.waiter(at(1000)));
  BOOST_TEST(!rounds.next(at(1)).has_value());
  BOOST_TEST(rounds.answered(*first).size() == 1u);
  const auto second = rounds.next(at(2));
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST(rounds.answered(*first).empty());  // once only
  BOOST_TEST(rounds.answered(*second).size() == 2u);
  BOOST_TEST(heard.codes.size() == 3u);  // dropped here by whoever took them
}

BOOST_AUTO_TEST_CASE(a_lost_question_is_asked_again_and_its_late_answer_counts_for_nobody) {
  ReadRounds rounds({.waiters_max = 1, .rounds_max = 1, .repeat_after = std::chrono::milliseconds(100)});
  Heard heard, other;
  rounds.ask(heard.waiter(at(1000)));
  rounds.ask(other.waiter(at(1000)));
  BOOST_TEST((other.codes == std::vector{Code::kExhausted}));
  const auto first = rounds.next(at(0));
  rounds.expire(at(99));
  BOOST_TEST(!rounds.next(at(99)).has_value());
  rounds.expire(at(100));
  const auto second = rounds.next(at(100));
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST(rounds.answered(*first).empty());
  // Whoever was asked does not lead: a little later.
  rounds.failed(*second, at(110));
  BOOST_TEST(!rounds.next(at(111)).has_value());
  BOOST_TEST(rounds.next(at(120)).has_value());
  rounds.expire(at(1000));
  BOOST_TEST((heard.codes == std::vector{Code::kUnavailable}));
  BOOST_TEST(!rounds.next(at(1000)).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::actors
