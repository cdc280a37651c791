#include "core/token_issue.h"

#include <algorithm>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/identity_access.h"
#include "core/token_store.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

constexpr Nanos kPassingTokenTtl = 2 * limits::kRequestTimeMax;

Result<std::string_view> new_text(CallContext& ctx, const TokenRecord& record, std::string_view custom_text) {
  if (!custom_text.empty())
    return custom_text;
  std::string text;
  if (record.policies == kRootPolicyName) {
    COFFER_ASSIGN(text, new_root_token(ctx.random));
  } else {
    COFFER_ASSIGN(text, new_service_token(ctx.random, ctx.now));
  }
  text = in_namespace(ctx, record.ns, std::move(text));
  const std::string_view kept = ctx.arena.copy(text);
  wipe(text.data(), text.size());
  return kept;
}

// "auth/team/userpass/" → "team-userpass".
std::string display_name_of(const MountInfo& mount, std::string_view name) {
  std::string text = mount.path;
  std::replace(text.begin(), text.end(), '/', '-');
  text.append(name);
  while (!text.empty() && text.back() == '-')
    text.pop_back();
  return text;
}

std::string_view policies_of(CallContext& ctx, const TokenParams& params) {
  std::vector<std::string_view> names(params.policies.begin(), params.policies.end());
  if (!params.no_default_policy)
    names.push_back(kDefaultPolicyName);
  for (std::string_view& name : names)
    name = ctx.arena.copy(name);
  return join_policies(ctx.arena, std::move(names));
}

Result<TtlGrant> ttl_of(CallContext& ctx, const TokenParams& params) {
  TtlRequest request{ctx.now, ctx.now};
  request.requested = params.ttl;
  request.default_ttl = default_ttl_of(ctx, ctx.mount);
  request.max_ttl = max_ttl_of(ctx, ctx.mount);
  if (params.max_ttl > Nanos(0))
    request.max_ttl = std::min(request.max_ttl, params.max_ttl);
  request.explicit_max = params.explicit_max_ttl;
  request.period = params.period;
  COFFER_ASSIGN(const TtlGrant grant, grant_ttl(request));
  if (grant.capped && params.ttl > request.max_ttl)
    warn_of_capped_ttl(ctx, params.ttl, request.max_ttl);
  return grant;
}

std::string_view metadata_text(json::Arena& arena, const json::Value& metadata) {
  if (!metadata.is_object() || metadata.size() == 0)
    return {};
  std::string text;
  json::write(metadata, text, {.sort_keys = true});
  return arena.copy(text);
}

}  // namespace

std::string in_namespace(const CallContext& ctx, NamespaceId ns, std::string text) {
  const NamespaceRecord* record = ctx.published.namespaces->find(ns);
  return record == nullptr || record->is_root() ? text : with_namespace(std::move(text), record->name);
}

Nanos max_ttl_of(const CallContext& ctx, const MountInfo& mount) {
  return mount.max_lease_ttl > Nanos(0) ? mount.max_lease_ttl : ctx.published.config.max_lease_ttl;
}

Nanos default_ttl_of(const CallContext& ctx, const MountInfo& mount) {
  return mount.default_lease_ttl > Nanos(0) ? mount.default_lease_ttl : ctx.published.config.default_lease_ttl;
}

TokenType token_type_of(const CallContext& ctx, WishedType wished) {
  const std::string_view of_mount = ctx.route.record.tuning.token_type;
  if (of_mount == "batch" || of_mount == "service")
    return of_mount == "batch" ? TokenType::kBatch : TokenType::kService;
  if (wished == WishedType::kDefault)
    return of_mount == "default-batch" ? TokenType::kBatch : TokenType::kService;
  return wished == WishedType::kBatch || wished == WishedType::kDefaultBatch ? TokenType::kBatch : TokenType::kService;
}

void warn_of_capped_ttl(CallContext& ctx, Nanos wished, Nanos max_ttl) {
  warn(ctx.response, ctx.arena,
       "TTL of \"" + format_duration_short(wished) + "\" exceeded the effective max_ttl of \"" +
           format_duration_short(max_ttl) + "\"; TTL value is capped accordingly");
}

std::string_view join_networks(json::Arena& arena, const std::vector<std::string>& networks) {
  std::string joined;
  for (const std::string& network : networks) {
    if (!joined.empty())
      joined.push_back(',');
    joined.append(network);
  }
  return arena.copy(joined);
}

