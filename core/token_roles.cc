#include "core/token_roles.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/path.h"
#include "core/answers.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kPrefix = "role/";
constexpr std::size_t kAliasesMax = 256;
constexpr std::size_t kSuffixBytesMax = 256;

constexpr std::uint8_t kOrphan = 1;
constexpr std::uint8_t kRenewable = 2;
constexpr std::uint8_t kOlderPeriod = 4;
constexpr std::uint8_t kOlderExplicitMax = 8;
constexpr std::uint8_t kOlderCidrs = 16;

// '*' stands for any text, also for none.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool has(const std::vector<std::string>& texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool any_glob(const std::vector<std::string>& globs, std::string_view text) {
  return std::any_of(globs.begin(), globs.end(), [text](const std::string& glob) { return glob_matches(glob, text); });
}

std::string encode(const TokenRole& role) {
  std::uint8_t flags = 0;
  flags |= role.orphan ? kOrphan : 0;
  flags |= role.renewable ? kRenewable : 0;
  flags |= role.older_period ? kOlderPeriod : 0;
  flags |= role.older_explicit_max ? kOlderExplicitMax : 0;
  flags |= role.older_cidrs ? kOlderCidrs : 0;
  std::string record;
  ByteWriter writer(record);
  writer.u8(kFormat).u8(flags).bytes(role.path_suffix);
  for (const std::vector<std::string>* texts :
       {&role.allowed_policies, &role.allowed_policies_glob, &role.disallowed_policies, &role.disallowed_policies_glob,
        &role.allowed_entity_aliases})
    encode_texts(*texts, writer);
  encode(role.params, writer);
  return record;
}

