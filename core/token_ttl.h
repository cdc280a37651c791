// How long a token lives. Pure. An expiry is a time or "never", never a number of seconds in which zero could mean
// either (advisory G1).
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

// Longer durations are taken as this, so that adding to a time never overflows.
inline constexpr Nanos kTtlMax = std::chrono::hours(24 * 365 * 100);

struct TtlRequest {
  WallTime now;
  WallTime created;         // equal to now for a new token
  Nanos requested{0};       // 0: the default
  Nanos default_ttl{0};
  Nanos max_ttl{0};         // counted from `created`
  Nanos explicit_max{0};    // 0: none; counted from `created`
  Nanos period{0};          // above 0: this long at each renewal, and no max_ttl
};

struct TtlGrant {
  std::optional<WallTime> expires;  // always set by grant_ttl(); nothing is for root tokens without a TTL
  Nanos ttl{0};
  bool capped = false;
};

// kInvalid when nothing is left to grant.
Result<TtlGrant> grant_ttl(const TtlRequest& request);

}  // namespace coffer::core
