#include "base/metrics.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <ctime>
#include <memory>
#include <mutex>

namespace coffer::metrics {
namespace {

constexpr std::string_view kCountNames[] = {
    "vault.audit.log_request_failure", "vault.audit.log_response_failure", "vault.barrier.get", "vault.barrier.put",
    "vault.barrier.delete", "vault.barrier.list", "vault.token.creation", "vault.token.lookup", "vault.token.renew",
    "vault.token.revoke", "vault.policy.get_policy", "vault.policy.set_policy", "vault.policy.delete_policy",
    "vault.policy.list_policies", "vault.expire.renew", "vault.expire.revoke", "vault.expire.fetch-lease-times",
    "vault.quota.rate_limit.violation", "vault.core.request_conflicts", "vault.core.requests_refused",
    "vault.telemetry.spans_dropped", "vault.telemetry.spans_sent"};
static_assert(std::size(kCountNames) == static_cast<std::size_t>(Count::kEnd));

constexpr std::string_view kSampleNames[] = {
    "vault.core.handle_request", "vault.core.handle_login_request", "vault.core.check_token",
    "vault.core.fetch_acl_and_token", "vault.audit.log_request", "vault.audit.log_response", "vault.raft.apply",
    "vault.raft.commitTime"};
static_assert(std::size(kSampleNames) == static_cast<std::size_t>(Sample::kEnd));

constexpr std::string_view kRouteOps[] = {"create", "read", "update", "delete", "list"};
constexpr std::size_t kCounts = static_cast<std::size_t>(Count::kEnd);
constexpr std::size_t kSamples = static_cast<std::size_t>(Sample::kEnd);
constexpr std::size_t kOps = static_cast<std::size_t>(RouteOp::kEnd);
constexpr int kFirstBucketBits = 10;  // 1,024 ns

using Cell = std::atomic<std::uint64_t>;

// One writer each, so a load and a store do.
void bump(Cell& cell, std::uint64_t by) noexcept {
  cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

std::size_t bucket_of(std::uint64_t nanoseconds) noexcept {
  if (nanoseconds < (1u << kFirstBucketBits))
    return 0;
  const int bits = 63 - std::countl_zero(nanoseconds);
  const std::size_t half = nanoseconds >> (bits - 1) & 1;
  return std::min(static_cast<std::size_t>(2 * (bits - kFirstBucketBits)) + half + 1, Durations::kBuckets - 1);
}

struct TimeCells {
  Cell count{0};
  Cell sum_ns{0};
  Cell max_ns{0};
  std::array<std::atomic<std::uint32_t>, Durations::kBuckets> buckets{};

  void put(std::int64_t given) noexcept {
    const std::uint64_t ns = given < 0 ? 0 : static_cast<std::uint64_t>(given);
    bump(count, 1);
    bump(sum_ns, ns);
    if (ns > max_ns.load(std::memory_order_relaxed))
      max_ns.store(ns, std::memory_order_relaxed);
    auto& bucket = buckets[bucket_of(ns)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void add_to(Durations& out) const {
    out.count += count.load(std::memory_order_relaxed);
    out.sum_ms += static_cast<double>(sum_ns.load(std::memory_order_relaxed)) / 1e6;
    out.max_ms = std::max(out.max_ms, static_cast<double>(max_ns.load(std::memory_order_relaxed)) / 1e6);
    for (std::size_t i = 0; i < buckets.size(); ++i)
      out.buckets[i] += buckets[i].load(std::memory_order_relaxed);
  }
};

struct RouteCells {
  std::array<TimeCells, kOps> ops;
};

// Of one thread, which alone writes it. It stays when the thread ends: what it counted happened.
struct alignas(64) Slab {
  std::array<Cell, kCounts> counts{};
  std::array<TimeCells, kSamples> samples;
  std::array<std::atomic<RouteCells*>, kRoutesMax + 1> routes{};
};

struct Registry {
  std::mutex mutex;
  std::vector<std::unique_ptr<Slab>> slabs;               // guarded by mutex
  std::vector<std::unique_ptr<RouteCells>> route_cells;   // guarded by mutex
  std::vector<std::string> routes;                        // guarded by mutex: the paths of the slots
};

Registry& registry() {
  static Registry* const one = new Registry;  // threads may count until the very end
  return *one;
}

Slab& slab() {
  thread_local Slab* mine = nullptr;
  if (mine == nullptr) {
    auto made = std::make_unique<Slab>();
    mine = made.get();
    const std::scoped_lock lock(registry().mutex);
    registry().slabs.push_back(std::move(made));
  }
  return *mine;
}

RouteCells& cells_of(Slab& slab, std::uint32_t slot) {
  std::atomic<RouteCells*>& place = slab.routes[std::min(slot, kRoutesMax)];
  RouteCells* cells = place.load(std::memory_order_relaxed);
  if (cells == nullptr) {
    auto made = std::make_unique<RouteCells>();
    cells = made.get();
    const std::scoped_lock lock(registry().mutex);
    registry().route_cells.push_back(std::move(made));
    place.store(cells, std::memory_order_release);
  }
  return *cells;
}

// As dashboards know it: "secret/" is "secret-".
std::string route_name(std::size_t op, std::string_view mount) {
  std::string out = "vault.route." + std::string(kRouteOps[op]) + ".";
  for (const char c : mount)
    out.push_back(c == '/' ? '-' : c);
  return out;
}

}  // namespace

std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void add(Count which, std::uint64_t by) noexcept { bump(slab().counts[static_cast<std::size_t>(which)], by); }

void took(Sample which, std::int64_t nanoseconds) noexcept {
  slab().samples[static_cast<std::size_t>(which)].put(nanoseconds);
}

void took_route(std::uint32_t slot, RouteOp op, std::int64_t nanoseconds) noexcept {
  cells_of(slab(), slot).ops[static_cast<std::size_t>(op)].put(nanoseconds);
}

std::uint32_t route_slot(std::string_view mount_path) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  for (std::size_t i = 0; i < all.routes.size(); ++i)
    if (all.routes[i] == mount_path)
      return static_cast<std::uint32_t>(i);
  if (all.routes.size() >= kRoutesMax)
    return kRoutesMax;
  all.routes.emplace_back(mount_path);
  return static_cast<std::uint32_t>(all.routes.size() - 1);
}

double Durations::quantile_ms(double q) const noexcept {
  if (count == 0)
    return 0;
  const double wanted = std::ceil(q * static_cast<double>(count));
  double seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += static_cast<double>(buckets[i]);
    if (seen >= wanted) {
      // The upper end of bucket i: 2^10, 1.5 * 2^10, 2^11, …
      const double whole = std::ldexp(i % 2 == 0 ? 1.0 : 1.5, kFirstBucketBits + static_cast<int>(i) / 2);
      return std::min(whole / 1e6, max_ms);
    }
  }
  return max_ms;
}

void read(Reading& into) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  for (std::size_t i = 0; i < kCounts; ++i) {
    Reading::Counter counter{std::string(kCountNames[i])};
    for (const auto& slab : all.slabs)
      counter.count += slab->counts[i].load(std::memory_order_relaxed);
    into.counters.push_back(std::move(counter));
  }
  for (std::size_t i = 0; i < kSamples; ++i) {
    Reading::Summary summary{std::string(kSampleNames[i]), {}};
    for (const auto& slab : all.slabs)
      slab->samples[i].add_to(summary.durations);
    into.summaries.push_back(std::move(summary));
  }
  for (std::size_t slot = 0; slot <= all.routes.size() && slot <= kRoutesMax; ++slot) {
    const bool shared = slot == kRoutesMax;
    if (slot == all.routes.size() && !shared)
      break;
    for (std::size_t op = 0; op < kOps; ++op) {
      Reading::Summary summary{route_name(op, shared ? "other" : all.routes[slot]), {}};
      for (const auto& slab : all.slabs)
        if (const RouteCells* cells = slab->routes[slot].load(std::memory_order_acquire); cells != nullptr)
          cells->ops[op].add_to(summary.durations);
      if (summary.durations.count != 0)
        into.summaries.push_back(std::move(summary));
    }
  }
}

}  // namespace coffer::metrics
