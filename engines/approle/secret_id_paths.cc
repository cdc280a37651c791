#include <algorithm>
#include <cstdint>

#include "base/encoding.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/cidr.h"
#include "engines/approle/paths.h"
#include "engines/approle/records.h"

namespace coffer::engines::approle {
namespace {

using core::Effect;
using core::FieldType;
using core::HandlerContext;
using core::Operation;

constexpr std::size_t kSecretIdBytesMax = 4096;
constexpr std::size_t kMetadataBytesMax = 16u << 10;
constexpr std::size_t kExpiredErasedMax = 16;     // by one request that makes a secret id
constexpr std::uint8_t kErasesExpiredOneIn = 8;   // such requests, so that they seldom meet
constexpr std::size_t kTidiedMax = 512;           // of each kind, removed by one request: three records each
constexpr std::string_view kTidyStarted =
    "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.";

Status bad_metadata() {
  return Status(Code::kInvalid, "failed to parse metadata: field \"metadata\" must be an object of strings");
}

// "a=b,c=d"
Result<json::Value> pairs_of(json::Arena& arena, std::string_view text) {
  json::ObjectBuilder pairs(arena);
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find(','));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return bad_metadata();
    pairs.add(pair.substr(0, equals), pair.substr(equals + 1));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
  }
  return pairs.build();
}

// An object, or what command lines can give: its JSON text, or pairs.
Result<std::string_view> read_metadata(HandlerContext& ctx) {
  json::Value metadata = ctx.field("metadata");
  if (metadata.is_string() && !metadata.as_string().empty()) {
    Result<json::Value> parsed = json::parse_copy(ctx.arena, metadata.as_string());
    if (!parsed.ok())
      parsed = pairs_of(ctx.arena, metadata.as_string());
    if (!parsed.ok())
      return bad_metadata();
    metadata = *parsed;
  }
  if (metadata.is_null() || (metadata.is_string() && metadata.as_string().empty()))
    return std::string_view();
  if (!metadata.is_object())
    return bad_metadata();
  for (const json::Member& member : metadata.members())
    if (!member.value.is_string())
      return bad_metadata();
  std::string text;
  json::write(metadata, text, {.sort_keys = true});
  if (text.size() > kMetadataBytesMax)
    return Status(Code::kInvalid, "field \"metadata\" is longer than " + std::to_string(kMetadataBytesMax) + " bytes");
  return metadata.size() == 0 ? std::string_view() : ctx.arena.copy(text);
}

bool within(const core::Cidr& inner, const std::vector<std::string>& outer) {
  return std::any_of(outer.begin(), outer.end(), [&inner](const std::string& text) {
    const auto network = core::Cidr::parse(text);
    return network && network->contains(inner);
  });
}

// A secret id narrows what its role allows and never widens it.
Status read_narrower(HandlerContext& ctx, std::string_view field, const std::vector<std::string>& role,
                     std::vector<std::string>& out) {
  COFFER_TRY(core::read_cidr_list(ctx, field, out));
  if (role.empty())
    return ok_status();
  for (const std::string& text : out) {
    const auto network = core::Cidr::parse(text);
    if (!network || !within(*network, role))
      return Status(Code::kInvalid, "failed to verify subset relationship between CIDR blocks on the role and CIDR "
                                    "blocks on the secret ID: field \"" + std::string(field) + "\"");
  }
  return ok_status();
}

Status read_wishes(HandlerContext& ctx, const Role& role, SecretId& id) {
  COFFER_ASSIGN(id.num_uses, ctx.int_field("num_uses", role.secret_id_num_uses, INT32_MIN, INT32_MAX));
  if (id.num_uses < 0)
    return Status(Code::kInvalid, "num_uses cannot be negative");
  if (role.secret_id_num_uses > 0 && (id.num_uses == 0 || id.num_uses > role.secret_id_num_uses))
    return Status(Code::kInvalid, "num_uses cannot be higher than the role's secret_id_num_uses");
  id.ttl = role.secret_id_ttl;
  COFFER_TRY(core::read_ttl(ctx, "ttl", id.ttl));
  if (role.secret_id_ttl > Nanos(0) && (id.ttl == Nanos(0) || id.ttl > role.secret_id_ttl))
    return Status(Code::kInvalid, "ttl cannot be longer than the role's secret_id_ttl");
  COFFER_ASSIGN(id.metadata, read_metadata(ctx));
  COFFER_TRY(read_narrower(ctx, "cidr_list", role.secret_id_bound_cidrs, id.cidrs));
  return read_narrower(ctx, "token_bound_cidrs", role.params.bound_cidrs, id.token_cidrs);
}

