#include "core/lease_revoke.h"

#include <algorithm>

#include "base/limits.h"
#include "base/mutant.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr Nanos kFirstPause = std::chrono::seconds(10);
constexpr Nanos kPauseMax = std::chrono::minutes(10);
constexpr std::size_t kErrorBytesMax = 1024;

struct Owner {
  const MountRecord* mount = nullptr;
  const LeaseKind* kind = nullptr;
};

Owner owner_of(const Published& published, const LeaseRecord& lease) {
  const Route* route = published.router->by_id(lease.ns, lease.mount);
  if (route == nullptr || route->engine == nullptr)
    return {};
  return {&route->record, route->engine->lease_kind(lease.kind)};
}

Status note_failure(LeaseStore& leases, const LeaseRecord& lease, WallTime now, std::string_view error) {
  LeaseRecord after = lease;
  after.error = error.substr(0, kErrorBytesMax);
  if (after.state == LeaseState::kActive)
    after.state = LeaseState::kRevoking;
  if (after.state == LeaseState::kPending)
    after.state = LeaseState::kAbandoned;
  ++after.tries;
  const bool given_up = after.tries >= limits::kRevokeTriesMax;
  if (given_up)
    after.state = LeaseState::kIrrevocable;
  after.due = given_up ? now : now + std::min(kPauseMax, kFirstPause * (1u << (after.tries - 1)));
  return leases.replace(lease, after);
}

Status remove(TxnImpl& txn, json::Arena& arena, const LeaseRecord& lease, const Owner& owner) {
  if (owner.kind != nullptr) {
    const MountInfo& mount = owner.mount->info;
    Storage storage(txn, mount.namespace_id, mount.id, owner.mount->key_class());
    LeaseContext context{storage, mount, arena, lease.id, lease.data, txn.now(), lease.expires};
    COFFER_TRY(owner.kind->revoked(context));
  }
  return LeaseStore(txn, arena).erase(lease);
}

}  // namespace

Result<std::optional<OutsideCall>> plan_revocation(TxnImpl& txn, const Published& published, json::Arena& arena,
                                                   const LeaseRecord& lease) {
  LeaseStore leases(txn, arena);
  const Owner owner = owner_of(published, lease);
  if (owner.kind == nullptr) {
    COFFER_TRY(note_failure(leases, lease, txn.now(), "nothing is mounted that could revoke this lease"));
    return std::optional<OutsideCall>();
  }
  const MountInfo& mount = owner.mount->info;
  Storage storage(txn, mount.namespace_id, mount.id, owner.mount->key_class());
  LeaseContext context{storage, mount, arena, lease.id, lease.data, txn.now(), lease.expires};
  Result<OutsideCall> call = owner.kind->revoke(context);
  if (!call.ok()) {
    COFFER_TRY(note_failure(leases, lease, txn.now(), call.status().message()));
    return std::optional<OutsideCall>();
  }
  if (!*call) {
    COFFER_TRY(remove(txn, arena, lease, owner));
    return std::optional<OutsideCall>();
  }
  LeaseRecord marked = lease;
  if (lease.state == LeaseState::kActive || lease.state == LeaseState::kIrrevocable)
    marked.state = LeaseState::kRevoking;
  if (lease.state == LeaseState::kPending)
    marked.state = LeaseState::kAbandoned;
  if (marked.state != lease.state)
    COFFER_TRY(leases.replace(lease, marked));
  return std::optional<OutsideCall>(std::move(*call));
}

Status conclude_revocation(TxnImpl& txn, const Published& published, json::Arena& arena, std::string_view key,
                           const Status& called) {
  LeaseStore leases(txn, arena);
  COFFER_ASSIGN(const auto lease, leases.stored(key));
  if (!lease || lease->state == LeaseState::kActive || lease->state == LeaseState::kPending)
    return ok_status();
  if (!called.ok() && !mutant(Mutant::kRevokeErrorIgnored))
    return note_failure(leases, *lease, txn.now(), called.message());
  if (lease->state == LeaseState::kRevokedOnce && lease->due > txn.now())
    return ok_status();  // the call that made it may still come
  if (lease->state != LeaseState::kAbandoned || mutant(Mutant::kIntentRevokedOnce))
    return remove(txn, arena, *lease, owner_of(published, *lease));
  LeaseRecord after = *lease;
  after.state = LeaseState::kRevokedOnce;
  after.tries = 0;
  after.error = {};
  after.due = std::max(txn.now(), lease->call_ends + limits::kOutsideClockBound) + limits::kIntentAgainAfter;
  return leases.replace(*lease, after);
}

Status end_named(TxnImpl& txn, const Published& published, json::Arena& arena, const LeaseStore::Named& named,
                 WallTime until, bool force) {
  if (named.key.empty()) {
    TokenStore tokens(txn, published, arena);
    COFFER_ASSIGN(const auto token, tokens.stored(named.token_hash));
    return token && token->record.created <= until ? tokens.revoke_tree(named.token_hash) : ok_status();
  }
  LeaseStore leases(txn, arena);
  COFFER_ASSIGN(const auto lease, leases.stored(named.key));
  if (!lease || lease->issued > until)
    return ok_status();
  // The call of an intent may still be under way: only when it is over can its lease be forgotten.
  return force && !lease->intent() ? forget_lease(txn, published, arena, *lease) : leases.end(*lease);
}

Status forget_lease(TxnImpl& txn, const Published& published, json::Arena& arena, const LeaseRecord& lease) {
  return remove(txn, arena, lease, owner_of(published, lease));
}

}  // namespace coffer::core