Auth auth_of(json::Arena& arena, const TokenRecord& record, std::string_view text) {
  Auth auth;
  auth.client_token = text;
  auth.accessor = record.accessor;
  auth.policies = split_policies(record.policies);
  auth.token_policies = auth.policies;
  if (!record.metadata.empty()) {
    const Result<json::Value> metadata = json::parse(arena, record.metadata);
    if (metadata.ok())
      auth.metadata = *metadata;
  }
  auth.lease_duration = record.ttl;
  auth.renewable = record.renewable;
  auth.orphan = record.orphan;
  auth.entity_id = record.entity;
  auth.token_type = type_name(record.type);
  auth.num_uses = record.num_uses;
  return auth;
}

Result<Auth> full_auth_of(CallContext& ctx, const TokenRecord& record, std::string_view text) {
  Auth auth = auth_of(ctx.arena, record, text);
  if (record.entity.empty())
    return auth;
  COFFER_ASSIGN(const auto identity, find_identity(ctx.txn, ctx.arena, record));
  if (identity && !identity->policies.empty()) {
    auth.identity_policies = split_policies(identity->policies);
    auth.policies = split_policies(with_policies(ctx.arena, record.policies, identity->policies));
  }
  return auth;
}

Status issue_token(CallContext& ctx, TokenRecord record, std::string_view custom_text) {
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  record.created = record.renewed = ctx.now;
  if (record.path.empty())
    record.path = ctx.full_path;
  if (record.type == TokenType::kBatch) {
    record.renewable = false;
    COFFER_ASSIGN(const std::string_view text, tokens.seal_batch(record, ctx.random));
    COFFER_ASSIGN(ctx.response.auth, full_auth_of(ctx, record, text));
    return ok_status();
  }
  COFFER_ASSIGN(const std::string_view text, new_text(ctx, record, custom_text));
  const std::string_view hash = tokens.hash_of(text);
  COFFER_ASSIGN(const auto taken, tokens.stored(hash));
  if (taken)
    return Status(Code::kInvalid, "cannot create a token with a duplicate ID");
  COFFER_ASSIGN(const std::string accessor, new_accessor(ctx.random));
  record.accessor = ctx.arena.copy(in_namespace(ctx, record.ns, accessor));
  COFFER_TRY(tokens.add(hash, record));
  ctx.handed_out.push_back(hash);
  COFFER_ASSIGN(ctx.response.auth, full_auth_of(ctx, record, text));
  return ok_status();
}

Status log_in(CallContext& ctx, const LoginGrant& grant) {
  TokenParams params = grant.params;
  if (ctx.request.passing_login && !mutant(Mutant::kInlineTokenKept)) {
    // One request uses it, at once: nothing of it is stored, whatever the role wishes.
    params.num_uses = 0;
    params.period = Nanos(0);
    params.explicit_max_ttl = Nanos(0);
    params.ttl = std::min<Nanos>(params.ttl > Nanos(0) ? params.ttl : kPassingTokenTtl, kPassingTokenTtl);
  }
  COFFER_ASSIGN(const TtlGrant ttl, ttl_of(ctx, params));
  TokenRecord record;
  record.type = token_type_of(ctx, params.type);
  if (ctx.request.passing_login && !mutant(Mutant::kInlineTokenKept))
    record.type = TokenType::kBatch;
  const bool batch = record.type == TokenType::kBatch;
  if (batch && (params.num_uses > 0 || params.period > Nanos(0)))
    return Status(Code::kInvalid, params.num_uses > 0 ? "batch tokens cannot have a use limit"
                                                      : "batch tokens cannot be periodic");
  record.orphan = true;
  record.renewable = true;
  record.expires = ttl.expires;
  record.creation_ttl = record.ttl = ttl.ttl;
  record.explicit_max_ttl = params.explicit_max_ttl;
  record.period = params.period;
  record.num_uses = params.num_uses;
  record.display_name = ctx.arena.copy(display_name_of(ctx.mount, grant.display_name));
  record.policies = policies_of(ctx, params);
  record.metadata = metadata_text(ctx.arena, grant.metadata);
  record.ns = ctx.mount.namespace_id;
  record.role = grant.role;
  // A batch token of a local mount is known here only, and leaves nothing behind.
  if (!grant.alias.empty() && !(batch && ctx.mount.local)) {
    COFFER_ASSIGN(record.entity, identify(ctx, ctx.mount, grant.alias, grant.alias_metadata, grant.groups));
    record.entity_ns = record.ns;
  }
  record.bound_cidrs = params.strictly_bind_ip ? ctx.request.remote_address
                                               : join_networks(ctx.arena, params.bound_cidrs);
  return issue_token(ctx, record, {});
}

}  // namespace coffer::core
