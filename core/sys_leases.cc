#include <algorithm>
#include <map>
#include <memory>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/lease_grant.h"
#include "core/lease_revoke.h"
#include "core/lease_store.h"
#include "core/sys_engine.h"
#include "core/tidy.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr std::string_view kNotFound = "lease not found";
constexpr std::size_t kEntryLeasesMax = 256;         // ended in the request's own entry; more are a job's
constexpr std::int64_t kListedDefault = 10'000;      // irrevocable leases listed unless told otherwise

LeaseStore store_of(CallContext& ctx) { return LeaseStore(ctx.txn, ctx.arena); }

NamespaceId namespace_of(const CallContext& ctx) { return ctx.mount.namespace_id; }

// In the body, or at the end of the path.
Result<std::string_view> lease_id(CallContext& ctx) {
  COFFER_ASSIGN(std::string_view id, ctx.string_field("lease_id", ""));
  if (id.empty())
    id = ctx.captures.empty() ? std::string_view() : ctx.captures.front();
  if (id.empty())
    return Status(Code::kInvalid, "lease_id must be specified");
  return id;
}

// The hash in the id of a token's lease, or nothing.
std::string_view token_hash_in(std::string_view id) {
  const std::string_view tail = id.substr(id.rfind('/') + 1);
  return tail.size() == 1 + kTokenHashText && tail.front() == 'h' ? tail.substr(1) : std::string_view();
}

// A token that ends, by the id of its lease; nothing when that names none.
Result<std::optional<StoredToken>> token_of(CallContext& ctx, std::string_view id) {
  const std::string_view hash = token_hash_in(id);
  if (hash.empty())
    return std::optional<StoredToken>();
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  COFFER_ASSIGN(const auto token, tokens.live(hash));
  if (!token || !token->record.expires || token_lease_id(token->record.path, hash) != id)
    return std::optional<StoredToken>();
  // What another namespace holds does not exist here (advisory F3).
  if (token->record.ns != namespace_of(ctx) && !mutant(Mutant::kTokenLeaseOfOtherNamespace))
    return std::optional<StoredToken>();
  return token;
}

json::Value time_or_null(json::Arena& arena, bool set, WallTime time) {
  return set ? json::Value::string(arena, format_time(time)) : json::Value();
}

Status handle_lookup(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view id, lease_id(ctx));
  json::ObjectBuilder data(ctx.arena, 12);
  const auto show = [&](WallTime issued, WallTime renewed, WallTime expires, bool renewable) {
    data.add("expire_time", format_time(expires))
        .add("id", id)
        .add("issue_time", format_time(issued))
        .add("last_renewal", time_or_null(ctx.arena, renewed != issued, renewed));
    if (!ctx.ns.is_root())
      data.add("namespace_path", ctx.ns.path);
    data.add("path", id.substr(0, id.rfind('/')))
        .add("renewable", renewable)
        .add("ttl", std::max<std::int64_t>(0, whole_seconds(expires - ctx.now)));
  };
  COFFER_ASSIGN(const auto token, token_of(ctx, id));
  if (token) {
    const TokenRecord& record = token->record;
    show(record.created, record.renewed, *record.expires, record.renewable);
  } else {
    COFFER_ASSIGN(const auto lease, store_of(ctx).find(namespace_of(ctx), id));
    const bool shown = lease && (lease->live(ctx.now) || lease->state == LeaseState::kIrrevocable);
    if (!shown)
      return Status(Code::kInvalid, std::string(kNotFound));
    show(lease->issued, lease->renewed, lease->expires, lease->renewable);
    if (!lease->error.empty())
      data.add("revoke_error", lease->error);
  }
  ctx.response.data = data.build();
  return ok_status();
}

Status handle_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::string folder(ctx.captures.empty() ? std::string_view() : ctx.captures.front());
  if (!folder.empty() && folder.back() != '/')
    folder.push_back('/');
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", 0, -1, INT32_MAX));
  COFFER_ASSIGN(const ListPage page, store_of(ctx).list(namespace_of(ctx), folder, after,
                                                        limit > 0 ? static_cast<std::size_t>(limit) : 0));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, page.names);
  if (page.more)
    warn(ctx.response, ctx.arena, "There are more leases than these; ask again with the last one as \"after\".");
  return ok_status();
}