Result<TokenRole> decode(std::string_view name, std::string_view record) {
  ByteReader reader(record);
  TokenRole role;
  role.name = name;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  role.orphan = (flags & kOrphan) != 0;
  role.renewable = (flags & kRenewable) != 0;
  role.older_period = (flags & kOlderPeriod) != 0;
  role.older_explicit_max = (flags & kOlderExplicitMax) != 0;
  role.older_cidrs = (flags & kOlderCidrs) != 0;
  role.path_suffix = reader.bytes();
  for (std::vector<std::string>* texts :
       {&role.allowed_policies, &role.allowed_policies_glob, &role.disallowed_policies, &role.disallowed_policies_glob,
        &role.allowed_entity_aliases})
    *texts = decode_texts(reader);
  role.params = decode_token_params(reader);
  COFFER_TRY(reader.finish().with_context("a token role's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "a token role's record has an unknown form");
  return role;
}

bool given(const HandlerContext& ctx, std::string_view field) { return !ctx.field(field).is_null(); }

// Names and patterns; "root" may be among them, to disallow it.
Status read_names(HandlerContext& ctx, std::string_view field, std::vector<std::string>& out) {
  if (!given(ctx, field))
    return ok_status();
  COFFER_ASSIGN(const auto names, ctx.list_field(field));
  if (names.size() > kAliasesMax)
    return Status(Code::kInvalid, "field \"" + std::string(field) + "\" has more than " +
                                      std::to_string(kAliasesMax) + " names");
  std::vector<std::string> read;
  for (const std::string_view name : names) {
    COFFER_TRY(check_canonical_name(name).with_context("field \"" + std::string(field) + "\""));
    read.push_back(lower_ascii(name));
  }
  std::sort(read.begin(), read.end());
  read.erase(std::unique(read.begin(), read.end()), read.end());
  out = std::move(read);
  return ok_status();
}

bool word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

Status read_suffix(HandlerContext& ctx, TokenRole& role) {
  COFFER_ASSIGN(const std::string_view suffix, ctx.string_field("path_suffix", role.path_suffix));
  const bool fits = suffix.size() >= 3 && suffix.size() <= kSuffixBytesMax && word(suffix.front()) &&
                    word(suffix.back()) && suffix.find("..") == std::string_view::npos &&
                    std::all_of(suffix.begin(), suffix.end(), [](char c) { return word(c) || c == '-' || c == '.'; });
  if (!suffix.empty() && !fits)
    return Status(Code::kInvalid,
                  "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w");
  role.path_suffix = std::string(suffix);
  return ok_status();
}

// Of the settings that tokens have everywhere, those that a role decides; older names first.
Status read_params(HandlerContext& ctx, TokenRole& role) {
  TokenParams& params = role.params;
  COFFER_TRY(read_ttl(ctx, "period", params.period));
  COFFER_TRY(read_ttl(ctx, "explicit_max_ttl", params.explicit_max_ttl));
  COFFER_TRY(read_cidr_list(ctx, "bound_cidrs", params.bound_cidrs));
  const auto older = [&ctx](bool before, std::string_view old_name, std::string_view name) {
    return given(ctx, name) ? false : given(ctx, old_name) || before;
  };
  role.older_period = older(role.older_period, "period", "token_period");
  role.older_explicit_max = older(role.older_explicit_max, "explicit_max_ttl", "token_explicit_max_ttl");
  role.older_cidrs = older(role.older_cidrs, "bound_cidrs", "token_bound_cidrs");
  TokenParams all = params;
  COFFER_TRY(read_token_params(ctx, all));
  params.period = all.period;
  params.explicit_max_ttl = all.explicit_max_ttl;
  params.bound_cidrs = std::move(all.bound_cidrs);
  params.num_uses = all.num_uses;
  params.type = all.type;
  params.no_default_policy = all.no_default_policy;
  return ok_status();
}

Status write_role(HandlerContext& ctx) {
  const std::string_view name = ctx.captures.front();
  COFFER_ASSIGN(auto found, find_token_role(ctx.storage, name));
  TokenRole role = found ? std::move(*found) : TokenRole();
  COFFER_ASSIGN(role.orphan, ctx.bool_field("orphan", role.orphan));
  COFFER_ASSIGN(role.renewable, ctx.bool_field("renewable", role.renewable));
  COFFER_TRY(read_suffix(ctx, role));
  COFFER_TRY(read_policy_list(ctx, "allowed_policies", role.allowed_policies));
  COFFER_TRY(read_names(ctx, "allowed_policies_glob", role.allowed_policies_glob));
  COFFER_TRY(read_names(ctx, "disallowed_policies", role.disallowed_policies));
  COFFER_TRY(read_names(ctx, "disallowed_policies_glob", role.disallowed_policies_glob));
  COFFER_TRY(read_names(ctx, "allowed_entity_aliases", role.allowed_entity_aliases));
  COFFER_TRY(read_params(ctx, role));
  if (role.params.type == WishedType::kBatch && !role.orphan)
    return Status(Code::kInvalid, "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens");
  if (role.params.type == WishedType::kBatch && role.renewable)
    return Status(Code::kInvalid, "'token_type' cannot be 'batch' when role is set to generate renewable tokens");
  return ctx.storage.put(std::string(kPrefix).append(name), encode(role));
}

Status read_role(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto role, find_token_role(ctx.storage, ctx.captures.front()));
  if (!role)
    return Status(Code::kNotFound, "");
  const TokenParams& params = role->params;
  const auto list = [&ctx](const std::vector<std::string>& texts) { return owned_text_list(ctx.arena, texts); };
  json::ObjectBuilder data(ctx.arena, 24);
  data.add("allowed_entity_aliases",
           role->allowed_entity_aliases.empty() ? json::Value() : list(role->allowed_entity_aliases))
      .add("allowed_policies", list(role->allowed_policies))
      .add("allowed_policies_glob", list(role->allowed_policies_glob));
  if (role->older_cidrs && !params.bound_cidrs.empty())
    data.add("bound_cidrs", list(params.bound_cidrs));
  data.add("disallowed_policies", list(role->disallowed_policies))
      .add("disallowed_policies_glob", list(role->disallowed_policies_glob))
      .add("explicit_max_ttl", role->older_explicit_max ? whole_seconds(params.explicit_max_ttl) : 0)
      .add("name", role->name)
      .add("orphan", role->orphan)
      .add("path_suffix", role->path_suffix)
      .add("period", role->older_period ? whole_seconds(params.period) : 0)
      .add("renewable", role->renewable);
  if (!params.bound_cidrs.empty())
    data.add("token_bound_cidrs", list(params.bound_cidrs));
  data.add("token_explicit_max_ttl", whole_seconds(params.explicit_max_ttl))
      .add("token_no_default_policy", params.no_default_policy);
  if (params.num_uses > 0)
    data.add("token_num_uses", params.num_uses);
  data.add("token_period", whole_seconds(params.period))
      .add("token_type", params.type == WishedType::kDefault ? "default-service" : type_name(params.type));
  ctx.response.data = data.build();
  return ok_status();
}

Status delete_role(HandlerContext& ctx) {
  return ctx.storage.erase(std::string(kPrefix).append(ctx.captures.front()));
}

Status list_roles(HandlerContext& ctx) {
  COFFER_ASSIGN(const ListPage page, ctx.storage.list(kPrefix));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, page.names);
  return ok_status();
}

