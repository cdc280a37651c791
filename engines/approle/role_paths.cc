#include <cstdint>

#include "base/encoding.h"
#include "core/answers.h"
#include "engines/approle/paths.h"
#include "engines/approle/records.h"

namespace coffer::engines::approle {
namespace {

using core::Effect;
using core::FieldType;
using core::HandlerContext;
using core::Operation;

constexpr std::size_t kRoleIdBytesMax = 1024;

json::Value networks_value(json::Arena& arena, const std::vector<std::string>& networks) {
  return networks.empty() ? json::Value() : core::owned_text_list(arena, networks);
}

bool given(const HandlerContext& ctx, std::string_view field) { return !ctx.field(field).is_null(); }

// What must hold whichever way a role was changed.
Status check_role(const Role& role) {
  const core::TokenParams& params = role.params;
  if (!role.bind_secret_id && role.secret_id_bound_cidrs.empty() && params.bound_cidrs.empty())
    return Status(Code::kInvalid, "at least one constraint should be enabled on the role");
  return core::check_token_params(params);
}

// Each setting: how it is taken from a body, shown, and put back to what a new role has. take_ functions leave a role
// alone that the body says nothing of.
Status take_policies(HandlerContext& ctx, Role& role) {
  COFFER_TRY(core::read_policy_list(ctx, "policies", role.params.policies));
  COFFER_TRY(core::read_policy_list(ctx, "token_policies", role.params.policies));
  if (given(ctx, "policies") || given(ctx, "token_policies"))
    role.older_policies = !given(ctx, "token_policies");
  return ok_status();
}
void show_policies(HandlerContext& ctx, const Role& role, json::ObjectBuilder& data) {
  if (role.older_policies)
    data.add("policies", core::owned_text_list(ctx.arena, role.params.policies));
  data.add("token_policies", core::owned_text_list(ctx.arena, role.params.policies));
}
void reset_policies(Role& role) {
  role.params.policies.clear();
  role.older_policies = false;
}

Status take_period(HandlerContext& ctx, Role& role) {
  COFFER_TRY(core::read_ttl(ctx, "period", role.params.period));
  COFFER_TRY(core::read_ttl(ctx, "token_period", role.params.period));
  if (given(ctx, "period") || given(ctx, "token_period"))
    role.older_period = !given(ctx, "token_period") && role.params.period > Nanos(0);
  return ok_status();
}
void show_period(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  if (role.older_period)
    data.add("period", core::whole_seconds(role.params.period));
  data.add("token_period", core::whole_seconds(role.params.period));
}
void reset_period(Role& role) {
  role.params.period = Nanos(0);
  role.older_period = false;
}

Status take_bind(HandlerContext& ctx, Role& role) {
  COFFER_ASSIGN(role.bind_secret_id, ctx.bool_field("bind_secret_id", role.bind_secret_id));
  return ok_status();
}
void show_bind(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("bind_secret_id", role.bind_secret_id);
}
void reset_bind(Role& role) { role.bind_secret_id = true; }

Status take_secret_cidrs(HandlerContext& ctx, Role& role) {
  COFFER_TRY(core::read_cidr_list(ctx, "bound_cidr_list", role.secret_id_bound_cidrs));
  return core::read_cidr_list(ctx, "secret_id_bound_cidrs", role.secret_id_bound_cidrs);
}
void show_secret_cidrs(HandlerContext& ctx, const Role& role, json::ObjectBuilder& data) {
  data.add("secret_id_bound_cidrs", networks_value(ctx.arena, role.secret_id_bound_cidrs));
}
void show_older_cidrs(HandlerContext& ctx, const Role& role, json::ObjectBuilder& data) {
  data.add("bound_cidr_list", networks_value(ctx.arena, role.secret_id_bound_cidrs));
  core::warn(ctx.response, ctx.arena,
             "The \"bound_cidr_list\" field is deprecated and will be removed. Please use \"secret_id_bound_cidrs\" "
             "instead.");
}
void reset_secret_cidrs(Role& role) { role.secret_id_bound_cidrs.clear(); }

Status take_token_cidrs(HandlerContext& ctx, Role& role) {
  return core::read_cidr_list(ctx, "token_bound_cidrs", role.params.bound_cidrs);
}
void show_token_cidrs(HandlerContext& ctx, const Role& role, json::ObjectBuilder& data) {
  data.add("token_bound_cidrs", networks_value(ctx.arena, role.params.bound_cidrs));
}
void reset_token_cidrs(Role& role) { role.params.bound_cidrs.clear(); }

Status take_count(HandlerContext& ctx, std::string_view field, std::int64_t& count) {
  COFFER_ASSIGN(const std::int64_t wished, ctx.int_field(field, count, INT32_MIN, INT32_MAX));
  if (wished < 0)
    return Status(Code::kInvalid, std::string(field) + " cannot be negative");
  count = wished;
  return ok_status();
}

Status take_secret_uses(HandlerContext& ctx, Role& role) {
  return take_count(ctx, "secret_id_num_uses", role.secret_id_num_uses);
}
void show_secret_uses(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("secret_id_num_uses", role.secret_id_num_uses);
}
void reset_secret_uses(Role& role) { role.secret_id_num_uses = 0; }

Status take_secret_ttl(HandlerContext& ctx, Role& role) {
  return core::read_ttl(ctx, "secret_id_ttl", role.secret_id_ttl);
}
void show_secret_ttl(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("secret_id_ttl", core::whole_seconds(role.secret_id_ttl));
}
void reset_secret_ttl(Role& role) { role.secret_id_ttl = Nanos(0); }

Status take_token_uses(HandlerContext& ctx, Role& role) {
  return take_count(ctx, "token_num_uses", role.params.num_uses);
}
void show_token_uses(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("token_num_uses", role.params.num_uses);
}
void reset_token_uses(Role& role) { role.params.num_uses = 0; }

Status take_token_ttl(HandlerContext& ctx, Role& role) { return core::read_ttl(ctx, "token_ttl", role.params.ttl); }
void show_token_ttl(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("token_ttl", core::whole_seconds(role.params.ttl));
}
void reset_token_ttl(Role& role) { role.params.ttl = Nanos(0); }

Status take_token_max_ttl(HandlerContext& ctx, Role& role) {
  return core::read_ttl(ctx, "token_max_ttl", role.params.max_ttl);
}
void show_token_max_ttl(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("token_max_ttl", core::whole_seconds(role.params.max_ttl));
}
void reset_token_max_ttl(Role& role) { role.params.max_ttl = Nanos(0); }

void show_local(HandlerContext&, const Role& role, json::ObjectBuilder& data) {
  data.add("local_secret_ids", role.local_secret_ids);
}

using Take = Status (*)(HandlerContext&, Role&);
using Show = void (*)(HandlerContext&, const Role&, json::ObjectBuilder&);
using Reset = void (*)(Role&);

// Roles are made at their own path only.
Result<Role> role_to_change(HandlerContext& ctx) {
  Result<Role> role = role_of_path(ctx);
  if (role.code() == Code::kNotFound)
    return Status(Code::kNotFound, core::one_error("unsupported path"));
  return role;
}

template <Show show>
Status read_setting(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, role_of_path(ctx));
  json::ObjectBuilder data(ctx.arena, 2);
  show(ctx, role, data);
  ctx.response.data = data.build();
  return ok_status();
}

template <Take take>
Status write_setting(HandlerContext& ctx) {
  COFFER_ASSIGN(Role role, role_to_change(ctx));
  COFFER_TRY(take(ctx, role));
  COFFER_TRY(check_role(role));
  return put_role(ctx, role, role.role_id);
}

template <Reset reset>
Status reset_setting(HandlerContext& ctx) {
  COFFER_ASSIGN(Role role, role_to_change(ctx));
  reset(role);
  COFFER_TRY(check_role(role));
  return put_role(ctx, role, role.role_id);
}

// A body that names none of these fields is a mistake.
template <Take take, const char* const* names>
Status write_needed(HandlerContext& ctx) {
  bool any = false;
  for (const char* const* name = names; *name != nullptr; ++name)
    any = any || given(ctx, *name);
  if (!any)
    return Status(Code::kInvalid, std::string("missing ") + *names);
  return write_setting<take>(ctx);
}

constexpr const char* kPolicyNames[] = {"token_policies", "policies", nullptr};
constexpr const char* kPeriodNames[] = {"period", "token_period", nullptr};
constexpr const char* kBindNames[] = {"bind_secret_id", nullptr};
constexpr const char* kSecretUsesNames[] = {"secret_id_num_uses", nullptr};
constexpr const char* kSecretTtlNames[] = {"secret_id_ttl", nullptr};
constexpr const char* kTokenUsesNames[] = {"token_num_uses", nullptr};
constexpr const char* kTokenTtlNames[] = {"token_ttl", nullptr};
constexpr const char* kTokenMaxTtlNames[] = {"token_max_ttl", nullptr};

Status read_role(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, role_of_path(ctx));
  json::ObjectBuilder data(ctx.arena, 20);
  show_bind(ctx, role, data);
  show_local(ctx, role, data);
  if (role.older_period)
    data.add("period", core::whole_seconds(role.params.period));
  if (role.older_policies)
    data.add("policies", core::owned_text_list(ctx.arena, role.params.policies));
  show_secret_cidrs(ctx, role, data);
  show_secret_uses(ctx, role, data);
  show_secret_ttl(ctx, role, data);
  core::show_token_params(data, ctx.arena, role.params);
  ctx.response.data = data.build();
  return ok_status();
}

