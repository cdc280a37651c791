#include <algorithm>

#include "base/encoding.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/policy_keys.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr Nanos kPolicyTtlMax = std::chrono::hours(24 * 365 * 100);

std::string record_name(const HandlerContext& ctx, std::string_view policy) {
  return layout::policy_record(ctx.mount.namespace_id, policy);
}

bool is_old_form(const CallContext& ctx) { return ctx.path == "policy" || ctx.path.starts_with("policy/"); }

struct Named {
  std::string_view name;
  std::shared_ptr<const PolicyEntry> entry;
};

// Nothing when there is none, or its time is over.
Result<std::shared_ptr<const PolicyEntry>> find_policy(CallContext& ctx, std::string_view name) {
  COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(ctx.arena.copy(record_name(ctx, name)))));
  if (!stored)
    return std::shared_ptr<const PolicyEntry>();
  COFFER_ASSIGN(auto entry, decode_policy(name, *stored));
  if (entry->expires <= ctx.now)
    entry.reset();
  return entry;
}

// With "root", which is nowhere stored. In order.
Result<std::vector<Named>> all_policies(CallContext& ctx) {
  COFFER_ASSIGN(const ListPage page,
                ctx.txn.list(layout::core_key(layout::policy_folder(ctx.mount.namespace_id)), {}, 0));
  std::vector<Named> out = {{kRootPolicyName, std::make_shared<const PolicyEntry>(PolicyEntry{.version = 0})}};
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(auto entry, find_policy(ctx, name));
    if (entry)
      out.push_back({name, std::move(entry)});
  }
  std::ranges::sort(out, {}, &Named::name);
  return out;
}

json::Value policy_value(CallContext& ctx, const Named& policy, std::string_view text_name) {
  const PolicyEntry& entry = *policy.entry;
  json::ObjectBuilder out(ctx.arena, 6);
  out.add("cas_required", entry.cas_required);
  if (entry.expires != WallTime::max())
    out.add("expiration", format_time(entry.expires));
  if (entry.version > 0)
    out.add("modified", format_time(entry.modified));
  return out.add("name", policy.name)
      .add(text_name, entry.text)
      .add("version", static_cast<std::int64_t>(entry.version))
      .build();
}

Status handle_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::vector<Named> policies, all_policies(ctx));
  std::vector<std::string_view> names;
  for (const Named& policy : policies)
    names.push_back(policy.name);
  json::ObjectBuilder data(ctx.arena, 2);
  data.add("keys", text_list(ctx.arena, names));
  if (is_old_form(ctx)) {
    data.add("policies", text_list(ctx.arena, names));
    ctx.response.data_also_top_level = true;
  }
  ctx.response.data = data.build();
  return ok_status();
}

Status handle_list_detailed(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", 0, -1, INT32_MAX));
  COFFER_ASSIGN(const std::vector<Named> policies, all_policies(ctx));
  json::ArrayBuilder names(ctx.arena, policies.size());
  json::ObjectBuilder info(ctx.arena, policies.size());
  std::int64_t shown = 0;
  for (const Named& policy : policies) {
    if ((!after.empty() && policy.name <= after) || (limit > 0 && shown == limit))
      continue;
    ++shown;
    names.add(policy.name);
    info.add(policy.name, policy_value(ctx, policy, "policy"));
  }
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 2).add("key_info", info.build()).add("keys", names.build()).build();
  return ok_status();
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  Named policy{ctx.captures.front(), nullptr};
  if (policy.name == kRootPolicyName) {
    policy.entry = std::make_shared<const PolicyEntry>(PolicyEntry{.version = 0});
  } else {
    COFFER_ASSIGN(policy.entry, find_policy(ctx, policy.name));
  }
  if (!policy.entry)
    return Status(Code::kNotFound, "");
  ctx.response.data = policy_value(ctx, policy, is_old_form(ctx) ? "rules" : "policy");
  ctx.response.data_also_top_level = is_old_form(ctx);
  return ok_status();
}

