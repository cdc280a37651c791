// What the server counts and times. Each thread writes cells of its own, without a lock, an atomic read-modify-write
// or (after the first use) an allocation; whoever reads sums them up. Process-wide, as the threads are: nothing here
// decides anything. Names are those that dashboards for such servers know; a name never holds anything of a request but
// the mount's path, which the operator chose.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::metrics {

// The names stand in metrics.cc, in the same order.
enum class Count : std::uint8_t {
  kAuditRequestFailure, kAuditResponseFailure, kBarrierGet, kBarrierPut, kBarrierDelete, kBarrierList, kTokenCreation,
  kTokenLookup, kTokenRenew, kTokenRevoke, kPolicyGet, kPolicySet, kPolicyDelete, kPolicyList, kExpireRenew,
  kExpireRevoke, kExpireLookup, kQuotaRefused, kRequestConflict, kRequestRefused, kSpansDropped, kSpansSent, kEnd
};
enum class Sample : std::uint8_t {
  kHandleRequest, kHandleLogin, kCheckToken, kFetchAcl, kAuditRequest, kAuditResponse, kRaftApply, kRaftCommit, kEnd
};
enum class RouteOp : std::uint8_t { kCreate, kRead, kUpdate, kDelete, kList, kEnd };

// Nanoseconds of a clock that only goes forward, for differences.
std::int64_t now_ns() noexcept;

// Any thread.
void add(Count which, std::uint64_t by = 1) noexcept;
void took(Sample which, std::int64_t nanoseconds) noexcept;
void took_route(std::uint32_t slot, RouteOp op, std::int64_t nanoseconds) noexcept;

// The slot of a mount's path, the same for the same path. Beyond kRoutesMax mounts all others share one.
inline constexpr std::uint32_t kRoutesMax = 256;
std::uint32_t route_slot(std::string_view mount_path);

// Durations: what a summary of them needs.
struct Durations {
  static constexpr std::size_t kBuckets = 52;  // two a power of two, from a microsecond to some 68 s
  std::uint64_t count = 0;
  double sum_ms = 0;
  double max_ms = 0;
  std::array<std::uint64_t, kBuckets> buckets{};

  // The duration that the part `q` of all is not above, as near as the buckets tell; 0 when there is none.
  double quantile_ms(double q) const noexcept;
};

struct Label {
  std::string name;
  std::string value;
};

// One reading, with what the caller adds.
struct Reading {
  struct Gauge {
    std::string name;  // "vault.core.unsealed"
    double value = 0;
    std::vector<Label> labels = {};
  };
  struct Counter {
    std::string name;
    std::uint64_t count = 0;
  };
  struct Summary {
    std::string name;
    Durations durations;
  };
  std::vector<Gauge> gauges;
  std::vector<Counter> counters;
  std::vector<Summary> summaries;
};

// Sums over all threads; each figure is read without stopping anyone.
void read(Reading& into);

// The text format that Prometheus reads: '.', '-' and '/' of names become '_'. `labels` are added to every line.
std::string prometheus_text(const Reading& reading, const std::vector<Label>& labels = {});
// As Vault's clients read it: {"Timestamp", "Gauges", "Points", "Counters", "Samples"}, sorted by name.
std::string json_text(const Reading& reading, std::string_view timestamp, double seconds_up);

}  // namespace coffer::metrics