// The id that the body gives, or a random one for a role that has none.
Status take_role_id(HandlerContext& ctx, Role& role) {
  if (!given(ctx, "role_id")) {
    if (role.role_id.empty()) {
      COFFER_ASSIGN(role.role_id, random_uuid(ctx.random));
    }
    return ok_status();
  }
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("role_id", ""));
  if (id.empty())
    return Status(Code::kInvalid, "invalid role_id supplied, or failed to generate a role_id");
  if (id.size() > kRoleIdBytesMax)
    return Status(Code::kInvalid,
                  "field \"role_id\" is longer than " + std::to_string(kRoleIdBytesMax) + " bytes");
  role.role_id = id;
  return ok_status();
}

Status write_role(HandlerContext& ctx) {
  const std::string name = role_name(ctx);
  COFFER_ASSIGN(auto role, find_role(ctx, name));
  const bool is_new = !role;
  if (is_new) {
    COFFER_ASSIGN(role, new_role(ctx, name));
  }
  const std::string old_role_id = role->role_id;
  COFFER_TRY(take_role_id(ctx, *role));
  COFFER_ASSIGN(const bool local, ctx.bool_field("local_secret_ids", role->local_secret_ids));
  if (!is_new && local != role->local_secret_ids)
    return Status(Code::kInvalid, "local_secret_ids can only be modified during role creation");
  role->local_secret_ids = local;
  for (const Take take : {take_bind, take_secret_cidrs, take_secret_uses, take_secret_ttl, take_policies, take_period})
    COFFER_TRY(take(ctx, *role));
  COFFER_TRY(core::read_token_params(ctx, role->params));
  COFFER_TRY(check_role(*role));
  return put_role(ctx, *role, old_role_id);
}

