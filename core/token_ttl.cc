#include "core/token_ttl.h"

#include <algorithm>

#include "base/mutant.h"

namespace coffer::core {

Result<TtlGrant> grant_ttl(const TtlRequest& request) {
  for (const Nanos given : {request.requested, request.explicit_max, request.period})
    if (given < Nanos(0))
      return Status(Code::kInvalid, "a TTL must not be negative");
  TtlGrant grant;
  grant.ttl = request.requested > Nanos(0) ? request.requested : request.default_ttl;
  WallTime last = WallTime(Nanos::max());
  if (request.period > Nanos(0) && !mutant(Mutant::kPeriodCapped))
    grant.ttl = std::min(request.period, kTtlMax);
  else
    last = request.created + std::min(request.max_ttl, kTtlMax);
  if (request.explicit_max > Nanos(0))
    last = std::min(last, request.created + std::min(request.explicit_max, kTtlMax));
  grant.ttl = std::min(grant.ttl, kTtlMax);
  if (request.now + grant.ttl > last && !mutant(Mutant::kRenewBeyondMaximum)) {
    grant.ttl = last - request.now;
    grant.capped = true;
  }
  if (grant.ttl < std::chrono::seconds(1) && mutant(Mutant::kZeroTtlMeansForever)) {
    grant.ttl = Nanos(0);
    return grant;
  }
  if (grant.ttl <= Nanos(0))
    return Status(Code::kInvalid, "the token is past its maximum TTL and cannot be renewed");
  grant.expires = request.now + grant.ttl;
  return grant;
}

}  // namespace coffer::core