Result<Role> known_role(HandlerContext& ctx, Code code) {
  Result<Role> role = role_of_path(ctx);
  if (role.code() == Code::kNotFound)
    return Status(code, "role \"" + role_name(ctx) + "\" does not exist");
  return role;
}

// Now and then; whoever makes secret ids pays for those that ran out.
Status maybe_erase_expired(HandlerContext& ctx) {
  std::uint8_t dice[1];
  COFFER_TRY(ctx.random.fill(dice));
  return dice[0] % kErasesExpiredOneIn == 0 ? erase_expired(ctx, kExpiredErasedMax) : ok_status();
}

Status make_secret_id(HandlerContext& ctx, const Role& role, std::string_view text) {
  if (!role.bind_secret_id)
    return Status(Code::kInvalid, "bind_secret_id is not set on the role");
  SecretId id;
  COFFER_TRY(read_wishes(ctx, role, id));
  COFFER_TRY(add_secret_id(ctx, role, text, id));
  COFFER_TRY(maybe_erase_expired(ctx));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 4)
                          .add("secret_id", text)
                          .add("secret_id_accessor", id.accessor)
                          .add("secret_id_num_uses", id.num_uses)
                          .add("secret_id_ttl", core::whole_seconds(id.ttl))
                          .build();
  return ok_status();
}

Status generate(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  COFFER_ASSIGN(const std::string text, random_uuid(ctx.random));
  return make_secret_id(ctx, role, ctx.arena.copy(text));
}

Status generate_custom(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("secret_id", ""));
  if (text.empty())
    return Status(Code::kInvalid, "missing secret_id");
  if (text.size() > kSecretIdBytesMax)
    return Status(Code::kInvalid,
                  "field \"secret_id\" is longer than " + std::to_string(kSecretIdBytesMax) + " bytes");
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  return make_secret_id(ctx, role, text);
}

Status list(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kInvalid));
  COFFER_ASSIGN(const auto accessors, list_accessors(ctx, role));
  if (accessors.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = core::keys_answer(ctx.arena, accessors);
  return ok_status();
}

Status show(HandlerContext& ctx, const SecretId& id) {
  json::Value metadata = json::ObjectBuilder(ctx.arena, 1).build();
  if (!id.metadata.empty()) {
    COFFER_ASSIGN(metadata, json::parse_copy(ctx.arena, id.metadata));
  }
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 9)
          .add("cidr_list", core::owned_text_list(ctx.arena, id.cidrs))
          .add("creation_time", format_time(id.created))
          .add("expiration_time", id.expires ? format_time(*id.expires) : std::string("0001-01-01T00:00:00Z"))
          .add("last_updated_time", format_time(id.updated))
          .add("metadata", metadata)
          .add("secret_id_accessor", id.accessor)
          .add("secret_id_num_uses", id.num_uses)
          .add("secret_id_ttl", core::whole_seconds(id.ttl))
          .add("token_bound_cidrs", core::owned_text_list(ctx.arena, id.token_cidrs))
          .build();
  return ok_status();
}

Result<std::optional<SecretId>> named(HandlerContext& ctx, const Role& role) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("secret_id", ""));
  if (text.empty())
    return Status(Code::kInvalid, "missing secret_id");
  return find_secret_id(ctx, role, text);
}

Result<SecretId> by_accessor(HandlerContext& ctx, const Role& role) {
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("secret_id_accessor", ""));
  if (accessor.empty())
    return Status(Code::kInvalid, "missing secret_id_accessor");
  COFFER_ASSIGN(auto id, find_by_accessor(ctx, role, accessor));
  if (!id)
    return Status(Code::kNotFound, "failed to find accessor entry for secret_id_accessor");
  return std::move(*id);
}

