#include "core/token_engine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/split.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/path_table.h"
#include "core/tidy.h"
#include "core/token_create.h"
#include "core/token_issue.h"
#include "core/token_roles.h"
#include "core/token_store.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

TokenStore store_of(CallContext& ctx) { return TokenStore(ctx.txn, ctx.published, ctx.arena); }

// The token that a request is about, and its text where the client told it.
struct Subject {
  StoredToken token;
  std::string_view text;
};

Result<std::optional<Subject>> by_text(CallContext& ctx, std::string_view text) {
  COFFER_ASSIGN(const auto token, store_of(ctx).live_by_text(text));
  return token && ctx.in_reach(token->record) ? std::optional(Subject{*token, text}) : std::nullopt;
}

// Field `token`, or the calling token when it is absent.
Result<std::optional<Subject>> named_or_self(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("token", ""));
  return by_text(ctx, text.empty() ? ctx.request.token : text);
}

// Field `accessor`. kInvalid when it is missing; nothing when it is not known.
Result<std::optional<Subject>> by_accessor(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("accessor", ""));
  if (accessor.empty())
    return Status(Code::kInvalid, one_error("missing accessor"));
  TokenStore tokens = store_of(ctx);
  COFFER_ASSIGN(const auto token, tokens.live_by_accessor(accessor));
  return token && ctx.in_reach(token->record) ? std::optional(Subject{*token, {}}) : std::nullopt;
}

json::Value networks_of(json::Arena& arena, std::string_view joined) {
  std::vector<std::string_view> networks;
  for (std::string_view network; take_item(joined, network);)
    networks.push_back(network);
  return text_list(arena, networks);
}

Status show(CallContext& ctx, const Subject& subject) {
  const TokenRecord& record = subject.token.record;
  COFFER_ASSIGN(const Auth auth, full_auth_of(ctx, record, subject.text));
  json::ObjectBuilder data(ctx.arena, 24);
  data.add("accessor", record.accessor)
      .add("creation_time", whole_seconds(record.created.time_since_epoch()))
      .add("creation_ttl", whole_seconds(record.creation_ttl))
      .add("display_name", record.display_name)
      .add("entity_id", record.entity)
      .add("expire_time", record.expires ? json::Value::string(ctx.arena, format_time(*record.expires)) : json::Value())
      .add("explicit_max_ttl", whole_seconds(record.explicit_max_ttl));
  if (!auth.identity_policies.empty())
    data.add("external_namespace_policies", json::ObjectBuilder(ctx.arena).build());
  data.add("id", subject.text);
  if (!auth.identity_policies.empty())
    data.add("identity_policies", text_list(ctx.arena, auth.identity_policies));
  data.add("issue_time", format_time(record.created));
  if (record.renewed != record.created)
    data.add("last_renewal", format_time(record.renewed))
        .add("last_renewal_time", whole_seconds(record.renewed.time_since_epoch()));
  data.add("meta", auth.metadata)
      .add("num_uses", record.num_uses)
      .add("orphan", record.orphan)
      .add("path", record.path);
  if (!record.bound_cidrs.empty())
    data.add("bound_cidrs", networks_of(ctx.arena, record.bound_cidrs));
  if (record.period > Nanos(0))
    data.add("period", whole_seconds(record.period));
  const Nanos left = record.expires ? *record.expires - ctx.now : Nanos(0);
  data.add("policies", text_list(ctx.arena, auth.token_policies))
      .add("renewable", record.renewable);
  if (!record.role.empty() && record.path.starts_with("auth/token/"))
    data.add("role", record.role);
  data.add("ttl", whole_seconds(left))
      .add("type", type_name(record.type));
  ctx.response.data = data.build();
  return ok_status();
}

Status handle_lookup(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto subject, named_or_self(ctx));
  return subject ? show(ctx, *subject) : Status(Code::kDenied, "bad token");
}

Status handle_lookup_self(HandlerContext& base) {
  CallContext& ctx = call(base);
  return show(ctx, {{ctx.token_hash, *ctx.token}, ctx.request.token});
}

Status handle_lookup_accessor(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto subject, by_accessor(ctx));
  return subject ? show(ctx, *subject) : Status(Code::kInvalid, one_error("invalid accessor"));
}

// The mount that made the token; null when it is gone.
const Route* maker_of(const CallContext& ctx, const TokenRecord& record) {
  const NamespaceRecord* made = ctx.published.namespaces->find(record.ns);
  const Route* route = made == nullptr ? nullptr : ctx.published.router->match(made->path + std::string(record.path));
  return route != nullptr && route->record.table == MountTable::kAuth ? route : nullptr;
}

