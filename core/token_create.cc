#include "core/token_create.h"

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "base/mutant.h"
#include "base/path.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/token_issue.h"
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
  TokenType type = TokenType::kService;
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
  COFFER_ASSIGN(const std::string_view type, ctx.string_field("type", "service"));
  if (type == "batch")
    wish.type = TokenType::kBatch;
  else if (type != "service" && type != "default" && type != "")
    return Status(Code::kInvalid, "invalid 'token_type' value");
  return wish;
}

// What a token without records cannot have.
Status check_batch(const Wish& wish, std::string_view policies) {
  if (wish.type != TokenType::kBatch)
    return ok_status();
  if (policies == kRootPolicyName)
    return Status(Code::kInvalid, "batch tokens cannot be root tokens");
  if (!wish.id.empty())
    return Status(Code::kInvalid, "cannot specify ID when creating batch token");
  if (wish.num_uses > 0)
    return Status(Code::kInvalid, "batch tokens cannot have a use limit");
  if (wish.period > Nanos(0))
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

// The child's policies: never more than the parent's, unless the parent has sudo here (advisory D11).
Result<std::string_view> choose_policies(CallContext& ctx, const Wish& wish) {
  // Names of another namespace's policies mean nothing here; only root's, which is above, does.
  const bool same = ctx.token->ns == ctx.ns.id || ctx.token->policies == kRootPolicyName;
  const std::string_view parent = same ? ctx.token->policies : std::string_view();
  std::vector<std::string_view> chosen = wish.policies.empty() ? split_policies(parent) : wish.policies;
  for (const std::string_view policy : chosen) {
    if (policy == kWrappingPolicyName || policy == "control-group")
      return Status(Code::kInvalid, "cannot assign policy \"" + std::string(policy) + "\"");
    COFFER_TRY(check_canonical_name(policy).with_context("field \"policies\""));
  }
  bool add_default = !wish.no_default_policy;
  if (!ctx.sudo && !mutant(Mutant::kChildPoliciesUnchecked)) {
    for (const std::string_view policy : chosen)
      if (!has_policy(parent, policy))
        return Status(Code::kInvalid, "child policies must be subset of parent");
    add_default = add_default && has_policy(parent, kDefaultPolicyName);
  }
  const bool root = std::find(chosen.begin(), chosen.end(), kRootPolicyName) != chosen.end();
  if (root && !has_policy(parent, kRootPolicyName))
    return Status(Code::kInvalid, "root tokens may not be created without parent token being root");
  if (add_default && !root)
    chosen.push_back(kDefaultPolicyName);
  return join_policies(ctx.arena, std::move(chosen));
}

Result<TtlGrant> choose_ttl(CallContext& ctx, const Wish& wish, std::string_view policies) {
  const bool root = policies == kRootPolicyName;
  if (wish.period > Nanos(0) && !ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to create periodic token");
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
    if (policy != kRootPolicyName && ctx.published.policies_of(ctx.ns.id).find(policy) == nullptr)
      warn(ctx.response, ctx.arena, "Policy \"" + std::string(policy) + "\" does not exist");
}

Status create(CallContext& ctx, bool orphan) {
  COFFER_CHECK(ctx.token != nullptr);
  if (ctx.token->num_uses > 0)
    return Status(Code::kInvalid, "restricted use token cannot generate child tokens");
  if (ctx.token->type == TokenType::kBatch)
    return Status(Code::kInvalid, "batch tokens cannot create more tokens");
  COFFER_ASSIGN(const Wish wish, read_wish(ctx));
  COFFER_TRY(check_id(ctx, wish.id));
  if (wish.orphan && !ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to create orphan token");
  COFFER_ASSIGN(const std::string_view policies, choose_policies(ctx, wish));
  COFFER_TRY(check_batch(wish, policies));
  COFFER_ASSIGN(const TtlGrant grant, choose_ttl(ctx, wish, policies));
  TokenRecord record;
  record.type = wish.type;
  record.orphan = orphan || wish.orphan;
  record.renewable = wish.renewable && grant.expires.has_value();
  record.expires = grant.expires;
  record.creation_ttl = record.ttl = grant.ttl;
  record.explicit_max_ttl = wish.explicit_max;
  record.period = wish.period;
  record.num_uses = wish.num_uses;
  record.parent = record.orphan ? std::string_view() : ctx.token_hash;
  record.display_name = ctx.arena.copy(display_name(wish.display_name));
  record.policies = policies;
  std::string metadata;
  if (wish.metadata.is_object() && wish.metadata.size() > 0)
    json::write(wish.metadata, metadata, {.sort_keys = true});
  record.metadata = ctx.arena.copy(metadata);
  record.ns = ctx.mount.namespace_id;
  record.entity = record.orphan ? std::string_view() : ctx.token->entity;
  // A child is bound to the networks that its parent is bound to (advisory A19).
  if (!mutant(Mutant::kChildCidrsLost))
    record.bound_cidrs = ctx.token->bound_cidrs;
  COFFER_TRY(issue_token(ctx, record, wish.id));
  warn_of_missing(ctx, policies);
  return ok_status();
}

Status handle_create(HandlerContext& ctx) { return create(call(ctx), false); }
Status handle_create_orphan(HandlerContext& ctx) { return create(call(ctx), true); }
Status handle_create_role(HandlerContext& ctx) {
  return Status(Code::kInvalid, "unknown role " + std::string(ctx.captures.front()));
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
  };
  std::vector<PathSpec> specs;
  specs.push_back({"create", "Make a token below the calling one.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create, "Creates a token."}}});
  specs.push_back({"create-orphan", "Make a token that stands alone.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create_orphan, "Creates a token without parent."}}});
  specs.push_back({"create/:role", "Make a token as a role says; this version has no roles.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_create_role, "Creates a token against a role."}}});
  return specs;
}

}  // namespace coffer::core
