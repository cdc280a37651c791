#include "core/lease_grant.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/lease_store.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

Result<TtlGrant> choose_ttl(CallContext& ctx, const MountInfo& mount, WallTime issued, Nanos asked, Nanos max_ttl) {
  TtlRequest request{ctx.now, issued};
  request.requested = asked;
  request.default_ttl = default_lease_ttl(mount, ctx.published.config);
  request.max_ttl = max_ttl;
  COFFER_ASSIGN(const TtlGrant ttl, grant_ttl(request));
  if (ttl.capped)
    warn(ctx.response, ctx.arena,
         "TTL of \"" + format_duration_short(request.requested > Nanos(0) ? request.requested : request.default_ttl) +
             "\" exceeded the effective max_ttl of \"" + format_duration_short(max_ttl) +
             "\"; TTL value is capped accordingly");
  return ttl;
}

// The call has come back, or was not made at all.
Status conclude(CallContext& ctx, const std::string& key, const Status& called) {
  LeaseStore leases(ctx.txn, ctx.arena);
  COFFER_ASSIGN(const auto stored, leases.stored(key));
  if (!stored || stored->state != LeaseState::kPending) {
    if (!called.ok())
      return ok_status();
    return Status(Code::kUnavailable, "the lease was revoked before its secret was ready");
  }
  LeaseRecord after = *stored;
  if (called.ok()) {
    after.state = LeaseState::kActive;
    after.due = after.expires;
  } else {
    if (mutant(Mutant::kIntentForgottenOnFailure))
      return leases.erase(*stored);
    after.state = LeaseState::kAbandoned;
    after.due = ctx.now;
  }
  return leases.replace(*stored, after);
}

}  // namespace

Nanos default_lease_ttl(const MountInfo& mount, const SystemConfig& system) {
  const Nanos own = mutant(Mutant::kLeaseMountTtlIgnored) ? Nanos(0) : mount.default_lease_ttl;
  return std::min(own > Nanos(0) ? own : system.default_lease_ttl, max_lease_ttl(mount, system));
}

Nanos max_lease_ttl(const MountInfo& mount, const SystemConfig& system) {
  const Nanos own = mutant(Mutant::kLeaseMountTtlIgnored) ? Nanos(0) : mount.max_lease_ttl;
  return own > Nanos(0) ? own : system.max_lease_ttl;
}

Status grant_lease(CallContext& ctx) {
  const LeaseGrant& grant = *ctx.lease;
  COFFER_CHECK(grant.kind.size() <= limits::kLeaseKindBytesMax);
  COFFER_CHECK(ctx.route.engine->lease_kind(grant.kind) != nullptr);
  if (grant.data.size() > limits::kLeaseDataBytesMax)
    return Status(Code::kTooLarge, "what the lease must keep is larger than a lease may be");
  LeaseRecord record;
  record.max_ttl = max_lease_ttl(ctx.mount, ctx.published.config);
  if (grant.max_ttl > Nanos(0))
    record.max_ttl = std::min(record.max_ttl, grant.max_ttl);
  // A batch token has no records to hang a lease on: it hangs on the token that made it, and ends with it.
  const bool batch = ctx.token != nullptr && ctx.token->type == TokenType::kBatch;
  if (batch && ctx.token->expires)
    record.max_ttl = std::min(record.max_ttl, *ctx.token->expires - ctx.now);
  COFFER_ASSIGN(const TtlGrant ttl, choose_ttl(ctx, ctx.mount, ctx.now, grant.ttl, record.max_ttl));
  COFFER_ASSIGN(const std::string key, random_base62(ctx.random, kLeaseKeyText));
  record.renewable = grant.renewable;
  record.ns = ctx.mount.namespace_id;
  record.mount = ctx.mount.id;
  record.issued = record.renewed = ctx.now;
  record.ttl = ttl.ttl;
  record.expires = record.due = *ttl.expires;
  record.id = ctx.arena.copy(std::string(ctx.full_path).append("/").append(key));
  record.token_hash = batch ? ctx.token->parent : ctx.token_hash;
  record.kind = grant.kind;
  record.data = grant.data;
  if (grant.make && mutant(Mutant::kOutsideBeforeIntent)) {
    COFFER_TRY(grant.make(limits::kOutsideTimeMax, ctx.response, ctx.arena));
  } else if (grant.make) {
    record.state = LeaseState::kPending;
    record.call_ends = ctx.now + limits::kOutsideTimeMax;
    record.due = record.call_ends + limits::kOutsideClockBound;
    ctx.outside = OutsideWork{grant.make, record.call_ends, [key](CallContext& again, const Status& called) {
                                return conclude(again, key, called);
                              }};
  }
  LeaseStore leases(ctx.txn, ctx.arena);
  COFFER_TRY(leases.add(record));
  ctx.leases_out.push_back(record.key());
  ctx.response.lease_id = record.id;
  ctx.response.lease_duration = record.ttl;
  ctx.response.renewable = record.renewable;
  return ok_status();
}

Result<LeaseTerm> renewed_term(CallContext& ctx, const LeaseRecord& lease, const MountInfo& mount, Nanos increment) {
  const Nanos max_ttl = std::min(lease.max_ttl, max_lease_ttl(mount, ctx.published.config));
  COFFER_ASSIGN(const TtlGrant ttl, choose_ttl(ctx, mount, lease.issued, increment, max_ttl));
  return LeaseTerm{ttl.ttl, *ttl.expires};
}

}  // namespace coffer::core
