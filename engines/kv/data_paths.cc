#include "engines/kv/kv.h"
#include "engines/kv/patch.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

Status read_data(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::int64_t wanted, ctx.int_field("version", 0, -1, UINT32_MAX));
  COFFER_ASSIGN(const std::optional<Reading> reading,
                read_version(ctx, path, wanted <= 0 ? 0 : static_cast<std::uint64_t>(wanted)));
  if (!reading)
    return answer_not_found(ctx);
  // A version that was deleted is not found, but its metadata is.
  if (reading->data.empty())
    ctx.response.status = 404;
  ctx.response.data = object_of(
      ctx.arena, {{name("data"), reading->data.empty() ? json::Value::null() : json::Value::raw(reading->data)},
                  {name("metadata"), metadata_value(ctx.arena, reading->version, reading->custom_metadata)}});
  return ok_status();
}

// The field `data`: an object, or null when that is what was sent.
Result<json::Value> data_field(HandlerContext& ctx) {
  const json::Value* data = ctx.request.data.find("data");
  if (data == nullptr)
    return invalid("no data provided");
  if (!data->is_object() && !data->is_null())
    return invalid("error converting input for field \"data\": expected a map");
  return *data;
}

void answer_version(HandlerContext& ctx, const Head& head) {
  ctx.response.data = metadata_value(ctx.arena, head.newest.version, head.newest.custom_metadata);
}

Status write_data(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(const json::Value data, data_field(ctx));
  COFFER_ASSIGN(const std::optional<std::int64_t> cas, cas_option(ctx));
  COFFER_ASSIGN(Head head, head_to_write(ctx, path));
  COFFER_ASSIGN(const Config config, load_config(ctx));
  COFFER_TRY(check_cas(ctx, cas, head, config));
  COFFER_ASSIGN(const std::string_view text, secret_text(ctx.arena, data));
  COFFER_TRY(add_version(ctx, path, head, config, text));
  ctx.storage.note(change_of(ctx.mount, kDataWritten, path, head));
  answer_version(ctx, head);
  return ok_status();
}

Status patch_data(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  if (answered_patch_type(ctx))
    return ok_status();
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(const json::Value data, data_field(ctx));
  COFFER_ASSIGN(const std::optional<std::int64_t> cas, cas_option(ctx));
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head || head->newest.version.number == 0)
    return answer_not_found(ctx);
  if (!head->newest.version.readable_at(ctx.now)) {
    answer_version(ctx, *head);
    ctx.response.status = 404;
    return ok_status();
  }
  COFFER_ASSIGN(const Config config, load_config(ctx));
  COFFER_TRY(check_cas(ctx, cas, *head, config));
  COFFER_ASSIGN(const json::Value before, json::parse(ctx.arena, head->newest.data, kStoredLimits));
  const json::Value after = data.is_null() ? before : merge_patch(ctx.arena, before, data);
  COFFER_ASSIGN(const std::string_view text, secret_text(ctx.arena, after));
  COFFER_TRY(add_version(ctx, path, *head, config, text));
  ctx.storage.note(change_of(ctx.mount, kDataPatched, path, *head));
  answer_version(ctx, *head);
  return ok_status();
}

Status delete_data(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head || head->newest.version.number == 0 || !head->newest.version.readable_at(ctx.now))
    return ok_status();
  head->newest.version.deletion = ctx.now;
  ctx.storage.note(change_of(ctx.mount, kDataDeleted, path, *head));
  return store_head(ctx, path, *head);
}

}  // namespace

core::PathSpec data_spec() {
  using core::Effect;
  using core::FieldType;
  using core::Operation;
  return {
      .pattern = "data/*path?",
      .help = "Write, patch, read and delete the data of a secret.",
      .fields = {{"path", FieldType::kString, "Where the secret stands."},
                 {"version", FieldType::kInt, "Which version to read; the newest when absent or 0."},
                 {"data", FieldType::kMap, "The secret's content: any JSON object."},
                 {"options", FieldType::kMap, "cas: the version that must be current, 0 for none yet."}},
      .operations = {{Operation::kRead, Effect::kReads, read_data, "Read a version of the secret."},
                     {Operation::kWrite, Effect::kWrites, write_data, "Write a new version."},
                     {Operation::kPatch, Effect::kWrites, patch_data,
                      "Write a new version made from the newest by a merge patch."},
                     {Operation::kDelete, Effect::kWrites, delete_data,
                      "Delete the newest version; it can be undeleted."}},
      .exists = secret_exists,
  };
}

}  // namespace coffer::engines::kv
