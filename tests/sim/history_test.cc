// The judge is judged: histories that are fine pass, and 20 planted anomalies are found.
#include "tests/sim/history.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>

#include "tests/sim/rng.h"

namespace coffer::sim {
namespace {

using Kind = Operation::Kind;
using History = std::vector<Operation>;

// Clients beside each other on a register or a counter that really is one: each operation takes effect somewhere inside
// its interval.
History healthy(std::uint64_t seed, bool counter, std::size_t count = 200) {
  Rng rng(seed);
  History out;
  std::int64_t state = 0;
  std::uint64_t clock = 1'000;
  for (std::size_t i = 0; i < count; ++i) {
    Operation op;
    const std::uint64_t die = rng.below(3);
    if (counter)
      op.kind = die == 0 ? Kind::kCount : Kind::kAdd;
    else
      op.kind = die == 0 ? Kind::kRead : die == 1 ? Kind::kWrite : Kind::kCas;
    op.argument = static_cast<std::int64_t>(i) + 1;
    op.expected = rng.chance(7'000) ? state : static_cast<std::int64_t>(rng.below(count));
    const std::uint64_t effect = clock += 10;
    op.invoked = effect - rng.below(35);
    op.returned = effect + rng.below(35);
    op.result = op.kind == Kind::kWrite ? 0 : state;
    if (op.kind == Kind::kWrite || (op.kind == Kind::kCas && state == op.expected))
      state = op.argument;
    else if (op.kind == Kind::kAdd)
      ++state;
    if (rng.chance(300))
      op.returned = Operation::kNever;
    out.push_back(op);
  }
  return out;
}

Operation make(Kind kind, std::int64_t argument, std::int64_t expected, std::int64_t result, std::uint64_t from,
               std::uint64_t to) {
  return Operation{kind, argument, expected, result, from, to};
}

// A quiet history to plant something into: the last value is known and nothing is under way.
History quiet(bool counter) {
  History out = healthy(4711, counter, 60);
  for (Operation& op : out)
    op.returned = std::min<std::uint64_t>(op.returned, op.invoked + 70);
  if (!counter)
    out.push_back(make(Kind::kWrite, 900, 0, 0, 2'000, 2'001));
  return out;
}

std::int64_t total(const History& history) {
  return std::count_if(history.begin(), history.end(), [](const Operation& op) { return op.kind == Kind::kAdd; });
}

constexpr std::uint64_t kNever = Operation::kNever;

// Each makes a good history bad in one way.
const std::vector<std::pair<const char*, std::function<History()>>>& anomalies() {
  static const auto reg = [](std::initializer_list<Operation> more) {
    History out = quiet(false);
    out.insert(out.end(), more);
    return out;
  };
  static const auto cnt = [](std::function<std::vector<Operation>(std::int64_t)> more) {
    History out = quiet(true);
    for (const Operation& op : more(total(out)))
      out.push_back(op);
    return out;
  };
  static const std::vector<std::pair<const char*, std::function<History()>>> all = {
      {"stale read",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kRead, 0, 0, 900, 3002, 3003)});
       }},
      {"lost write",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kRead, 0, 0, 900, 3100, 3101)});
       }},
      {"phantom value", [] { return reg({make(Kind::kRead, 0, 0, 777'777, 3000, 3001)}); }},
      {"value of a write not yet begun",
       [] {
         return reg({make(Kind::kRead, 0, 0, 901, 3000, 3001), make(Kind::kWrite, 901, 0, 0, 3002, 3003)});
       }},
      {"reads go back",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3050), make(Kind::kRead, 0, 0, 901, 3001, 3002),
                     make(Kind::kRead, 0, 0, 900, 3003, 3004)});
       }},
      {"open write seen, then unseen",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, kNever), make(Kind::kRead, 0, 0, 901, 3001, 3002),
                     make(Kind::kRead, 0, 0, 900, 3003, 3004)});
       }},
      {"two swaps from one value",
       [] {
         return reg({make(Kind::kCas, 901, 900, 900, 3000, 3010), make(Kind::kCas, 902, 900, 900, 3001, 3011)});
       }},
      {"swap from an old value",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kCas, 902, 900, 900, 3002, 3003)});
       }},
      {"swap acknowledged, no effect",
       [] {
         return reg({make(Kind::kCas, 901, 900, 900, 3000, 3001), make(Kind::kRead, 0, 0, 900, 3002, 3003)});
       }},
      {"swap refused, effect seen",
       [] {
         return reg({make(Kind::kCas, 901, 5, 900, 3000, 3001), make(Kind::kRead, 0, 0, 901, 3002, 3003)});
       }},
      {"swap refused for a value long gone",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kCas, 902, 5, 900, 3002, 3003)});
       }},
      {"writes seen in two orders",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3010), make(Kind::kWrite, 902, 0, 0, 3000, 3010),
                     make(Kind::kRead, 0, 0, 901, 3011, 3012), make(Kind::kRead, 0, 0, 902, 3013, 3014)});
       }},
      {"order of writes against time",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kWrite, 902, 0, 0, 3002, 3003),
                     make(Kind::kRead, 0, 0, 901, 3004, 3005)});
       }},
      {"write done twice",
       [] {
         return reg({make(Kind::kWrite, 901, 0, 0, 3000, 3001), make(Kind::kWrite, 902, 0, 0, 3002, 3003),
                     make(Kind::kRead, 0, 0, 902, 3004, 3005), make(Kind::kRead, 0, 0, 901, 3006, 3007)});
       }},
      {"two additions that saw the same",
       [] {
         return cnt([](std::int64_t n) {
           return std::vector{make(Kind::kAdd, 0, 0, n, 3000, 3010), make(Kind::kAdd, 0, 0, n, 3001, 3011)};
         });
       }},
      {"addition lost",
       [] {
         return cnt([](std::int64_t n) {
           return std::vector{make(Kind::kAdd, 0, 0, n, 3000, 3001), make(Kind::kCount, 0, 0, n, 3002, 3003)};
         });
       }},
      {"addition done twice",
       [] {
         return cnt([](std::int64_t n) {
           return std::vector{make(Kind::kAdd, 0, 0, n, 3000, 3001), make(Kind::kCount, 0, 0, n + 2, 3002, 3003)};
         });
       }},
      {"count goes back",
       [] {
         return cnt([](std::int64_t n) {
           return std::vector{make(Kind::kAdd, 0, 0, n, 3000, 3050), make(Kind::kCount, 0, 0, n + 1, 3001, 3002),
                              make(Kind::kCount, 0, 0, n, 3003, 3004)};
         });
       }},
      {"count beyond all additions",
       [] { return cnt([](std::int64_t n) { return std::vector{make(Kind::kCount, 0, 0, n + 1, 3000, 3001)}; }); }},
      {"addition from an old list",
       [] {
         return cnt([](std::int64_t n) {
           return std::vector{make(Kind::kAdd, 0, 0, n, 3000, 3001), make(Kind::kAdd, 0, 0, n, 3002, 3003)};
         });
       }},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(history)