// What the login's mount allows now.
Result<TokenParams> ask_method(CallContext& ctx, const Route& route, const TokenRecord& record) {
  const MountInfo& mount = route.record.info;
  Storage storage(ctx.txn, mount.namespace_id, mount.id, route.record.key_class());
  CallContext inner{{ctx.request, ctx.response, ctx.arena, storage, mount, ctx.now, ctx.random, {}, {}, {},
                     ctx.operation},
                    ctx.txn, ctx.published, ctx.ns, ctx.acl_prefix, route, ctx.services, ctx.full_path};
  return route.engine->renew_login(inner, record.role, split_policies(record.policies));
}

Result<TtlRequest> renewal(CallContext& ctx, const TokenRecord& before) {
  COFFER_ASSIGN(const Nanos increment, ctx.duration_field("increment", Nanos(0)));
  const Route* route = maker_of(ctx, before);
  if (route == nullptr || route->engine == nullptr)
    return Status(Code::kInvalid, "the auth method that made the token is not there any more");
  TtlRequest request{ctx.now, before.created};
  request.requested = increment > Nanos(0) ? increment : before.ttl;
  request.max_ttl = max_ttl_of(ctx, route->record.info);
  request.explicit_max = before.explicit_max_ttl;
  request.period = before.period;
  Nanos role_max = before.max_ttl;
  if (route->record.info.type == "token" && !before.role.empty()) {
    const MountInfo& mount = route->record.info;
    Storage storage(ctx.txn, mount.namespace_id, mount.id, route->record.key_class());
    COFFER_ASSIGN(const auto role, find_token_role(storage, before.role));
    if (!role)
      return Status(Code::kInvalid,
                    "original token role \"" + std::string(before.role) + "\" could not be found, not renewing");
    request.period = role->params.period;
  }
  if (route->record.info.type != "token") {
    COFFER_ASSIGN(const TokenParams params, ask_method(ctx, *route, before));
    if (increment == Nanos(0))
      request.requested = params.ttl > Nanos(0) ? params.ttl : default_ttl_of(ctx, route->record.info);
    request.period = params.period;
    role_max = params.max_ttl;
  }
  if (role_max > Nanos(0))
    request.max_ttl = std::min(request.max_ttl, role_max);
  return request;
}

Status renew(CallContext& ctx, const Subject& subject) {
  const TokenRecord& before = subject.token.record;
  if (before.type == TokenType::kBatch)
    return Status(Code::kInvalid, "batch tokens cannot be renewed");
  if (!before.renewable || !before.expires)
    return Status(Code::kInvalid, "lease is not renewable");
  COFFER_ASSIGN(const TtlRequest request, renewal(ctx, before));
  COFFER_ASSIGN(const TtlGrant grant, grant_ttl(request));
  if (grant.capped)
    warn_of_capped_ttl(ctx, request.requested, request.max_ttl);
  TokenRecord after = before;
  after.ttl = grant.ttl;
  after.expires = grant.expires;
  after.renewed = ctx.now;
  COFFER_TRY(store_of(ctx).replace(subject.token.hash, before, after));
  COFFER_ASSIGN(ctx.response.auth, full_auth_of(ctx, after, subject.text));
  return ok_status();
}

Status handle_renew(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("token", ""));
  if (text.empty())
    return Status(Code::kInvalid, "missing token ID");
  COFFER_ASSIGN(const auto subject, by_text(ctx, text));
  return subject ? renew(ctx, *subject) : Status(Code::kInvalid, "token not found");
}

Status handle_renew_self(HandlerContext& base) {
  CallContext& ctx = call(base);
  return renew(ctx, {{ctx.token_hash, *ctx.token}, ctx.request.token});
}

Status handle_renew_accessor(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto subject, by_accessor(ctx));
  return subject ? renew(ctx, *subject) : Status(Code::kInvalid, one_error("invalid accessor"));
}

Status handle_revoke(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("token", ""));
  if (text.empty())
    return Status(Code::kInvalid, "missing token ID");
  if (text.starts_with(kBatchPrefix))
    return Status(Code::kInvalid, "batch tokens cannot be revoked");
  COFFER_ASSIGN(const auto subject, by_text(ctx, text));
  return subject ? store_of(ctx).revoke_tree(subject->token.hash) : ok_status();
}

Status handle_revoke_self(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.token->type == TokenType::kBatch)
    return Status(Code::kInvalid, "batch tokens cannot be revoked");
  return store_of(ctx).revoke_tree(ctx.token_hash);
}

Status handle_revoke_accessor(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto subject, by_accessor(ctx));
  if (!subject) {
    warn(ctx.response, ctx.arena, "No token found with this accessor");
    return ok_status();
  }
  return store_of(ctx).revoke_tree(subject->token.hash);
}

Status handle_revoke_orphan(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("token", ""));
  if (text.empty())
    return Status(Code::kInvalid, "missing token ID");
  COFFER_ASSIGN(const auto subject, by_text(ctx, text));
  if (!subject)
    return Status(Code::kInvalid, "token to revoke not found");
  if (subject->token.record.type == TokenType::kBatch)
    return Status(Code::kInvalid, "batch tokens cannot be revoked");
  return store_of(ctx).revoke_orphaning(subject->token.hash);
}