void answer_renewed(CallContext& ctx, const LeaseRecord& lease) {
  ctx.response.lease_id = lease.id;
  ctx.response.lease_duration = lease.ttl;
  ctx.response.renewable = lease.renewable;
}

Status write_renewed(CallContext& ctx, const LeaseRecord& before, const LeaseTerm& term) {
  LeaseRecord after = before;
  after.ttl = term.ttl;
  after.expires = after.due = term.expires;
  after.renewed = ctx.now;
  COFFER_TRY(store_of(ctx).replace(before, after));
  answer_renewed(ctx, after);
  return ok_status();
}

// The outside is told first: should this node fail then, what is leased lasts longer there than its lease, which
// revokes it all the same.
Status renew_outside(CallContext& ctx, const LeaseRecord& lease, const LeaseTerm& term, const OutsideCall& renew) {
  COFFER_TRY(store_of(ctx).replace(lease, lease));
  const std::string key(lease.key());
  ctx.outside = OutsideWork{
      [renew](Nanos time_max, Response&, json::Arena&) { return renew(time_max); }, ctx.now + limits::kOutsideTimeMax,
      [key, term](CallContext& again, const Status& called) {
        if (!called.ok())
          return ok_status();
        COFFER_ASSIGN(const auto now, store_of(again).stored(key));
        if (!now || !now->live(again.now))
          return Status(Code::kInvalid, std::string(kNotFound));
        return write_renewed(again, *now, term);
      }};
  return ok_status();
}

Status handle_renew(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view id, lease_id(ctx));
  COFFER_ASSIGN(const Nanos increment, ctx.duration_field("increment", Nanos(0)));
  COFFER_ASSIGN(const auto token, token_of(ctx, id));
  if (token)
    return Status(Code::kInvalid, "tokens cannot be renewed through this endpoint");
  COFFER_ASSIGN(const auto lease, store_of(ctx).find(namespace_of(ctx), id));
  if (!lease || !lease->live(ctx.now))
    return Status(Code::kInvalid, std::string(kNotFound));
  if (!lease->renewable)
    return Status(Code::kInvalid, "lease is not renewable");
  const Route* route = ctx.published.router->by_id(lease->ns, lease->mount);
  const LeaseKind* kind =
      route == nullptr || route->engine == nullptr ? nullptr : route->engine->lease_kind(lease->kind);
  if (kind == nullptr)
    return Status(Code::kInvalid, "nothing is mounted that could renew this lease");
  const MountInfo& mount = route->record.info;
  COFFER_ASSIGN(const LeaseTerm term, renewed_term(ctx, *lease, mount, increment));
  Storage storage(ctx.txn, mount.namespace_id, mount.id, route->record.key_class());
  LeaseContext context{storage, mount, ctx.arena, lease->id, lease->data, ctx.now, term.expires};
  COFFER_ASSIGN(const OutsideCall renew, kind->renew(context));
  return renew ? renew_outside(ctx, *lease, term, renew) : write_renewed(ctx, *lease, term);
}

// What was asked for takes effect with the answer, or the answer says why not.
struct Calls {
  std::vector<std::pair<std::string, OutsideCall>> of;  // by lease
  std::vector<Status> outcomes;                         // of those that were made, in order
};

Status call_all(Calls& calls, Nanos time_max) {
  calls.outcomes.clear();
  for (const auto& [key, outside] : calls.of)
    calls.outcomes.push_back(outside(time_max));
  for (const Status& status : calls.outcomes)
    if (!status.ok())
      return Status(Code::kInvalid, "failed to revoke a lease: " + std::string(status.message()));
  return ok_status();
}

