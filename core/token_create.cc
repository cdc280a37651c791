#include "core/token_create.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/path.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/cidr.h"
#include "core/identity_access.h"
#include "core/token_issue.h"
#include "core/token_roles.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

constexpr std::size_t kCustomIdBytesMax = 512;

// What the body asks for, checked field by field.
struct Wish {
  std::vector<std::string_view> policies;
  bool no_default_policy = false;
  bool orphan = false;
  bool renewable = true;
  Nanos ttl{0};
  Nanos explicit_max{0};
  Nanos period{0};
  std::int64_t num_uses = 0;
  std::string_view type;
  std::string_view entity_alias;
  std::string_view id;
  std::string_view display_name;
  json::Value metadata;
};

Status check_metadata(const json::Value& metadata) {
  if (metadata.is_null())
    return ok_status();
  if (!metadata.is_object())
    return Status(Code::kInvalid, "field \"meta\" must be an object of strings");
  for (const json::Member& member : metadata.members())
    if (!member.value.is_string())
      return Status(Code::kInvalid, "field \"meta\" must be an object of strings");
  return ok_status();
}

Result<Wish> read_wish(CallContext& ctx) {
  Wish wish;
  COFFER_ASSIGN(wish.policies, ctx.list_field("policies"));
  COFFER_ASSIGN(wish.no_default_policy, ctx.bool_field("no_default_policy", false));
  COFFER_ASSIGN(wish.orphan, ctx.bool_field("no_parent", false));
  COFFER_ASSIGN(wish.renewable, ctx.bool_field("renewable", true));
  COFFER_ASSIGN(const Nanos lease, ctx.duration_field("lease", Nanos(0)));
  COFFER_ASSIGN(wish.ttl, ctx.duration_field("ttl", lease));
  COFFER_ASSIGN(wish.explicit_max, ctx.duration_field("explicit_max_ttl", Nanos(0)));
  COFFER_ASSIGN(wish.period, ctx.duration_field("period", Nanos(0)));
  COFFER_ASSIGN(wish.num_uses, ctx.int_field("num_uses", 0, INT64_MIN, INT64_MAX));
  if (wish.num_uses < 0)
    return Status(Code::kInvalid, "number of uses cannot be negative");
  COFFER_ASSIGN(wish.id, ctx.string_field("id", ""));
  COFFER_ASSIGN(wish.display_name, ctx.string_field("display_name", ""));
  wish.metadata = ctx.field("meta");
  COFFER_TRY(check_metadata(wish.metadata));
  COFFER_ASSIGN(wish.entity_alias, ctx.string_field("entity_alias", ""));
  COFFER_ASSIGN(wish.type, ctx.string_field("type", ""));
  if (wish.type != "batch" && wish.type != "service" && wish.type != "default" && wish.type != "")
    return Status(Code::kInvalid, "invalid 'token_type' value");
  return wish;
}

// What the role decides, or the caller, or the mount.
TokenType choose_type(const CallContext& ctx, const Wish& wish, const TokenRole* role) {
  const WishedType of_role = role != nullptr ? role->params.type : WishedType::kDefault;
  if (of_role == WishedType::kService || of_role == WishedType::kBatch)
    return of_role == WishedType::kBatch ? TokenType::kBatch : TokenType::kService;
  if (wish.type == "batch" || wish.type == "service")
    return wish.type == "batch" ? TokenType::kBatch : TokenType::kService;
  if (of_role == WishedType::kDefault)
    return token_type_of(ctx, WishedType::kDefault);
  return of_role == WishedType::kDefaultBatch ? TokenType::kBatch : TokenType::kService;
}

// What a token without records cannot have.
Status check_batch(const TokenRecord& record, const Wish& wish) {
  if (record.type != TokenType::kBatch)
    return ok_status();
  if (record.policies == kRootPolicyName)
    return Status(Code::kInvalid, "batch tokens cannot be root tokens");
  if (!wish.id.empty())
    return Status(Code::kInvalid, "cannot specify ID when creating batch token");
  if (record.num_uses > 0)
    return Status(Code::kInvalid, "batch tokens cannot have a use limit");
  if (record.period > Nanos(0))
    return Status(Code::kInvalid, "batch tokens cannot be periodic");
  return ok_status();
}

