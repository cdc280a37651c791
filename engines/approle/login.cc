#include "base/mutant.h"
#include "core/cidr.h"
#include "engines/approle/paths.h"
#include "engines/approle/records.h"

namespace coffer::engines::approle {
namespace {

using core::HandlerContext;

// One answer for whoever is not let in (advisory B2).
Status refused() { return Status(Code::kInvalid, "invalid role or secret ID"); }

// The secret id's own members, and the role's name, which none of them can be.
Result<json::Value> login_metadata(HandlerContext& ctx, const Role& role, const SecretId* id) {
  json::Value given;
  if (id != nullptr && !id->metadata.empty()) {
    COFFER_ASSIGN(given, json::parse_copy(ctx.arena, id->metadata));
  }
  json::ObjectBuilder metadata(ctx.arena, given.size() + 1);
  for (const json::Member& member : given.members())
    if (member.key() != "role_name")
      metadata.add(member.key(), member.value);
  return metadata.add("role_name", role.name).build();
}

// Counts the use; the last one removes the secret id.
Status count_use(HandlerContext& ctx, const Role& role, const SecretId& id) {
  if (id.num_uses == 0)
    return ok_status();
  if (id.num_uses == 1)
    return erase_secret_id(ctx, role.uid, id);
  SecretId counted = id;
  --counted.num_uses;
  counted.updated = ctx.now;
  return put_secret_id(ctx, role, counted);
}

// As many reads and as much hashing as for a role: nobody learns from the time whether there is one (advisory B3).
Status look_for_nobody(HandlerContext& ctx, std::string_view secret) {
  if (mutant(Mutant::kGhostUserAnswersFast))
    return ok_status();
  COFFER_TRY(find_role(ctx, "-").status());
  return find_secret_id(ctx, Role(), secret).status();
}

Result<std::string_view> login_name(HandlerContext& ctx) { return ctx.string_field("role_id", ""); }

Result<std::string_view> login_role(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view role_id, ctx.string_field("role_id", ""));
  COFFER_ASSIGN(const auto role, find_role_by_id(ctx, role_id));
  return role ? ctx.arena.copy(role->name) : std::string_view();
}

Status log_in(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view role_id, ctx.string_field("role_id", ""));
  COFFER_ASSIGN(const std::string_view secret, ctx.string_field("secret_id", ""));
  if (role_id.empty())
    return Status(Code::kInvalid, "missing role_id");
  COFFER_ASSIGN(const auto role, find_role_by_id(ctx, role_id));
  std::optional<SecretId> id;
  if (!role || role->bind_secret_id) {
    if (secret.empty())
      return Status(Code::kInvalid, "missing secret_id");
    if (!role) {
      COFFER_TRY(look_for_nobody(ctx, secret));
      return mutant(Mutant::kRefusalTellsGhosts) ? Status(Code::kInvalid, "unknown role ID") : refused();
    }
    COFFER_ASSIGN(id, find_secret_id(ctx, *role, secret));
    if (!id || id->expired(ctx.now) || !core::in_networks(ctx.request.remote_address, id->cidrs))
      return refused();
  }
  if (!core::in_networks(ctx.request.remote_address, role->secret_id_bound_cidrs))
    return refused();
  core::LoginGrant grant;
  grant.params = role->params;
  if (id && !id->token_cidrs.empty())
    grant.params.bound_cidrs = id->token_cidrs;
  // A token that could not be used from here is not given out (advisory A18).
  if (!core::in_networks(ctx.request.remote_address, grant.params.bound_cidrs) &&
      !mutant(Mutant::kTokenCidrUnchecked))
    return refused();
  if (id)
    COFFER_TRY(count_use(ctx, *role, *id));
  grant.alias = ctx.arena.copy(role->role_id);
  grant.role = ctx.arena.copy(role->name);
  COFFER_ASSIGN(grant.metadata, login_metadata(ctx, *role, id ? &*id : nullptr));
  grant.alias_metadata = grant.metadata;
  ctx.login = std::move(grant);
  return ok_status();
}

}  // namespace

std::vector<core::PathSpec> login_specs() {
  using core::FieldType;
  std::vector<core::PathSpec> specs;
  specs.push_back({"login", "Log in with a role id and a secret id.",
                   {{"role_id", FieldType::kString, "The id of the role.", true},
                    {"secret_id", FieldType::kString, "A secret id of the role, if it asks for one."}},
                   {{core::Operation::kWrite, core::Effect::kWrites, log_in, "Logs in."}},
                   nullptr,
                   true,
                   false,
                   login_name});
  specs.back().login_role = login_role;
  return specs;
}

}  // namespace coffer::engines::approle
