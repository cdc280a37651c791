// What noting a client costs a request: one that its thread knows, and one that is new.
#include <benchmark/benchmark.h>

#include <functional>
#include <string>

#include "core/activity.h"

namespace {

using coffer::core::ActivityLog;
using coffer::core::SeenClient;

constexpr coffer::WallTime kNow{std::chrono::seconds(1'700'000'000)};
const std::string kEntity = "0e2a9f34-6d5c-4b7a-9a53-0d3a1f0c9b11";

std::uint64_t mark_of(std::string_view id) { return std::hash<std::string_view>()(id) ^ 0x9e3779b97f4a7c15u; }

void BM_known(benchmark::State& state) {
  ActivityLog log;
  while (log.is_new(mark_of(kEntity), kNow))
    log.add(mark_of(kEntity), SeenClient{kEntity, true, {}, {}, kNow});
  for (auto _ : state)
    benchmark::DoNotOptimize(log.is_new(mark_of(kEntity), kNow));
}
BENCHMARK(BM_known);

void BM_new(benchmark::State& state) {
  ActivityLog log;
  std::uint64_t mark = 1;
  for (auto _ : state) {
    mark += 0x9e3779b97f4a7c15u;
    if (log.is_new(mark, kNow))
      log.add(mark, SeenClient{kEntity, true, {}, {}, kNow});
    if (log.pending() >= 1000)
      log.take(1000);
  }
}
BENCHMARK(BM_new);

}  // namespace
