#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

#include "base/time_text.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

constexpr std::string_view kSecretPrefix = kUnversionedPrefix;
constexpr Nanos kDefaultLease = std::chrono::hours(768);

// How soon a client should read again: what the secret itself says, else what holds for the mount.
Nanos refresh_interval(HandlerContext& ctx, const json::Value& data) {
  for (const std::string_view key : {"ttl", "lease"}) {
    const json::Value* value = data.find(key);
    if (value == nullptr)
      continue;
    const Result<Nanos> duration = parse_duration(*value);
    if (duration.ok() && *duration > Nanos{0})
      return *duration;
  }
  return ctx.mount.default_lease_ttl > Nanos{0} ? ctx.mount.default_lease_ttl : kDefaultLease;
}

Status read_secret(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::optional<std::string_view> record,
                ctx.storage.get(record_name(ctx.arena, kSecretPrefix, ctx.captures[0])));
  if (!record)
    return answer_not_found(ctx);
  COFFER_ASSIGN(const std::string_view text, decode_data(*record));
  COFFER_ASSIGN(const json::Value data, json::parse(ctx.arena, text, kStoredLimits));
  ctx.response.data = json::Value::raw(text);
  ctx.response.lease_duration = refresh_interval(ctx, data);
  return ok_status();
}

void note_change(HandlerContext& ctx, std::string_view type) {
  ctx.storage.note(
      {.type = type, .ns = ctx.mount.namespace_id, .mount = ctx.mount.id, .name = ctx.captures[0]});
}

Status write_secret(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_TRY(check_writable(path));
  if (ctx.request.data.size() == 0)
    return invalid("missing data fields");
  COFFER_ASSIGN(const std::string_view text, secret_text(ctx.arena, ctx.request.data));
  std::string record;
  encode_data(text, record);
  note_change(ctx, "kv-v1/write");
  return put_and_wipe(ctx, record_name(ctx.arena, kSecretPrefix, path), record);
}

Status delete_secret(HandlerContext& ctx) {
  note_change(ctx, "kv-v1/delete");
  return ctx.storage.erase(record_name(ctx.arena, kSecretPrefix, ctx.captures[0]));
}

Status list_secrets(HandlerContext& ctx) { return answer_list(ctx, kSecretPrefix, false); }
Status scan_secrets(HandlerContext& ctx) { return answer_scan(ctx, kSecretPrefix, false); }

Result<bool> unversioned_exists(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::optional<std::string_view> record,
                ctx.storage.get(record_name(ctx.arena, kSecretPrefix, ctx.captures[0])));
  return record.has_value();
}

// Somebody who uses the paths of version 1 on a mount of version 2.
template <char kVerb>
Status wrong_version(HandlerContext& ctx) {
  constexpr std::string_view verb = kVerb == 'g' ? "get" : kVerb == 'p' ? "put" : kVerb == 'd' ? "delete" : "list";
  std::string text =
      "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If "
      "using the Vault CLI, use 'vault kv ";
  text.append(verb).append("' for this operation.");
  ctx.response.status = 404;
  ctx.response.warnings.push_back(ctx.arena.copy(text));
  return ok_status();
}

}  // namespace

core::PathSpec unversioned_spec() {
  using core::Effect;
  using core::Operation;
  return {
      .pattern = "*path?",
      .help = "A secret without versions: any JSON object.",
      .fields = {{"path", core::FieldType::kString, "Where the secret stands."}},
      .operations = {{Operation::kRead, Effect::kReads, read_secret, "Read the secret."},
                     {Operation::kWrite, Effect::kWrites, write_secret, "Replace the secret."},
                     {Operation::kDelete, Effect::kWrites, delete_secret, "Remove the secret."},
                     {Operation::kList, Effect::kReads, list_secrets, "Names in a folder."},
                     {Operation::kScan, Effect::kReads, scan_secrets, "Names in a folder and all folders below."}},
      .exists = unversioned_exists,
      .any_fields = true,
  };
}

core::PathSpec wrong_version_spec() {
  using core::Effect;
  using core::Operation;
  return {
      .pattern = "*path?",
      .help = "Paths of KV version 1, which this mount does not have.",
      .fields = {},
      .operations = {{Operation::kRead, Effect::kReads, wrong_version<'g'>, "Refused."},
                     {Operation::kWrite, Effect::kReads, wrong_version<'p'>, "Refused."},
                     {Operation::kDelete, Effect::kReads, wrong_version<'d'>, "Refused."},
                     {Operation::kList, Effect::kReads, wrong_version<'l'>, "Refused."},
                     {Operation::kScan, Effect::kReads, wrong_version<'l'>, "Refused."}},
      .any_fields = true,
  };
}

}  // namespace coffer::engines::kv
