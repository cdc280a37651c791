#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"

namespace coffer {
namespace {

using metrics::Reading;

const Reading::Summary* summary(const Reading& reading, std::string_view name) {
  const auto found = std::ranges::find(reading.summaries, name, &Reading::Summary::name);
  return found == reading.summaries.end() ? nullptr : &*found;
}
std::uint64_t counted(const Reading& reading, std::string_view name) {
  const auto found = std::ranges::find(reading.counters, name, &Reading::Counter::name);
  return found == reading.counters.end() ? 0 : found->count;
}

BOOST_AUTO_TEST_SUITE(metrics_suite)

BOOST_AUTO_TEST_CASE(what_all_threads_counted_is_summed_up_and_stays_when_they_end) {
  Reading before;
  metrics::read(before);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int j = 0; j < 1000; ++j) {
        metrics::add(metrics::Count::kBarrierPut);
        metrics::took(metrics::Sample::kRaftApply, 2'000'000);
      }
    });
  for (std::thread& thread : threads)
    thread.join();
  Reading after;
  metrics::read(after);
  BOOST_TEST(counted(after, "vault.barrier.put") - counted(before, "vault.barrier.put") == 4000u);
  const auto* apply = summary(after, "vault.raft.apply");
  BOOST_REQUIRE(apply != nullptr);
  BOOST_TEST(apply->durations.count == 4000u);
  BOOST_TEST(apply->durations.sum_ms == 8000.0);
  BOOST_TEST(apply->durations.max_ms == 2.0);
  BOOST_TEST(apply->durations.quantile_ms(0.5) == 2.0);
}

BOOST_AUTO_TEST_CASE(quantiles_are_near) {
  metrics::Durations none;
  BOOST_TEST(none.quantile_ms(0.5) == 0.0);
  const std::uint32_t slot = metrics::route_slot("quantiles/");
  for (int i = 1; i <= 1000; ++i)
    metrics::took_route(slot, metrics::RouteOp::kRead, i * 1000);
  Reading reading;
  metrics::read(reading);
  const auto* read = summary(reading, "vault.route.read.quantiles-");
  BOOST_REQUIRE(read != nullptr);
  BOOST_TEST(read->durations.count == 1000u);
  BOOST_TEST(read->durations.quantile_ms(0.5) >= 0.5);
  BOOST_TEST(read->durations.quantile_ms(0.5) <= 0.8);
  BOOST_TEST(read->durations.quantile_ms(0.99) <= 1.0);
  BOOST_TEST(read->durations.quantile_ms(0.99) >= 0.9);
}

BOOST_AUTO_TEST_CASE(mounts_have_slots_and_there_is_a_last_one) {
  const std::uint32_t slot = metrics::route_slot("one/");
  BOOST_TEST(metrics::route_slot("one/") == slot);
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < 2 * metrics::kRoutesMax; ++i)
    last = metrics::route_slot("many" + std::to_string(i) + "/");
  BOOST_TEST(last == metrics::kRoutesMax);
  metrics::took_route(last, metrics::RouteOp::kList, 5000);
  Reading reading;
  metrics::read(reading);
  BOOST_TEST(summary(reading, "vault.route.list.other") != nullptr);
}

BOOST_AUTO_TEST_CASE(the_text_is_what_prometheus_reads) {
  Reading reading;
  reading.gauges.push_back({"vault.b", 1.5, {{"type", "a\"\\\n"}}});
  reading.gauges.push_back({"vault.a-x/", 3, {}});
  reading.counters.push_back({"vault.c", 7});
  Reading::Summary one{"vault.s", {}};
  one.durations.count = 2;
  one.durations.sum_ms = 3;
  one.durations.max_ms = 2;
  one.durations.buckets[20] = 2;
  reading.summaries.push_back(one);
  BOOST_TEST(metrics::prometheus_text(reading, {{"cluster", "c1"}}) ==
             "# HELP vault_a_x_ vault.a-x/\n# TYPE vault_a_x_ gauge\nvault_a_x_{cluster=\"c1\"} 3\n"
             "# HELP vault_b vault.b\n# TYPE vault_b gauge\nvault_b{type=\"a\\\"\\\\\\n\",cluster=\"c1\"} 1.5\n"
             "# HELP vault_c vault.c\n# TYPE vault_c counter\nvault_c{cluster=\"c1\"} 7\n"
             "# HELP vault_s vault.s\n# TYPE vault_s summary\nvault_s{quantile=\"0.5\",cluster=\"c1\"} 1.048576\n"
             "vault_s{quantile=\"0.9\",cluster=\"c1\"} 1.048576\nvault_s{quantile=\"0.99\",cluster=\"c1\"} 1.048576\n"
             "vault_s_sum{cluster=\"c1\"} 3\nvault_s_count{cluster=\"c1\"} 2\n");
  const std::string text = metrics::json_text(reading, "now", 2);
  const auto parsed = json::Document::parse(text);
  BOOST_REQUIRE(parsed.ok());
  BOOST_TEST(parsed->root.string_or("Timestamp", "") == "now");
  BOOST_TEST(parsed->root.find("Gauges")->size() == 2u);
  BOOST_TEST(parsed->root.find("Samples")->elements()[0].find("Mean")->number_text() == "1.5");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
