#include "core/events.h"

#include <boost/test/unit_test.hpp>

#include "base/limits.h"
#include "core/event_subscription.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using Took = EventBus::Place::Took;

Event event(std::string type, std::size_t size = 0) {
  Event out;
  out.type = std::move(type);
  out.data_path = std::string(size, 'x');
  return out;
}

std::vector<Event> list(Event one) {
  std::vector<Event> out;
  out.push_back(std::move(one));
  return out;
}

// Types of what a place has.
std::vector<std::string> all(EventBus::Place& place) {
  std::vector<std::string> out;
  std::shared_ptr<const Event> next;
  while (place.take(next) == Took::kEvent)
    out.push_back(next->type);
  return out;
}

BOOST_AUTO_TEST_SUITE(events)

BOOST_AUTO_TEST_CASE(patterns) {
  using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;
  const Pairs alike = {{"kv*", "kv-v2/data-write"}, {"*", ""}, {"*", "x"}, {"a", "a"}, {"*write", "kv-v1/write"},
                       {"kv*/*-*e", "kv-v2/data-write"}, {"**", "ab"}, {"a*b*c", "aXbXbc"}};
  for (const auto& [pattern, text] : alike)
    BOOST_TEST(glob_matches(pattern, text), pattern << " " << text);
  const Pairs apart = {{"kv", "kv-v2"}, {"", "x"}, {"*write", "kv-v1/writes"}, {"a*b*c", "acb"}, {"ab*", "a"}};
  for (const auto& [pattern, text] : apart)
    BOOST_TEST(!glob_matches(pattern, text), pattern << " " << text);
  BOOST_TEST(!glob_matches(std::string(2000, '*') + "b", std::string(4000, 'a')));
}

BOOST_AUTO_TEST_CASE(each_hears_all_from_where_it_began) {
  EventBus bus("coffer://test");
  bus.publish(list(event("lost")));
  BOOST_TEST(!bus.wanted());
  const auto first = bus.subscribe();
  BOOST_TEST(bus.wanted());
  bus.publish(list(event("a")));
  const auto second = bus.subscribe();
  bus.publish(list(event("b")));
  BOOST_TEST(all(*first) == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
  BOOST_TEST(all(*second) == (std::vector<std::string>{"b"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(who_waits_is_woken_once) {
  EventBus bus("coffer://test");
  auto place = bus.subscribe();
  int woken = 0;
  place->wake_by([&woken] { ++woken; });
  bus.publish(list(event("before it waits")));
  BOOST_TEST(woken == 0);
  all(*place);
  bus.publish(list(event("a")));
  bus.publish(list(event("b")));
  BOOST_TEST(woken == 1);
  all(*place);
  place.reset();
  bus.publish(list(event("c")));
  BOOST_TEST(woken == 1);
}

BOOST_AUTO_TEST_CASE(who_lags_is_cut_off_and_the_others_are_not) {
  for (const bool by_bytes : {false, true}) {
    EventBus bus("coffer://test");
    const auto slow = bus.subscribe();
    const auto quick = bus.subscribe();
    const std::size_t size = by_bytes ? 1u << 20 : 0;
    const std::size_t held = by_bytes ? limits::kEventBytesHeldMax / size : limits::kEventsHeldMax + 1;
    std::shared_ptr<const Event> next;
    for (std::size_t i = 0; i < held; ++i) {
      bus.publish(list(event("e", size)));
      BOOST_TEST_REQUIRE((quick->take(next) == Took::kEvent));
    }
    BOOST_TEST((slow->take(next) == Took::kBehind));
    BOOST_TEST((slow->take(next) == Took::kBehind));
    BOOST_TEST((quick->take(next) == Took::kNothing));
  }
}

BOOST_AUTO_TEST_CASE(so_many_may_subscribe) {
  EventBus bus("coffer://test");
  std::vector<std::unique_ptr<EventBus::Place>> places;
  for (std::size_t i = 0; i < limits::kEventSubscribersMax; ++i)
    places.push_back(bus.subscribe());
  BOOST_TEST(places.back() != nullptr);
  BOOST_TEST(bus.subscribe() == nullptr);
  places.pop_back();
  BOOST_TEST(bus.subscribe() != nullptr);
}

struct Core : testing::CoreFixture {
  Core() {
    services.events = &bus;
    write("sys/mounts/kv", R"({"type":"kv","options":{"version":"2"}})");
  }
  // Data paths of what was published since the last time.
  std::vector<std::string> heard() {
    std::vector<std::string> out;
    std::shared_ptr<const Event> next;
    while (place->take(next) == Took::kEvent)
      out.push_back(next->type + " " + next->data_path);
    return out;
  }
  void check_only_what_is_committed() {
    committer.forced.push_back({CommitOutcome::kRefused, ok_status()});
    BOOST_TEST(write("kv/data/refused", R"({"data":{}})").status == 503);
    committer.forced.push_back({CommitOutcome::kOutcomeUnknown, ok_status()});
    BOOST_TEST(write("kv/data/unknown", R"({"data":{}})").status == 500);
    BOOST_TEST(write("kv/data/cas", R"({"data":{},"options":{"cas":3}})").status == 400);
    BOOST_TEST(write("kv/data/done", R"({"data":{}})").status == 200);
    BOOST_TEST(heard() == (std::vector<std::string>{"kv-v2/data-write kv/data/done"}),
               boost::test_tools::per_element());
  }

  EventBus bus{"coffer://test"};
  std::unique_ptr<EventBus::Place> place = bus.subscribe();
};

BOOST_FIXTURE_TEST_CASE(only_what_is_committed_is_told, Core) { check_only_what_is_committed(); }

BOOST_FIXTURE_TEST_CASE(what_conflicted_is_told_once, Core) {
  committer.forced.push_back({CommitOutcome::kConflict, ok_status()});
  committer.forced.push_back({CommitOutcome::kConflict, ok_status()});
  BOOST_TEST(write("kv/data/again", R"({"data":{}})").status == 200);
  BOOST_TEST(heard() == (std::vector<std::string>{"kv-v2/data-write kv/data/again"}),
             boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(what_is_not_committed_is_told_by_the_mutant, Core) {
  const coffer::testing::ScopedMutant mutant(Mutant::kEventBeforeCommit);
  committer.forced.push_back({CommitOutcome::kRefused, ok_status()});
  write("kv/data/refused", R"({"data":{}})");
  BOOST_TEST(heard().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(nobody_listens_and_nothing_is_held, Core) {
  place.reset();
  write("kv/data/a", R"({"data":{}})");
  place = bus.subscribe();
  BOOST_TEST(heard().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