Status check_id(const CallContext& ctx, std::string_view id) {
  if (id.empty())
    return ok_status();
  if (!ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to specify token id");
  for (const std::string_view prefix : {"hvs.", "s.", "hvb.", "b.", "hvr.", "r."})
    if (id.starts_with(prefix))
      return Status(Code::kInvalid, "custom token ID cannot have the '" + std::string(prefix) + "' prefix");
  if (id.find('.') != std::string_view::npos)
    return Status(Code::kInvalid, "custom token ID cannot have a '.' in the value");
  if (id.size() > kCustomIdBytesMax)
    return Status(Code::kInvalid, "custom token ID is longer than " + std::to_string(kCustomIdBytesMax) + " bytes");
  return ok_status();
}

// Names of another namespace's policies mean nothing here; only root's, which is above, does.
std::string_view parent_policies(const CallContext& ctx) {
  const bool same = ctx.token->ns == ctx.ns.id || ctx.token->policies == kRootPolicyName;
  return same ? ctx.token->policies : std::string_view();
}

std::string listed(const std::vector<std::string_view>& names) {
  std::string text = "[";
  for (const std::string_view name : names)
    text.append(text.size() > 1 ? " " : "").append("\"").append(name).append("\"");
  return text + "]";
}

// `chosen` and what the role allows, the default policy among both when it is added.
Status check_role_policies(const TokenRole& role, const std::vector<std::string_view>& chosen, bool add_default) {
  if (role.restricts()) {
    std::vector<std::string_view> allowed(role.allowed_policies.begin(), role.allowed_policies.end());
    if (add_default)
      allowed.push_back(kDefaultPolicyName);
    std::sort(allowed.begin(), allowed.end());
    const bool all = std::all_of(chosen.begin(), chosen.end(), [&](std::string_view policy) {
      return role.allows(policy) || (add_default && policy == kDefaultPolicyName);
    });
    if (!all)
      return Status(Code::kInvalid,
                    "token policies must be subset of the role's allowed policies (" + listed(allowed) +
                        ") or glob policies (" +
                        listed({role.allowed_policies_glob.begin(), role.allowed_policies_glob.end()}) + ")");
  }
  for (const std::string_view policy : chosen)
    if (role.disallows(policy))
      return Status(Code::kInvalid, "field \"policies\" names a policy that is disallowed by this role");
  return ok_status();
}

// Never more than the parent's, unless the parent has sudo here (advisory D11). Whether default may be added.
Result<bool> check_parent_policies(CallContext& ctx, const std::vector<std::string_view>& chosen) {
  if (ctx.sudo || mutant(Mutant::kChildPoliciesUnchecked))
    return true;
  for (const std::string_view policy : chosen)
    if (!has_policy(parent_policies(ctx), policy))
      return Status(Code::kInvalid, "child policies must be subset of parent");
  return has_policy(parent_policies(ctx), kDefaultPolicyName);
}

// Policies are compared as they are stored: in lower case.
Result<std::vector<std::string_view>> wished_policies(CallContext& ctx, const Wish& wish, const TokenRole* role) {
  if (wish.policies.empty() && role != nullptr && role->restricts())
    return std::vector<std::string_view>(role->allowed_policies.begin(), role->allowed_policies.end());
  if (wish.policies.empty())
    return split_policies(parent_policies(ctx));
  std::vector<std::string_view> chosen;
  for (const std::string_view policy : wish.policies) {
    if (policy == kWrappingPolicyName || policy == "control-group")
      return Status(Code::kInvalid, "cannot assign policy \"" + std::string(policy) + "\"");
    COFFER_TRY(check_canonical_name(policy).with_context("field \"policies\""));
    chosen.push_back(ctx.arena.copy(lower_ascii(policy)));
  }
  return chosen;
}

Result<std::string_view> choose_policies(CallContext& ctx, const Wish& wish, const TokenRole* role) {
  COFFER_ASSIGN(auto chosen, wished_policies(ctx, wish, role));
  bool add_default = !wish.no_default_policy;
  if (role == nullptr || !role->restricts()) {
    COFFER_ASSIGN(const bool parent_has, check_parent_policies(ctx, chosen));
    add_default = add_default && parent_has;
  }
  if (role != nullptr)
    add_default = add_default && !role->params.no_default_policy && !role->disallows(kDefaultPolicyName);
  const bool root = std::find(chosen.begin(), chosen.end(), kRootPolicyName) != chosen.end();
  add_default = add_default && !root;
  if (add_default)
    chosen.push_back(kDefaultPolicyName);
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  if (role != nullptr)
    COFFER_TRY(check_role_policies(*role, chosen, add_default));
  if (root && !has_policy(parent_policies(ctx), kRootPolicyName))
    return Status(Code::kInvalid, "root tokens may not be created without parent token being root");
  for (std::string_view& name : chosen)
    name = ctx.arena.copy(name);
  return join_policies(ctx.arena, std::move(chosen));
}

// The caller's wishes as far as the role lets them be.
Status apply_role(CallContext& ctx, Wish& wish, const TokenRole& role) {
  const TokenParams& params = role.params;
  wish.orphan = role.orphan;
  wish.renewable = wish.renewable && role.renewable;
  if (params.explicit_max_ttl > Nanos(0)) {
    if (wish.explicit_max > Nanos(0))
      warn(ctx.response, ctx.arena,
           "Explicit max TTL specified both during creation call and in role; using the lesser value of " +
               std::to_string(whole_seconds(std::min(wish.explicit_max, params.explicit_max_ttl))) + " seconds");
    wish.explicit_max =
        wish.explicit_max > Nanos(0) ? std::min(wish.explicit_max, params.explicit_max_ttl) : params.explicit_max_ttl;
  }
  if (params.period > Nanos(0))
    wish.period = wish.period > Nanos(0) ? std::min(wish.period, params.period) : params.period;
  if (params.num_uses > 0)
    wish.num_uses = wish.num_uses > 0 ? std::min(wish.num_uses, params.num_uses) : params.num_uses;
  return ok_status();
}

Result<TtlGrant> choose_ttl(CallContext& ctx, const Wish& wish, std::string_view policies) {
  const bool root = policies == kRootPolicyName;
  if (root && wish.ttl == Nanos(0) && wish.period == Nanos(0) && wish.explicit_max == Nanos(0)) {
    if (ctx.token->expires)
      return Status(Code::kInvalid, "expiring root tokens cannot create non-expiring root tokens");
    return TtlGrant{};
  }
  TtlRequest request{ctx.now, ctx.now};
  request.requested = wish.ttl;
  request.max_ttl = max_ttl_of(ctx, ctx.mount);
  request.default_ttl = default_ttl_of(ctx, ctx.mount);
  request.explicit_max = wish.explicit_max;
  request.period = wish.period;
  COFFER_ASSIGN(const TtlGrant grant, grant_ttl(request));
  if (grant.capped && wish.ttl > request.max_ttl)
    warn_of_capped_ttl(ctx, wish.ttl, request.max_ttl);
  return grant;
}

std::string display_name(std::string_view wished) {
  std::string name = "token";
  if (wished.empty())
    return name;
  name.push_back('-');
  for (const char c : wished) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name.push_back(plain ? c : '-');
  }
  while (name.back() == '-')
    name.pop_back();
  return name;
}