Status look_up(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  COFFER_ASSIGN(const auto id, named(ctx, role));
  return id && !id->expired(ctx.now) ? show(ctx, *id) : ok_status();
}

Status destroy(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  COFFER_ASSIGN(const auto id, named(ctx, role));
  return id ? erase_secret_id(ctx, role.uid, *id) : ok_status();
}

Status look_up_accessor(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  COFFER_ASSIGN(const SecretId id, by_accessor(ctx, role));
  return show(ctx, id);
}

Status destroy_accessor(HandlerContext& ctx) {
  COFFER_ASSIGN(const Role role, known_role(ctx, Code::kNotFound));
  COFFER_ASSIGN(const SecretId id, by_accessor(ctx, role));
  return erase_secret_id(ctx, role.uid, id);
}

Status tidy(HandlerContext& ctx) {
  COFFER_TRY(erase_expired(ctx, kTidiedMax));
  COFFER_ASSIGN(const bool more, erase_orphans(ctx, kTidiedMax));
  ctx.response.status = 202;
  core::warn(ctx.response, ctx.arena, kTidyStarted);
  if (more)
    core::warn(ctx.response, ctx.arena, "There is more to tidy than one request removes; ask again.");
  return ok_status();
}

std::vector<core::Field> wish_fields() {
  return {
      {"metadata", FieldType::kMap, "Names and values that go into the token's metadata."},
      {"cidr_list", FieldType::kStringList, "Networks that the secret id may be used from."},
      {"token_bound_cidrs", FieldType::kStringList, "Networks that its tokens may be used from."},
      {"num_uses", FieldType::kInt, "How often it is good; the role's number when absent."},
      {"ttl", FieldType::kDuration, "How long it is good; the role's time when absent."},
  };
}

}  // namespace

std::vector<core::PathSpec> secret_id_specs() {
  const std::vector<core::Field> secret = {{"secret_id", FieldType::kString, "The secret id.", true}};
  const std::vector<core::Field> accessor = {
      {"secret_id_accessor", FieldType::kString, "The accessor of the secret id.", true}};
  std::vector<core::Field> custom = wish_fields();
  custom.push_back(secret.front());
  std::vector<core::PathSpec> specs;
  specs.push_back({"role/:role_name/secret-id", "Secret ids of a role.", wish_fields(),
                   {{Operation::kWrite, Effect::kWrites, generate, "Makes a random secret id."},
                    {Operation::kList, Effect::kReads, list, "Lists the accessors of the role's secret ids."}}});
  specs.push_back({"role/:role_name/custom-secret-id", "A secret id of the caller's choice.", custom,
                   {{Operation::kWrite, Effect::kWrites, generate_custom, "Makes a secret id of this text."}}});
  specs.push_back({"role/:role_name/secret-id/lookup", "What is known of a secret id.", secret,
                   {{Operation::kWrite, Effect::kReads, look_up, "Looks a secret id up."}}});
  specs.push_back({"role/:role_name/secret-id/destroy", "End a secret id.", secret,
                   {{Operation::kWrite, Effect::kWrites, destroy, "Destroys a secret id."},
                    {Operation::kDelete, Effect::kWrites, destroy, "Destroys a secret id."}}});
  specs.push_back({"role/:role_name/secret-id-accessor/lookup", "What is known of the secret id of an accessor.",
                   accessor,
                   {{Operation::kWrite, Effect::kReads, look_up_accessor, "Looks a secret id up."}}});
  specs.push_back({"role/:role_name/secret-id-accessor/destroy", "End the secret id of an accessor.", accessor,
                   {{Operation::kWrite, Effect::kWrites, destroy_accessor, "Destroys a secret id."},
                    {Operation::kDelete, Effect::kWrites, destroy_accessor, "Destroys a secret id."}}});
  specs.push_back({"tidy/secret-id", "Remove secret ids that are of no use any more.", {},
                   {{Operation::kWrite, Effect::kWrites, tidy, "Tidies."}}});
  return specs;
}

}  // namespace coffer::engines::approle