Status delete_role(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto role, find_role(ctx, role_name(ctx)));
  return role ? erase_role(ctx, *role) : ok_status();
}

Status list_roles(HandlerContext& ctx) {
  COFFER_ASSIGN(const core::ListPage page, ctx.storage.list("role/"));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = core::keys_answer(ctx.arena, page.names);
  return ok_status();
}

Result<bool> role_exists(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto role, find_role(ctx, role_name(ctx)));
  return role.has_value();
}

void show_role_id(HandlerContext&, const Role& role, json::ObjectBuilder& data) { data.add("role_id", role.role_id); }

Status write_role_id(HandlerContext& ctx) {
  COFFER_ASSIGN(Role role, role_to_change(ctx));
  const std::string old_role_id = role.role_id;
  if (!given(ctx, "role_id"))
    return Status(Code::kInvalid, "missing role_id");
  COFFER_TRY(take_role_id(ctx, role));
  return put_role(ctx, role, old_role_id);
}

const core::Field kPolicies = {"policies", FieldType::kStringList, "An older name of token_policies."};
const core::Field kPeriod = {"period", FieldType::kDuration, "An older name of token_period."};
const core::Field kOlderCidrs = {"bound_cidr_list", FieldType::kStringList, "An older name of secret_id_bound_cidrs."};
const core::Field kRoleId = {"role_id", FieldType::kString, "The role's id; random when none was ever given."};
const core::Field kBind = {"bind_secret_id", FieldType::kBool, "Whether a login needs a secret id."};
const core::Field kSecretCidrs = {"secret_id_bound_cidrs", FieldType::kStringList,
                                  "Networks that logins may come from."};
const core::Field kSecretUses = {"secret_id_num_uses", FieldType::kInt,
                                 "How often a secret id is good for a login; 0 is without limit."};
const core::Field kSecretTtl = {"secret_id_ttl", FieldType::kDuration, "How long a secret id is good; 0 is for ever."};

std::vector<core::Field> role_fields() {
  std::vector<core::Field> fields = core::token_param_fields();
  for (const core::Field& field : {kPolicies, kPeriod, kOlderCidrs, kRoleId, kBind, kSecretCidrs, kSecretUses,
                                   kSecretTtl})
    fields.push_back(field);
  fields.push_back({"local_secret_ids", FieldType::kBool, "Whether secret ids stay in this cluster; fixed for good."});
  return fields;
}

