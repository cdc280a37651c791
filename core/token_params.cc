#include "core/token_params.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/mutant.h"
#include "core/cidr.h"
#include "core/engine.h"
#include "core/policy.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

constexpr std::size_t kPoliciesMax = 256;
constexpr std::size_t kCidrsMax = 256;
constexpr std::uint8_t kFlagNoDefault = 1;
constexpr std::uint8_t kFlagStrictIp = 2;

bool given(const HandlerContext& ctx, std::string_view field) { return !ctx.field(field).is_null(); }

std::string normalised(std::string_view name) {
  while (!name.empty() && (name.front() == ' ' || name.front() == '\t'))
    name.remove_prefix(1);
  while (!name.empty() && (name.back() == ' ' || name.back() == '\t'))
    name.remove_suffix(1);
  return lower_ascii(name);
}

Status read_type(HandlerContext& ctx, WishedType& type) {
  if (!given(ctx, "token_type"))
    return ok_status();
  COFFER_ASSIGN(const std::string_view name, ctx.string_field("token_type", ""));
  for (const WishedType one : {WishedType::kDefault, WishedType::kService, WishedType::kBatch,
                               WishedType::kDefaultService, WishedType::kDefaultBatch})
    if (name == type_name(one) || (name.empty() && one == WishedType::kDefault)) {
      type = one;
      return ok_status();
    }
  return Status(Code::kInvalid, "invalid 'token_type' value");
}

}  // namespace

std::string_view type_name(WishedType type) {
  switch (type) {
    case WishedType::kService:
      return "service";
    case WishedType::kBatch:
      return "batch";
    case WishedType::kDefaultService:
      return "default-service";
    case WishedType::kDefaultBatch:
      return "default-batch";
    case WishedType::kDefault:
      break;
  }
  return "default";
}

std::vector<Field> token_param_fields() {
  return {
      {"token_bound_cidrs", FieldType::kStringList, "Networks that the token may be used from."},
      {"token_explicit_max_ttl", FieldType::kDuration, "Beyond this age the token cannot be renewed."},
      {"token_max_ttl", FieldType::kDuration, "The longest that the token may live, renewals included."},
      {"token_no_default_policy", FieldType::kBool, "Leave the default policy out."},
      {"token_num_uses", FieldType::kInt, "How often the token may be used; 0 is without limit."},
      {"token_period", FieldType::kDuration, "Makes the token periodic: it lives this long after each renewal."},
      {"token_policies", FieldType::kStringList, "Policies of the token."},
      {"token_strictly_bind_ip", FieldType::kBool, "The token works from the address that logged in only."},
      {"token_ttl", FieldType::kDuration, "How long the token lives at first."},
      {"token_type", FieldType::kString, "service, batch, or default for what the mount says."},
  };
}

Status read_policy_list(HandlerContext& ctx, std::string_view field, std::vector<std::string>& out) {
  if (!given(ctx, field))
    return ok_status();
  COFFER_ASSIGN(const auto names, ctx.list_field(field));
  if (names.size() > kPoliciesMax)
    return Status(Code::kInvalid,
                  "field \"" + std::string(field) + "\" names more than " + std::to_string(kPoliciesMax) + " policies");
  std::vector<std::string> policies;
  for (const std::string_view name : names) {
    std::string policy = normalised(name);
    if (policy.empty())
      continue;
    if (!mutant(Mutant::kRootPolicyGranted))
      COFFER_TRY(check_policy_name(policy).with_context("field \"" + std::string(field) + "\""));
    policies.push_back(std::move(policy));
  }
  std::sort(policies.begin(), policies.end());
  policies.erase(std::unique(policies.begin(), policies.end()), policies.end());
  out = std::move(policies);
  return ok_status();
}

Status read_cidr_list(HandlerContext& ctx, std::string_view field, std::vector<std::string>& out) {
  if (!given(ctx, field))
    return ok_status();
  COFFER_ASSIGN(const auto texts, ctx.list_field(field));
  if (texts.size() > kCidrsMax)
    return Status(Code::kInvalid,
                  "field \"" + std::string(field) + "\" names more than " + std::to_string(kCidrsMax) + " networks");
  std::vector<std::string> networks;
  for (const std::string_view text : texts) {
    if (!Cidr::parse(text))
      return Status(Code::kInvalid, "field \"" + std::string(field) + "\" must be a list of addresses or networks");
    networks.emplace_back(text);
  }
  out = std::move(networks);
  return ok_status();
}

Status read_ttl(HandlerContext& ctx, std::string_view field, Nanos& out) {
  COFFER_ASSIGN(const Nanos ttl, ctx.duration_field(field, out));
  if (ttl > kTtlMax)
    return Status(Code::kInvalid, "field \"" + std::string(field) + "\" is longer than 100 years");
  out = std::chrono::duration_cast<std::chrono::seconds>(ttl);
  return ok_status();
}

