#include <algorithm>

#include "base/encoding.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

std::string record_name(const HandlerContext& ctx, std::string_view policy) {
  return layout::policy_record(ctx.mount.namespace_id, policy);
}

bool is_old_form(const CallContext& ctx) { return ctx.path == "policy" || ctx.path.starts_with("policy/"); }

Status handle_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(ListPage page, ctx.txn.list(layout::core_key(layout::policy_folder(ctx.mount.namespace_id)), {}, 0));
  std::vector<std::string_view> names = page.names;
  names.push_back(kRootPolicyName);
  std::sort(names.begin(), names.end());
  json::ObjectBuilder data(ctx.arena, 2);
  data.add("keys", text_list(ctx.arena, names));
  if (is_old_form(ctx)) {
    data.add("policies", text_list(ctx.arena, names));
    ctx.response.data_also_top_level = true;
  }
  ctx.response.data = data.build();
  return ok_status();
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  std::string_view text;
  if (name != kRootPolicyName) {
    COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(record_name(ctx, name))));
    if (!stored)
      return Status(Code::kNotFound, "");
    COFFER_ASSIGN(const auto entry, decode_policy(name, *stored));
    text = ctx.arena.copy(entry->text);
  }
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 2).add("name", name).add(is_old_form(ctx) ? "rules" : "policy", text).build();
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

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  if (name == kRootPolicyName || name == kWrappingPolicyName || name == "control-group")
    return Status(Code::kInvalid, "cannot update \"" + std::string(name) + "\" policy");
  COFFER_TRY(check_policy_name(name));
  PolicyEntry entry;
  COFFER_ASSIGN(entry.text, policy_text(ctx));
  if (const Result<Policy> parsed = parse_policy(name, entry.text); !parsed.ok())
    return parsed.status().with_context("failed to parse policy");
  const store::StoreKey key = layout::core_key(ctx.arena.copy(record_name(ctx, name)));
  COFFER_ASSIGN(const auto stored, ctx.txn.get(key));
  if (stored) {
    COFFER_ASSIGN(const auto before, decode_policy(name, *stored));
    entry.version = before->version + 1;
  }
  entry.modified = ctx.now;
  return ctx.txn.put(key, encode_policy(entry));
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  if (name == kDefaultPolicyName)
    return Status(Code::kInvalid, "cannot delete default policy");
  if (name == kRootPolicyName || name == kWrappingPolicyName)
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
    specs.push_back({item, "One policy: read, replace or delete it.",
                     {{"policy", FieldType::kString, "Its rules, as HCL or JSON.", true},
                      {"rules", FieldType::kString, "An older name of policy."}},
                     {{Operation::kRead, Effect::kReads, handle_read, "Reads a policy."},
                      {Operation::kWrite, Effect::kWrites, handle_write, "Writes a policy."},
                      {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes a policy."}}});
  return specs;
}

}  // namespace coffer::core
