// sys/policies/password: rules for generated passwords.
#include "base/encoding.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/password_policy.h"
#include "core/path_fields.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::string_view kPrefix = "password-policy/";  // of the core's records

store::StoreKey key(const CallContext& ctx, std::string_view rest) {
  return {store::KeyClass::kShared, ctx.mount.namespace_id, layout::kSystemMount, rest};
}

store::StoreKey record(CallContext& ctx) {
  return key(ctx, ctx.arena.copy(std::string(kPrefix).append(ctx.captures.front())));
}

Result<std::string_view> stored(CallContext& ctx) {
  COFFER_ASSIGN(const auto text, ctx.txn.get(record(ctx)));
  return text ? Result<std::string_view>(*text) : Status(Code::kNotFound, one_error("policy does not exist"));
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, stored(ctx));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("policy", text).build();
  return ok_status();
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_policy_name(ctx.captures.front()));
  COFFER_ASSIGN(const std::string_view given, ctx.string_field("policy", ""));
  if (given.empty())
    return Status(Code::kInvalid, one_error("missing policy"));
  // Some clients send the text as base64.
  const Result<std::string> decoded = base64_decode(given);
  const std::string_view text = decoded.ok() && !decoded->empty() ? std::string_view(*decoded) : given;
  if (const Result<PasswordPolicy> policy = PasswordPolicy::parse(text); !policy.ok())
    return Status(Code::kInvalid, one_error("invalid password policy: " + one_error(policy.status().message())));
  return ctx.txn.put(record(ctx), text);
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  return ctx.txn.erase(record(ctx));
}

Status handle_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(key(ctx, kPrefix), {}, 0));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, page.names);
  return ok_status();
}

Status handle_generate(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, stored(ctx));
  const Result<PasswordPolicy> policy = PasswordPolicy::parse(text);
  if (!policy.ok())
    return Status(Code::kDataLoss, "a stored password policy does not parse");
  COFFER_ASSIGN(const SecretBytes password, policy->generate(ctx.random));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("password", password.reveal_text()).build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_password_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"policies/password", "The names of all rules for generated passwords.", {},
                   {{Operation::kList, Effect::kReads, handle_list, "Lists the rules."}}});
  specs.push_back({"policies/password/:name", "Rules for generated passwords: read, replace or delete them.",
                   {{"policy", FieldType::kString, "The length, and charsets with their least numbers, as HCL.", true}},
                   {{Operation::kRead, Effect::kReads, handle_read, "Reads the rules."},
                    {Operation::kWrite, Effect::kWrites, handle_write, "Writes the rules."},
                    {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes the rules."}}});
  specs.push_back({"policies/password/:name/generate", "A password by these rules.", {},
                   {{Operation::kRead, Effect::kReads, handle_generate, "Generates a password."}}});
  return specs;
}

}  // namespace coffer::core
