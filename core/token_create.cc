#include "core/token_create.h"

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "base/mutant.h"
#include "base/path.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/token_store.h"
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
    return Status(Code::kInvalid, "batch tokens are not supported by this server");
  if (type != "service" && type != "default" && type != "")
    return Status(Code::kInvalid, "invalid 'token_type' value");
  return wish;
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
  const std::string_view parent = ctx.token->policies;
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
  const MountInfo& mount = ctx.mount;
  const SystemConfig& system = ctx.published.config;
  TtlRequest request{ctx.now, ctx.now};
  request.requested = wish.ttl;
  request.max_ttl = mount.max_lease_ttl > Nanos(0) ? mount.max_lease_ttl : system.max_lease_ttl;
  request.default_ttl = mount.default_lease_ttl > Nanos(0) ? mount.default_lease_ttl : system.default_lease_ttl;
  request.explicit_max = wish.explicit_max;
  request.period = wish.period;
  COFFER_ASSIGN(const TtlGrant grant, grant_ttl(request));
  if (grant.capped && wish.ttl > request.max_ttl)
    warn(ctx.response, ctx.arena,
         "TTL of \"" + format_duration_short(wish.ttl) + "\" exceeded the effective max_ttl of \"" +
             format_duration_short(request.max_ttl) + "\"; TTL value is capped accordingly");
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

Result<std::string_view> new_text(CallContext& ctx, const Wish& wish, std::string_view policies) {
  if (!wish.id.empty())
    return wish.id;
  std::string text;
  if (policies == kRootPolicyName) {
    COFFER_ASSIGN(text, new_root_token(ctx.random));
  } else {
    COFFER_ASSIGN(text, new_service_token(ctx.random));
  }
  const std::string_view kept = ctx.arena.copy(text);
  wipe(text.data(), text.size());
  return kept;
}

void warn_of_missing(CallContext& ctx, std::string_view policies) {
  for (const std::string_view policy : split_policies(policies))
    if (policy != kRootPolicyName && ctx.published.policies->find(policy) == nullptr)
      warn(ctx.response, ctx.arena, "Policy \"" + std::string(policy) + "\" does not exist");
}

Status create(CallContext& ctx, bool orphan) {
  COFFER_CHECK(ctx.token != nullptr);
  if (ctx.token->num_uses > 0)
    return Status(Code::kInvalid, "restricted use token cannot generate child tokens");
  COFFER_ASSIGN(const Wish wish, read_wish(ctx));
  COFFER_TRY(check_id(ctx, wish.id));
  if (wish.orphan && !ctx.sudo)
    return Status(Code::kInvalid, "root or sudo privileges required to create orphan token");
  COFFER_ASSIGN(const std::string_view policies, choose_policies(ctx, wish));
  COFFER_ASSIGN(const TtlGrant grant, choose_ttl(ctx, wish, policies));
  COFFER_ASSIGN(const std::string_view text, new_text(ctx, wish, policies));
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  const std::string_view hash = tokens.hash_of(text);
  COFFER_ASSIGN(const auto taken, tokens.stored(hash));
  if (taken)
    return Status(Code::kInvalid, "cannot create a token with a duplicate ID");
  COFFER_ASSIGN(const std::string accessor, new_accessor(ctx.random));
  TokenRecord record;
  record.orphan = orphan || wish.orphan;
  record.renewable = wish.renewable && grant.expires.has_value();
  record.created = record.renewed = ctx.now;
  record.expires = grant.expires;
  record.creation_ttl = record.ttl = grant.ttl;
  record.explicit_max_ttl = wish.explicit_max;
  record.period = wish.period;
  record.num_uses = wish.num_uses;
  record.parent = record.orphan ? std::string_view() : ctx.token_hash;
  record.accessor = ctx.arena.copy(accessor);
  record.display_name = ctx.arena.copy(display_name(wish.display_name));
  record.path = ctx.full_path;
  record.policies = policies;
  std::string metadata;
  if (wish.metadata.is_object() && wish.metadata.size() > 0)
    json::write(wish.metadata, metadata, {.sort_keys = true});
  record.metadata = ctx.arena.copy(metadata);
  COFFER_TRY(tokens.add(hash, record));
  ctx.handed_out.push_back(hash);
  warn_of_missing(ctx, policies);
  ctx.response.auth = auth_of(ctx.arena, record, text);
  return ok_status();
}

Status handle_create(HandlerContext& ctx) { return create(call(ctx), false); }
Status handle_create_orphan(HandlerContext& ctx) { return create(call(ctx), true); }
Status handle_create_role(HandlerContext& ctx) {
  return Status(Code::kInvalid, "unknown role " + std::string(ctx.captures.front()));
}

}  // namespace

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
  auth.num_uses = record.num_uses;
  return auth;
}

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
      {"type", FieldType::kString, "service"},
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