// Their calls are made before the answer leaves. With `force` what they say does not matter.
void wait_for(CallContext& ctx, std::shared_ptr<Calls> calls, bool force) {
  if (calls->of.empty())
    return;
  ctx.outside = OutsideWork{[calls, force](Nanos time_max, Response&, json::Arena&) {
                              const Status status = call_all(*calls, time_max);
                              return force ? ok_status() : status;
                            },
                            ctx.now + limits::kOutsideTimeMax,
                            [calls, force](CallContext& again, const Status&) {
                              for (std::size_t i = 0; i < calls->outcomes.size(); ++i) {
                                const std::string_view key = again.arena.copy(calls->of[i].first);
                                if (!force) {
                                  COFFER_TRY(conclude_revocation(again.txn, again.published, again.arena, key,
                                                                 calls->outcomes[i]));
                                  continue;
                                }
                                COFFER_ASSIGN(const auto lease, store_of(again).stored(key));
                                if (lease)
                                  COFFER_TRY(forget_lease(again.txn, again.published, again.arena, *lease));
                              }
                              return ok_status();
                            }};
}

// One whose revocation failed before is tried again at once, and not when its pause is over. Without a write no call
// would be made, and the answer would speak of a revocation that nobody tried (advisory G6).
Status end_again(CallContext& ctx, const LeaseRecord& lease) {
  LeaseStore leases = store_of(ctx);
  if (lease.state != LeaseState::kRevoking)
    return leases.end(lease);
  LeaseRecord after = lease;
  after.due = std::min(lease.due, ctx.now);
  return leases.replace(lease, after);
}

Status end_now(CallContext& ctx, const LeaseRecord& lease, bool force, Calls& calls) {
  LeaseStore leases = store_of(ctx);
  COFFER_TRY(end_again(ctx, lease));
  COFFER_ASSIGN(const auto ended, leases.stored(lease.key()));
  // The call that makes it may still be under way: it is revoked when that is over.
  if (!ended || ended->intent())
    return ok_status();
  COFFER_ASSIGN(std::optional<OutsideCall> outside, plan_revocation(ctx.txn, ctx.published, ctx.arena, *ended));
  if (outside) {
    calls.of.emplace_back(std::string(lease.key()), std::move(*outside));
  } else if (force) {
    COFFER_ASSIGN(const auto left, leases.stored(lease.key()));
    return left ? forget_lease(ctx.txn, ctx.published, ctx.arena, *left) : ok_status();
  }
  return ok_status();
}

Status handle_revoke(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view id, lease_id(ctx));
  COFFER_ASSIGN(const bool sync, ctx.bool_field("sync", false));
  ctx.response.status = sync ? 204 : 202;
  COFFER_ASSIGN(const auto token, token_of(ctx, id));
  if (token)
    return TokenStore(ctx.txn, ctx.published, ctx.arena).revoke_tree(token->hash);
  COFFER_ASSIGN(const auto lease, store_of(ctx).find(namespace_of(ctx), id));
  if (!lease)
    return ok_status();
  if (!sync)
    return end_again(ctx, *lease);
  const auto calls = std::make_shared<Calls>();
  COFFER_TRY(end_now(ctx, *lease, false, *calls));
  wait_for(ctx, calls, false);
  return ok_status();
}

Status start_job(CallContext& ctx, std::string_view prefix, bool force) {
  Job job;
  COFFER_ASSIGN(const std::string uuid, random_uuid(ctx.random));
  job.id = "leases-" + uuid;
  job.kind = Job::Kind::kEndLeases;
  job.ns = namespace_of(ctx);
  job.prefix = prefix;
  job.force = force;
  return add_job(ctx.txn, job);
}

Status revoke_prefix(CallContext& ctx, bool force, bool sync) {
  std::string prefix(ctx.captures.front());
  ctx.response.status = sync ? 204 : 202;
  LeaseStore leases = store_of(ctx);
  const auto calls = std::make_shared<Calls>();
  if (!prefix.empty() && prefix.back() != '/') {
    COFFER_ASSIGN(const auto one, leases.find(namespace_of(ctx), prefix));
    if (one && sync)
      COFFER_TRY(end_now(ctx, *one, force, *calls));
    else if (one)
      COFFER_TRY(end_again(ctx, *one));
    prefix.push_back('/');
  }
  COFFER_ASSIGN(const LeaseStore::NamedPage page, leases.named(namespace_of(ctx), prefix, {}, kEntryLeasesMax));
  if (!page.next.empty()) {
    ctx.response.status = 202;
    if (sync)
      warn(ctx.response, ctx.arena, "There are too many leases to wait for: they are revoked in the background.");
    return start_job(ctx, prefix, force);
  }
  for (const LeaseStore::Named& named : page.leases) {
    if (named.key.empty() || !sync) {
      COFFER_TRY(end_named(ctx.txn, ctx.published, ctx.arena, named, ctx.now, false));
      continue;
    }
    COFFER_ASSIGN(const auto lease, leases.stored(named.key));
    if (lease)
      COFFER_TRY(end_now(ctx, *lease, force, *calls));
  }
  wait_for(ctx, calls, force);
  return ok_status();
}