Result<std::string> policy_text(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view rules, ctx.string_field("rules", ""));
  COFFER_ASSIGN(const std::string_view given, ctx.string_field("policy", is_old_form(ctx) ? rules : ""));
  if (given.empty())
    return Status(Code::kInvalid, "'policy' parameter not supplied or empty");
  // Some clients send the text as base64. A policy's own text is never that: it holds blanks, quotes and braces.
  Result<std::string> decoded = base64_decode(given);
  return decoded.ok() && !decoded->empty() ? std::move(*decoded) : std::string(given);
}

Status check_writable(std::string_view name) {
  if (name == kRootPolicyName || name == kWrappingPolicyName || name == kApprovalPolicyName)
    return Status(Code::kInvalid, "cannot update \"" + std::string(name) + "\" policy");
  return check_policy_name(name);
}

// Whoever says which version they saw changes that one or nothing.
Status check_version(CallContext& ctx, const PolicyEntry* before, bool required) {
  const std::int64_t version = before == nullptr ? 0 : static_cast<std::int64_t>(before->version);
  const bool given = !ctx.field("cas").is_null();
  if (!given)
    return required || (before != nullptr && before->cas_required)
               ? Status(Code::kInvalid, "check-and-set parameter required for this call")
               : ok_status();
  COFFER_ASSIGN(const std::int64_t cas, ctx.int_field("cas", 0, -1, INT64_MAX));
  if (cas == -1)
    return before == nullptr ? ok_status()
                             : Status(Code::kInvalid, "check-and-set parameter set to -1 on existing entry");
  if (cas == version)
    return ok_status();
  return Status(Code::kInvalid, "check-and-set parameter " + std::to_string(cas) +
                                    " did not match the current version " + std::to_string(version));
}

Status read_expiration(CallContext& ctx, WallTime& out) {
  const json::Value at = ctx.field("expiration");
  const bool has_ttl = !ctx.field("ttl").is_null();
  if (!at.is_null() && has_ttl)
    return Status(Code::kInvalid, "cannot supply both 'expiration' and 'ttl' for policies");
  if (has_ttl) {
    COFFER_ASSIGN(const Nanos ttl, ctx.duration_field("ttl", Nanos(0)));
    if (ttl > kPolicyTtlMax)
      return Status(Code::kInvalid, "field \"ttl\" must be a duration of at most a hundred years");
    out = ttl > Nanos(0) ? ctx.now + ttl : out;
    return ok_status();
  }
  if (at.is_null())
    return ok_status();
  hcl::Node node;
  node.kind = at.is_number() ? hcl::Kind::kNumber : hcl::Kind::kString;
  node.text = at.is_number() ? at.number_text() : at.is_string() ? at.as_string() : std::string_view("x");
  const Result<WallTime> time = expiration_of(node);
  if (!time.ok())
    return Status(Code::kInvalid, "field \"expiration\" must be a time such as \"2030-01-02T03:04:05Z\"");
  if (*time <= ctx.now)
    return Status(Code::kInvalid, "refusing to update policy as expiration time has already elapsed");
  out = *time;
  return ok_status();
}

Status put_policy(CallContext& ctx, std::string_view name, PolicyEntry& entry, const PolicyEntry* before) {
  COFFER_TRY(read_expiration(ctx, entry.expires));
  entry.version = before == nullptr ? 1 : before->version + 1;
  entry.modified = ctx.now;
  return ctx.txn.put(layout::core_key(ctx.arena.copy(record_name(ctx, name))), encode_policy(entry));
}

Status take_text(CallContext& ctx, std::string_view name, PolicyEntry& entry) {
  COFFER_ASSIGN(entry.text, policy_text(ctx));
  const Result<Policy> parsed = parse_policy(name, entry.text);
  return parsed.ok() ? ok_status() : parsed.status().with_context("failed to parse policy");
}