Status handle_accessors(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", 0, -1, INT32_MAX));
  const std::size_t most =
      limit <= 0 ? limits::kListNamesMax : std::min(static_cast<std::size_t>(limit), limits::kListNamesMax);
  COFFER_ASSIGN(const TokenStore::Accessors accessors, store_of(ctx).accessors(ctx.ns.id, after, most));
  if (accessors.texts.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, accessors.texts);
  if (accessors.more)
    warn(ctx.response, ctx.arena, "There are more accessors than these; ask again with the last one as \"after\".");
  return ok_status();
}

Status handle_tidy(HandlerContext& base) { return start_tidy(call(base), TidyKind::kTokens); }
Status handle_tidied(HandlerContext& base) { return show_tidy(call(base), TidyKind::kTokens); }

class TokenEngine final : public Engine {
 public:
  TokenEngine() : table_(specs()) {}
  std::string_view type() const override { return "token"; }
  const PathTable& paths(const MountInfo&) const override { return table_; }

 private:
  static std::vector<PathSpec> specs() {
    const std::vector<Field> token = {{"token", FieldType::kString, "Which token, in the body."}};
    const std::vector<Field> accessor = {
        {"accessor", FieldType::kString, "The accessor of the token that is meant, in the body."}};
    const Field increment = {"increment", FieldType::kDuration, "How long it shall live from now on."};
    std::vector<Field> token_increment = token;
    token_increment.push_back(increment);
    std::vector<Field> accessor_increment = accessor;
    accessor_increment.push_back(increment);
    std::vector<PathSpec> all = token_create_specs();
    for (PathSpec& spec : token_role_specs())
      all.push_back(std::move(spec));
    all.push_back({"tidy", "Remove what is left of tokens that are no more.", {},
                   {{Operation::kWrite, Effect::kWrites, handle_tidy, "Starts tidying up."},
                    {Operation::kRead, Effect::kReads, handle_tidied, "Shows what the last run found."}}});
    const auto add = [&all](std::string_view pattern, std::string_view help, std::vector<Field> fields,
                            std::vector<OperationSpec> operations, bool sudo = false) {
      all.push_back({pattern, help, std::move(fields), std::move(operations), nullptr, false, sudo});
    };
    add("lookup", "What is known of a token.", token,
        {{Operation::kWrite, Effect::kReads, handle_lookup, "Looks up a token."},
         {Operation::kRead, Effect::kReads, handle_lookup, "Looks up a token."}});
    add("lookup-self", "What is known of the calling token.", {},
        {{Operation::kRead, Effect::kReads, handle_lookup_self, "Looks up the calling token."},
         {Operation::kWrite, Effect::kReads, handle_lookup_self, "Looks up the calling token."}});
    add("lookup-accessor", "What is known of the token that an accessor belongs to.", accessor,
        {{Operation::kWrite, Effect::kReads, handle_lookup_accessor, "Looks up a token."}});
    add("renew", "Let a token live longer.", token_increment,
        {{Operation::kWrite, Effect::kWrites, handle_renew, "Renews a token."}});
    add("renew-self", "Let the calling token live longer.", {increment},
        {{Operation::kWrite, Effect::kWrites, handle_renew_self, "Renews the calling token."}});
    add("renew-accessor", "Let the token that an accessor belongs to live longer.", accessor_increment,
        {{Operation::kWrite, Effect::kWrites, handle_renew_accessor, "Renews a token."}});
    add("revoke", "End a token and every token that was made by it.", token,
        {{Operation::kWrite, Effect::kWrites, handle_revoke, "Revokes a token."}});
    add("revoke-self", "End the calling token and every token that was made by it.", {},
        {{Operation::kWrite, Effect::kWrites, handle_revoke_self, "Revokes the calling token."}});
    add("revoke-accessor", "End the token that an accessor belongs to and every token that was made by it.", accessor,
        {{Operation::kWrite, Effect::kWrites, handle_revoke_accessor, "Revokes a token."}});
    add("revoke-orphan", "End a token and leave those that were made by it as orphans.", token,
        {{Operation::kWrite, Effect::kWrites, handle_revoke_orphan, "Revokes a token alone."}}, true);
    add("accessors", "The accessors of all tokens.",
        {{"after", FieldType::kString, "Only accessors that stand after this one."},
         {"limit", FieldType::kInt, "At most so many accessors."}},
        {{Operation::kList, Effect::kReads, handle_accessors, "Lists accessors."}}, true);
    return all;
  }

  PathTable table_;
};

}  // namespace

std::unique_ptr<Engine> make_token_engine() { return std::make_unique<TokenEngine>(); }

}  // namespace coffer::core