void warn_of_missing(CallContext& ctx, std::string_view policies) {
  for (const std::string_view policy : split_policies(policies))
    if (policy != kRootPolicyName && ctx.published.policies_of(ctx.ns.id).find(policy, ctx.now) == nullptr)
      warn(ctx.response, ctx.arena, "Policy \"" + std::string(policy) + "\" does not exist");
}

// A child works from nowhere else than its parent does (advisory A19); a role may narrow that.
Result<std::string_view> choose_networks(CallContext& ctx, const TokenRole* role) {
  const std::string_view parent = mutant(Mutant::kChildCidrsLost) ? std::string_view() : ctx.token->bound_cidrs;
  if (role == nullptr || role->params.bound_cidrs.empty())
    return parent;
  if (parent.empty())
    return join_networks(ctx.arena, role->params.bound_cidrs);
  const std::vector<std::string> both = common_networks(parent, role->params.bound_cidrs);
  if (both.empty())
    return Status(Code::kInvalid, "the role's token_bound_cidrs have nothing in common with those of the parent token");
  return join_networks(ctx.arena, both);
}

std::string_view creation_path(CallContext& ctx, const TokenRole* role) {
  if (role == nullptr || role->path_suffix.empty())
    return ctx.full_path;
  return ctx.arena.copy(std::string(ctx.full_path) + "/" + role->path_suffix);
}

Result<std::string_view> choose_entity(CallContext& ctx, const Wish& wish, const TokenRole* role, bool orphan) {
  if (wish.entity_alias.empty())
    return orphan ? std::string_view() : ctx.token->entity;
  if (role == nullptr)
    return Status(Code::kInvalid, "'entity_alias' is only allowed in combination with token role");
  const std::string alias = lower_ascii(wish.entity_alias);
  if (!role->allows_alias(alias))
    return Status(Code::kInvalid, "invalid 'entity_alias' value");
  return identify(ctx, ctx.mount, ctx.arena.copy(alias), json::Value(), {});
}