Status read_token_params(HandlerContext& ctx, TokenParams& params) {
  COFFER_TRY(read_ttl(ctx, "token_ttl", params.ttl));
  COFFER_TRY(read_ttl(ctx, "token_max_ttl", params.max_ttl));
  COFFER_TRY(read_ttl(ctx, "token_explicit_max_ttl", params.explicit_max_ttl));
  COFFER_TRY(read_ttl(ctx, "token_period", params.period));
  COFFER_ASSIGN(params.num_uses, ctx.int_field("token_num_uses", params.num_uses, 0, INT32_MAX));
  COFFER_ASSIGN(params.no_default_policy, ctx.bool_field("token_no_default_policy", params.no_default_policy));
  COFFER_ASSIGN(params.strictly_bind_ip, ctx.bool_field("token_strictly_bind_ip", params.strictly_bind_ip));
  COFFER_TRY(read_type(ctx, params.type));
  COFFER_TRY(read_policy_list(ctx, "token_policies", params.policies));
  COFFER_TRY(read_cidr_list(ctx, "token_bound_cidrs", params.bound_cidrs));
  return check_token_params(params);
}

Status check_token_params(const TokenParams& params) {
  if (params.max_ttl > Nanos(0) && params.ttl > params.max_ttl)
    return Status(Code::kInvalid, "'token_ttl' cannot be greater than 'token_max_ttl'");
  const bool batch = params.type == WishedType::kBatch || params.type == WishedType::kDefaultBatch;
  if (batch && (params.period > Nanos(0) || params.num_uses > 0))
    return Status(Code::kInvalid, params.period > Nanos(0)
                                      ? "'token_type' cannot be 'batch' or 'default_batch' when set to generate "
                                        "periodic tokens"
                                      : "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens "
                                        "with limited use count");
  return ok_status();
}

void show_token_params(json::ObjectBuilder& data, json::Arena& arena, const TokenParams& params) {
  const auto seconds = [](Nanos nanos) { return std::chrono::duration_cast<std::chrono::seconds>(nanos).count(); };
  data.add("token_bound_cidrs", owned_text_list(arena, params.bound_cidrs))
      .add("token_explicit_max_ttl", seconds(params.explicit_max_ttl))
      .add("token_max_ttl", seconds(params.max_ttl))
      .add("token_no_default_policy", params.no_default_policy)
      .add("token_num_uses", params.num_uses)
      .add("token_period", seconds(params.period))
      .add("token_policies", owned_text_list(arena, params.policies))
      .add("token_strictly_bind_ip", params.strictly_bind_ip)
      .add("token_ttl", seconds(params.ttl))
      .add("token_type", type_name(params.type));
}

void encode(const TokenParams& params, ByteWriter& writer) {
  std::uint8_t flags = 0;
  flags |= params.no_default_policy ? kFlagNoDefault : 0;
  flags |= params.strictly_bind_ip ? kFlagStrictIp : 0;
  writer.u8(flags).u8(static_cast<std::uint8_t>(params.type));
  for (const Nanos nanos : {params.ttl, params.max_ttl, params.explicit_max_ttl, params.period})
    writer.varint(static_cast<std::uint64_t>(nanos.count()));
  writer.varint(static_cast<std::uint64_t>(params.num_uses));
  encode_texts(params.policies, writer);
  encode_texts(params.bound_cidrs, writer);
}

TokenParams decode_token_params(ByteReader& reader) {
  TokenParams params;
  const std::uint8_t flags = reader.u8();
  params.no_default_policy = (flags & kFlagNoDefault) != 0;
  params.strictly_bind_ip = (flags & kFlagStrictIp) != 0;
  params.type = static_cast<WishedType>(reader.u8());
  for (Nanos* nanos : {&params.ttl, &params.max_ttl, &params.explicit_max_ttl, &params.period})
    *nanos = Nanos(static_cast<std::int64_t>(reader.varint()));
  params.num_uses = static_cast<std::int64_t>(reader.varint());
  params.policies = decode_texts(reader);
  params.bound_cidrs = decode_texts(reader);
  return params;
}

bool same_policies(const TokenParams& params, const std::vector<std::string_view>& policies) {
  std::vector<std::string_view> now(params.policies.begin(), params.policies.end());
  if (!params.no_default_policy)
    now.push_back(kDefaultPolicyName);
  std::sort(now.begin(), now.end());
  now.erase(std::unique(now.begin(), now.end()), now.end());
  return now == policies;
}

void encode_texts(const std::vector<std::string>& texts, ByteWriter& writer) {
  writer.varint(texts.size());
  for (const std::string& text : texts)
    writer.bytes(text);
}

std::vector<std::string> decode_texts(ByteReader& reader) {
  std::vector<std::string> texts;
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i)
    texts.emplace_back(reader.bytes());
  return texts;
}

json::Value owned_text_list(json::Arena& arena, const std::vector<std::string>& texts) {
  json::ArrayBuilder list(arena, texts.size() + 1);
  for (const std::string& text : texts)
    list.add(text);
  return list.build();
}

}  // namespace coffer::core