Status handle_revoke_prefix(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const bool sync, ctx.bool_field("sync", false));
  return revoke_prefix(ctx, false, sync);
}

Status handle_revoke_force(HandlerContext& base) { return revoke_prefix(call(base), true, true); }

Status handle_tidy(HandlerContext& base) { return start_tidy(call(base), TidyKind::kLeases); }
Status handle_tidied(HandlerContext& base) { return show_tidy(call(base), TidyKind::kLeases); }

struct Irrevocable {
  std::vector<LeaseRecord> leases;
  bool more = false;
};

// What is left of a namespace that is gone is the root's.
bool is_below(const CallContext& ctx, NamespaceId ns) {
  const NamespaceRecord* record = ctx.published.namespaces->find(ns);
  return record == nullptr ? ctx.ns.is_root() : ctx.ns.covers(*record);
}

Result<Irrevocable> irrevocable(CallContext& ctx, std::size_t limit) {
  Irrevocable out;
  const NamespaceId ns = namespace_of(ctx);
  COFFER_ASSIGN(const bool below, ctx.bool_field("include_child_namespaces", false));
  std::string from;
  do {
    COFFER_ASSIGN(TxnImpl::NamePage page,
                  ctx.txn.names(layout::token_key(layout::kLeaseBadPrefix), from, limits::kJobStepKeysMax, false));
    for (const std::string_view name : page.names) {
      COFFER_ASSIGN(const auto lease, store_of(ctx).stored(name.substr(layout::kLeaseBadPrefix.size())));
      if (!lease || (lease->ns != ns && !(below && is_below(ctx, lease->ns))))
        continue;
      if (out.leases.size() == limit) {
        out.more = true;
        return out;
      }
      out.leases.push_back(*lease);
    }
    from = page.next;
  } while (!from.empty());
  return out;
}

Status check_type(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view type, ctx.string_field("type", ""));
  return type == "irrevocable" ? ok_status()
                               : Status(Code::kInvalid, "field \"type\" must be \"irrevocable\": no other is counted");
}

std::string mount_of(const CallContext& ctx, const LeaseRecord& lease) {
  const Route* route = ctx.published.router->by_id(lease.ns, lease.mount);
  return route == nullptr ? std::string() : route->record.info.accessor;
}

Status handle_count(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_type(ctx));
  COFFER_ASSIGN(const Irrevocable found, irrevocable(ctx, SIZE_MAX));
  std::map<std::string, std::int64_t> counts;
  for (const LeaseRecord& lease : found.leases)
    ++counts[mount_of(ctx, lease)];
  json::ObjectBuilder by_mount(ctx.arena, counts.size() + 1);
  for (const auto& [mount, count] : counts)
    by_mount.add(mount, count);
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("counts", by_mount.build())
                          .add("lease_count", static_cast<std::int64_t>(found.leases.size()))
                          .build();
  return ok_status();
}