BOOST_AUTO_TEST_CASE(good_histories_pass) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    BOOST_CHECK_MESSAGE(linearizable(healthy(seed, false)), "register " << seed);
    BOOST_CHECK_MESSAGE(linearizable(healthy(seed, true)), "counter " << seed);
  }
  BOOST_CHECK(linearizable(quiet(false)));
  BOOST_CHECK(linearizable(quiet(true)));
}

BOOST_AUTO_TEST_CASE(finds_twenty_of_twenty) {
  BOOST_REQUIRE_EQUAL(anomalies().size(), 20u);
  for (const auto& [name, plant] : anomalies())
    BOOST_CHECK_MESSAGE(!linearizable(plant()), name);
}

// A restore sets an object back, whatever it is.
BOOST_AUTO_TEST_CASE(restores_are_operations) {
  using Kind = Operation::Kind;
  const Operation write{Kind::kWrite, 7, 0, 0, 1, 2};
  const Operation back{Kind::kRestore, 3, 0, 0, 3, 6};
  BOOST_CHECK(linearizable({write, back, {Kind::kRead, 0, 0, 3, 4, 5}, {Kind::kRead, 0, 0, 3, 7, 8}}));
  BOOST_CHECK(linearizable({write, back, {Kind::kRead, 0, 0, 7, 4, 5}, {Kind::kRead, 0, 0, 3, 7, 8}}));
  BOOST_CHECK(!linearizable({write, back, {Kind::kRead, 0, 0, 7, 7, 8}}));
  BOOST_CHECK(!linearizable({write, back, {Kind::kRead, 0, 0, 3, 4, 5}, {Kind::kRead, 0, 0, 7, 7, 8}}));
  BOOST_CHECK(linearizable(
      {{Kind::kAdd, 0, 0, 0, 1, 2}, back, {Kind::kAdd, 0, 0, 3, 7, 8}, {Kind::kCount, 0, 0, 4, 9, 10}}));
  BOOST_CHECK(!linearizable({{Kind::kAdd, 0, 0, 0, 1, 2}, back, {Kind::kCount, 0, 0, 1, 7, 8}}));
}

BOOST_AUTO_TEST_CASE(long_histories_are_quick) {
  std::uint64_t explored = 0;
  BOOST_CHECK(linearizable(healthy(9, false, 10'000), 20'000'000, &explored));
  BOOST_TEST_MESSAGE("states explored: " << explored);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::sim