// As of what is published: writes that are under way together may go beyond it by as much as they bring.
Status check_room(const CallContext& ctx, const PolicyEntry& entry, const PolicyEntry* before) {
  const PolicyStore& all = ctx.published.policies_of(ctx.mount.namespace_id);
  if (before == nullptr && all.entries().size() >= kNamespacePoliciesMax)
    return Status(Code::kExhausted,
                  "there are " + std::to_string(kNamespacePoliciesMax) + " policies in this namespace already");
  const std::size_t less = before == nullptr ? 0 : before->text.size();
  if (entry.text.size() > less && all.text_bytes() + entry.text.size() - less > kNamespacePolicyBytesMax)
    return Status(Code::kExhausted, "the policies of this namespace would be longer than " +
                                        std::to_string(kNamespacePolicyBytesMax >> 20) + " MiB together");
  return ok_status();
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  COFFER_TRY(check_writable(name));
  COFFER_ASSIGN(const auto before, find_policy(ctx, name));
  PolicyEntry entry;
  COFFER_ASSIGN(entry.cas_required, ctx.bool_field("cas_required", false));
  COFFER_TRY(take_text(ctx, name, entry));
  COFFER_TRY(check_version(ctx, before.get(), entry.cas_required));
  COFFER_TRY(check_room(ctx, entry, before.get()));
  return put_policy(ctx, name, entry, before.get());
}

// What is not given stays as it is (advisory D16).
Status handle_patch(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  COFFER_TRY(check_writable(name));
  COFFER_ASSIGN(const auto before, find_policy(ctx, name));
  if (!before)
    return Status(Code::kInvalid, "policy not found");
  PolicyEntry entry;
  if (!mutant(Mutant::kPolicyPatchDropsFields)) {
    entry.expires = before->expires;
    entry.cas_required = before->cas_required;
  }
  entry.text = before->text;
  COFFER_ASSIGN(entry.cas_required, ctx.bool_field("cas_required", entry.cas_required));
  if (!ctx.field("policy").is_null())
    COFFER_TRY(take_text(ctx, name, entry));
  COFFER_TRY(check_version(ctx, before.get(), entry.cas_required));
  COFFER_TRY(check_room(ctx, entry, before.get()));
  ctx.response.status = 200;
  return put_policy(ctx, name, entry, before.get());
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  if (name == kDefaultPolicyName)
    return Status(Code::kInvalid, "cannot delete default policy");
  if (name == kRootPolicyName || name == kWrappingPolicyName || name == kApprovalPolicyName)
    return Status(Code::kInvalid, "cannot delete \"" + std::string(name) + "\" policy");
  return ctx.txn.erase(layout::core_key(record_name(ctx, name)));
}

}  // namespace

std::vector<PathSpec> sys_policy_specs() {
  std::vector<PathSpec> specs;
  for (const std::string_view folder : {"policies/acl", "policy"})
    specs.push_back({folder, "The names of all policies.", {},
                     {{Operation::kList, Effect::kReads, handle_list, "Lists the policies."},
                      {Operation::kRead, Effect::kReads, handle_list, "Lists the policies."}}});
  for (const std::string_view item : {"policies/acl/:name", "policy/:name"})
    specs.push_back({item, "One policy: read, replace, change or delete it.",
                     {{"policy", FieldType::kString, "Its rules, as HCL or JSON.", true},
                      {"rules", FieldType::kString, "An older name of policy."},
                      {"expiration", FieldType::kString, "When the policy ends."},
                      {"ttl", FieldType::kDuration, "How long it is good for, in the place of expiration."},
                      {"cas", FieldType::kInt, "The version that is to be replaced; -1: there is none yet."},
                      {"cas_required", FieldType::kBool, "Whether the next write has to tell the version too."}},
                     {{Operation::kRead, Effect::kReads, handle_read, "Reads a policy."},
                      {Operation::kWrite, Effect::kWrites, handle_write, "Writes a policy."},
                      {Operation::kPatch, Effect::kWrites, handle_patch, "Changes what is given of a policy."},
                      {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes a policy."}}});
  specs.push_back({"policies/detailed/acl", "All policies with their rules.",
                   {{"after", FieldType::kString, "Begin behind this name."},
                    {"limit", FieldType::kInt, "At most so many."}},
                   {{Operation::kList, Effect::kReads, handle_list_detailed, "Lists policies and what they say."}}});
  return specs;
}

}  // namespace coffer::core