Status handle_irrevocable(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_type(ctx));
  const json::Value given = ctx.field("limit");
  std::size_t limit = kListedDefault;
  if (given.is_string() && given.as_string() == "none") {
    limit = SIZE_MAX;
  } else {
    COFFER_ASSIGN(const std::int64_t wished, ctx.int_field("limit", kListedDefault, 1, INT32_MAX));
    limit = static_cast<std::size_t>(wished);
  }
  COFFER_ASSIGN(const Irrevocable found, irrevocable(ctx, limit));
  json::ArrayBuilder list(ctx.arena, found.leases.size() + 1);
  for (const LeaseRecord& lease : found.leases)
    list.add(json::ObjectBuilder(ctx.arena, 3)
                 .add("error", lease.error)
                 .add("lease_id", lease.id)
                 .add("mount_id", mount_of(ctx, lease))
                 .build());
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("lease_count", static_cast<std::int64_t>(found.leases.size()))
                          .add("leases", list.build())
                          .build();
  if (found.more)
    warn(ctx.response, ctx.arena, "There are more irrevocable leases than these; limit=none lists them all.");
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_lease_specs() {
  const Field id = {"lease_id", FieldType::kString, "The lease, as the answer that came with it named it."};
  const Field sync = {"sync", FieldType::kBool, "Answer only when it is revoked."};
  const Field increment = {"increment", FieldType::kDuration, "How long it shall last from now on."};
  const std::vector<Field> which = {
      {"type", FieldType::kString, "irrevocable", true},
      {"include_child_namespaces", FieldType::kBool, "Those of the namespaces below as well."},
      {"limit", FieldType::kAny, "At most so many, or \"none\"."}};
  const std::vector<Field> page = {{"after", FieldType::kString, "Only names that stand after this one."},
                                   {"limit", FieldType::kInt, "At most so many names."}};
  std::vector<PathSpec> specs;
  const auto add = [&specs](std::string_view pattern, std::string_view help, std::vector<Field> fields,
                            OperationSpec operation, bool sudo = false) {
    specs.push_back({pattern, help, std::move(fields), {operation}, nullptr, false, sudo});
  };
  add("leases", "Leases that could not be revoked.", which,
      {Operation::kRead, Effect::kReads, handle_irrevocable, "Lists irrevocable leases."}, true);
  add("leases/count", "How many leases could not be revoked.", which,
      {Operation::kRead, Effect::kReads, handle_count, "Counts irrevocable leases."});
  specs.push_back({"leases/tidy",
                   "Remove what damage left of leases.",
                   {},
                   {{Operation::kWrite, Effect::kWrites, handle_tidy, "Starts tidying up."},
                    {Operation::kRead, Effect::kReads, handle_tidied, "Shows what the last run found."}},
                   nullptr,
                   false,
                   true});
  add("leases/lookup", "What is known of a lease.", {id},
      {Operation::kWrite, Effect::kReads, handle_lookup, "Looks up a lease."});
  add("leases/lookup/*prefix?", "Leases by the beginning of their ids.", page,
      {Operation::kList, Effect::kReads, handle_list, "Lists leases."}, true);
  for (const std::string_view prefix : {"leases/", ""}) {
    const bool old = prefix.empty();
    add(old ? "renew" : "leases/renew", "Let a lease last longer.", {id, increment},
        {Operation::kWrite, Effect::kOutside, handle_renew, "Renews a lease."});
    add(old ? "renew/*url_lease_id" : "leases/renew/*url_lease_id", "Let a lease last longer.", {id, increment},
        {Operation::kWrite, Effect::kOutside, handle_renew, "Renews a lease."});
    add(old ? "revoke" : "leases/revoke", "End a lease and what it is for.", {id, sync},
        {Operation::kWrite, Effect::kOutside, handle_revoke, "Revokes a lease."});
    add(old ? "revoke/*url_lease_id" : "leases/revoke/*url_lease_id", "End a lease and what it is for.", {id, sync},
        {Operation::kWrite, Effect::kOutside, handle_revoke, "Revokes a lease."});
    add(old ? "revoke-prefix/*prefix" : "leases/revoke-prefix/*prefix", "End all leases below a path.", {sync},
        {Operation::kWrite, Effect::kOutside, handle_revoke_prefix, "Revokes leases."}, true);
    add(old ? "revoke-force/*prefix" : "leases/revoke-force/*prefix",
        "Forget all leases below a path, whatever the system outside says.", {},
        {Operation::kWrite, Effect::kOutside, handle_revoke_force, "Removes leases."}, true);
  }
  return specs;
}

}  // namespace coffer::core