template <Show show, core::Handler write, Reset reset>
core::PathSpec setting(std::string_view pattern, std::string_view help, std::vector<core::Field> fields) {
  return {pattern, help, std::move(fields),
          {{Operation::kRead, Effect::kReads, read_setting<show>, "Shows the setting."},
           {Operation::kWrite, Effect::kWrites, write, "Changes the setting."},
           {Operation::kDelete, Effect::kWrites, reset_setting<reset>, "Puts back what a new role has."}}};
}

void add_settings(std::vector<core::PathSpec>& specs) {
  const auto one = [](std::string_view name, FieldType type) {
    return std::vector<core::Field>{{name, type, "The setting."}};
  };
  specs.push_back(setting<show_policies, write_needed<take_policies, kPolicyNames>, reset_policies>(
      "role/:role_name/policies", "Policies of a role's tokens.",
      {{"token_policies", FieldType::kStringList, "Policies of the tokens."}, kPolicies}));
  specs.push_back(setting<show_bind, write_needed<take_bind, kBindNames>, reset_bind>(
      "role/:role_name/bind-secret-id", "Whether logins to a role need a secret id.", {kBind}));
  specs.push_back(setting<show_older_cidrs, write_setting<take_secret_cidrs>, reset_secret_cidrs>(
      "role/:role_name/bound-cidr-list", "An older name of secret-id-bound-cidrs.", {kOlderCidrs}));
  specs.push_back(setting<show_secret_cidrs, write_setting<take_secret_cidrs>, reset_secret_cidrs>(
      "role/:role_name/secret-id-bound-cidrs", "Networks that logins to a role may come from.", {kSecretCidrs}));
  specs.push_back(setting<show_token_cidrs, write_setting<take_token_cidrs>, reset_token_cidrs>(
      "role/:role_name/token-bound-cidrs", "Networks that a role's tokens may be used from.",
      one("token_bound_cidrs", FieldType::kStringList)));
  specs.push_back(setting<show_secret_uses, write_needed<take_secret_uses, kSecretUsesNames>, reset_secret_uses>(
      "role/:role_name/secret-id-num-uses", "How often a role's secret ids are good.", {kSecretUses}));
  specs.push_back(setting<show_secret_ttl, write_needed<take_secret_ttl, kSecretTtlNames>, reset_secret_ttl>(
      "role/:role_name/secret-id-ttl", "How long a role's secret ids are good.", {kSecretTtl}));
  specs.push_back(setting<show_period, write_needed<take_period, kPeriodNames>, reset_period>(
      "role/:role_name/period", "The period of a role's tokens.",
      {{"token_period", FieldType::kDuration, "The period."}, kPeriod}));
  specs.push_back(setting<show_token_uses, write_needed<take_token_uses, kTokenUsesNames>, reset_token_uses>(
      "role/:role_name/token-num-uses", "How often a role's tokens are good.", one("token_num_uses", FieldType::kInt)));
  specs.push_back(setting<show_token_ttl, write_needed<take_token_ttl, kTokenTtlNames>, reset_token_ttl>(
      "role/:role_name/token-ttl", "How long a role's tokens live at first.",
      one("token_ttl", FieldType::kDuration)));
  specs.push_back(setting<show_token_max_ttl, write_needed<take_token_max_ttl, kTokenMaxTtlNames>,
                          reset_token_max_ttl>("role/:role_name/token-max-ttl",
                                               "The longest that a role's tokens live.",
                                               one("token_max_ttl", FieldType::kDuration)));
  specs.push_back({"role/:role_name/local-secret-ids", "Whether a role's secret ids stay in this cluster.", {},
                   {{Operation::kRead, Effect::kReads, read_setting<show_local>, "Shows the setting."}}});
}

}  // namespace

std::vector<core::PathSpec> role_specs() {
  std::vector<core::PathSpec> specs;
  specs.push_back(
      {"role", "The names of all roles.", {}, {{Operation::kList, Effect::kReads, list_roles, "Lists them."}}});
  specs.push_back({"role/:role_name", "One role.", role_fields(),
                   {{Operation::kRead, Effect::kReads, read_role, "Shows the role."},
                    {Operation::kWrite, Effect::kWrites, write_role, "Makes a role, or changes it."},
                    {Operation::kDelete, Effect::kWrites, delete_role, "Removes the role and its secret ids."}},
                   role_exists});
  specs.push_back({"role/:role_name/role-id", "A role's id.", {kRoleId},
                   {{Operation::kRead, Effect::kReads, read_setting<show_role_id>, "Shows the id."},
                    {Operation::kWrite, Effect::kWrites, write_role_id, "Sets the id."}}});
  add_settings(specs);
  return specs;
}

}  // namespace coffer::engines::approle