// What does not depend on the token that is being made.
Status check_wish(CallContext& ctx, const Wish& wish, const TokenRole* role) {
  COFFER_TRY(check_id(ctx, wish.id));
  if (role == nullptr && wish.orphan && !ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to create orphan token");
  if (wish.period > Nanos(0) && !ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to create periodic token");
  return ok_status();
}

Status check_parent(const TokenRecord& parent) {
  if (parent.num_uses > 0)
    return Status(Code::kInvalid, "restricted use token cannot generate child tokens");
  if (parent.type == TokenType::kBatch)
    return Status(Code::kInvalid, "batch tokens cannot create more tokens");
  return ok_status();
}

Status create(CallContext& ctx, bool orphan, const TokenRole* role = nullptr) {
  COFFER_CHECK(ctx.token != nullptr);
  COFFER_TRY(check_parent(*ctx.token));
  COFFER_ASSIGN(Wish wish, read_wish(ctx));
  COFFER_TRY(check_wish(ctx, wish, role));
  TokenRecord record;
  COFFER_ASSIGN(record.policies, choose_policies(ctx, wish, role));
  if (role != nullptr)
    COFFER_TRY(apply_role(ctx, wish, *role));
  COFFER_ASSIGN(const TtlGrant grant, choose_ttl(ctx, wish, record.policies));
  record.type = choose_type(ctx, wish, role);
  record.orphan = orphan || wish.orphan;
  record.renewable = wish.renewable && grant.expires.has_value();
  record.expires = grant.expires;
  record.creation_ttl = record.ttl = grant.ttl;
  record.explicit_max_ttl = wish.explicit_max;
  record.period = wish.period;
  record.num_uses = wish.num_uses;
  record.parent = record.orphan ? std::string_view() : ctx.token_hash;
  record.depth = record.orphan ? 0 : ctx.token->depth + 1;
  if (record.depth > limits::kTokenDepthMax)
    return Status(Code::kInvalid,
                  "a token may have at most " + std::to_string(limits::kTokenDepthMax) + " tokens above it");
  record.display_name = ctx.arena.copy(display_name(wish.display_name));
  std::string metadata;
  if (wish.metadata.is_object() && wish.metadata.size() > 0)
    json::write(wish.metadata, metadata, {.sort_keys = true});
  record.metadata = ctx.arena.copy(metadata);
  record.ns = ctx.mount.namespace_id;
  record.path = creation_path(ctx, role);
  record.role = role != nullptr ? ctx.arena.copy(role->name) : std::string_view();
  COFFER_ASSIGN(record.entity, choose_entity(ctx, wish, role, record.orphan));
  record.entity_ns = wish.entity_alias.empty() ? ctx.token->entity_ns : record.ns;
  COFFER_ASSIGN(record.bound_cidrs, choose_networks(ctx, role));
  COFFER_TRY(check_batch(record, wish));
  COFFER_TRY(issue_token(ctx, record, wish.id));
  warn_of_missing(ctx, record.policies);
  return ok_status();
}

Status handle_create(HandlerContext& ctx) { return create(call(ctx), false); }
Status handle_create_orphan(HandlerContext& ctx) { return create(call(ctx), true); }
Status handle_create_role(HandlerContext& ctx) {
  const std::string_view name = ctx.captures.front();
  COFFER_ASSIGN(const auto role, find_token_role(ctx.storage, name));
  if (!role)
    return Status(Code::kInvalid, "unknown role " + std::string(name));
  return create(call(ctx), false, &*role);
}

}  // namespace

std::vector<PathSpec> token_create_specs() {
  const std::vector<Field> fields = {
      {"id", FieldType::kString, "The text of the token, chosen by the caller; needs root or sudo."},
      {"policies", FieldType::kStringList, "Policies of the token; the parent's when absent."},
      {"meta", FieldType::kMap, "Names and values that are kept with it."},
      {"no_parent", FieldType::kBool, "Whether it outlives the calling token."},
      {"no_default_policy", FieldType::kBool, "Leave the default policy out."},
      {"renewable", FieldType::kBool, "Whether it can be renewed."},
      {"ttl", FieldType::kDuration, "Time to live."},
      {"lease", FieldType::kDuration, "An older name of ttl, which wins."},
      {"explicit_max_ttl", FieldType::kDuration, "Beyond this age the token cannot be renewed."},
      {"period", FieldType::kDuration, "Renewal period; needs root or sudo."},
      {"num_uses", FieldType::kInt, "Number of uses; 0 is without limit."},
      {"display_name", FieldType::kString, "A name to know it by."},
      {"type", FieldType::kString, "service or batch"},
      {"entity_alias", FieldType::kString, "Alias whose entity the token belongs to; only with a role that allows it."},
  };
  std::vector<PathSpec> specs;
  specs.push_back({"create", "Make a token below the calling one.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create, "Creates a token."}}});
  specs.push_back({"create-orphan", "Make a token that stands alone.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create_orphan, "Creates a token without parent."}}});
  specs.push_back({"create/:role_name", "Make a token as a role says.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create_role, "Creates a token against a role."}}});
  return specs;
}

}  // namespace coffer::core
