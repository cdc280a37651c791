#include "base/limits.h"
#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

// The object with everything but its objects' keys replaced by null, down to `depth` levels (0: all).
json::Value keys_only(json::Arena& arena, const json::Value& value, std::int64_t depth, std::int64_t level = 1) {
  if (!value.is_object() || value.size() == 0 || (depth > 0 && level > depth))
    return json::Value::null();
  json::ObjectBuilder keys(arena, value.size());
  for (const json::Member& member : value.members())
    keys.add(member.key(), keys_only(arena, member.value, depth, level + 1));
  return keys.build();
}

Status read_subkeys(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::int64_t wanted, ctx.int_field("version", 0, -1, UINT32_MAX));
  COFFER_ASSIGN(const std::int64_t depth, ctx.int_field("depth", 0, -1, limits::kJsonDepthMax));
  COFFER_ASSIGN(const std::optional<Reading> reading,
                read_version(ctx, ctx.captures[0], wanted <= 0 ? 0 : static_cast<std::uint64_t>(wanted)));
  if (!reading)
    return answer_not_found(ctx);
  json::Value keys;
  if (reading->data.empty()) {
    ctx.response.status = 404;
  } else {
    COFFER_ASSIGN(const json::Value data, json::parse(ctx.arena, reading->data, kStoredLimits));
    keys = data.is_object() && data.size() == 0 ? data : keys_only(ctx.arena, data, depth);
  }
  ctx.response.data =
      object_of(ctx.arena, {{name("metadata"), metadata_value(ctx.arena, reading->version, reading->custom_metadata)},
                            {name("subkeys"), keys}});
  return ok_status();
}

}  // namespace

core::PathSpec subkeys_spec() {
  using core::FieldType;
  return {
      .pattern = "subkeys/*path",
      .help = "The keys of a secret's content without its values.",
      .fields = {{"path", FieldType::kString, "Where the secret stands."},
                 {"version", FieldType::kInt, "Which version; the newest when absent or 0."},
                 {"depth", FieldType::kInt, "How many levels to show; all when absent or 0."}},
      .operations = {{core::Operation::kRead, core::Effect::kReads, read_subkeys, "Read the keys."}},
  };
}

}  // namespace coffer::engines::kv