Result<bool> role_exists(HandlerContext& ctx) {
  COFFER_ASSIGN(const auto role, find_token_role(ctx.storage, ctx.captures.front()));
  return role.has_value();
}

}  // namespace

bool TokenRole::allows(std::string_view policy) const {
  return has(allowed_policies, policy) || any_glob(allowed_policies_glob, policy);
}

bool TokenRole::disallows(std::string_view policy) const {
  return has(disallowed_policies, policy) || any_glob(disallowed_policies_glob, policy);
}

bool TokenRole::allows_alias(std::string_view alias) const { return any_glob(allowed_entity_aliases, alias); }

Result<std::optional<TokenRole>> find_token_role(Storage& storage, std::string_view name) {
  COFFER_ASSIGN(const auto record, storage.get(std::string(kPrefix).append(name)));
  if (!record)
    return std::optional<TokenRole>();
  COFFER_ASSIGN(TokenRole role, decode(name, *record));
  return std::optional<TokenRole>(std::move(role));
}

std::vector<PathSpec> token_role_specs() {
  std::vector<Field> fields = {
      {"allowed_policies", FieldType::kStringList, "Policies that tokens of the role may have; empty: the caller's."},
      {"allowed_policies_glob", FieldType::kStringList, "The same with * for any text."},
      {"disallowed_policies", FieldType::kStringList, "Policies that tokens of the role may not have."},
      {"disallowed_policies_glob", FieldType::kStringList, "The same with * for any text."},
      {"allowed_entity_aliases", FieldType::kStringList, "Aliases that may be asked for; * stands for any text."},
      {"orphan", FieldType::kBool, "Whether tokens of the role have no parent."},
      {"path_suffix", FieldType::kString, "Put behind the path that the token is known to be made at."},
      {"renewable", FieldType::kBool, "Whether tokens of the role can be renewed."},
      {"period", FieldType::kDuration, "An older name of token_period."},
      {"explicit_max_ttl", FieldType::kDuration, "An older name of token_explicit_max_ttl."},
      {"bound_cidrs", FieldType::kStringList, "An older name of token_bound_cidrs."},
  };
  for (const Field& field : token_param_fields())
    for (const std::string_view kept : {"token_bound_cidrs", "token_explicit_max_ttl", "token_no_default_policy",
                                        "token_num_uses", "token_period", "token_type"})
      if (field.name == kept)
        fields.push_back(field);
  std::vector<PathSpec> specs;
  specs.push_back(
      {"roles", "The names of all token roles.", {}, {{Operation::kList, Effect::kReads, list_roles, "Lists them."}}});
  specs.push_back({"roles/:role_name", "One token role.", fields,
                   {{Operation::kRead, Effect::kReads, read_role, "Shows the role."},
                    {Operation::kWrite, Effect::kWrites, write_role, "Makes a role, or changes it."},
                    {Operation::kDelete, Effect::kWrites, delete_role, "Removes the role; its tokens live on."}},
                   role_exists});
  return specs;
}

}  // namespace coffer::core
