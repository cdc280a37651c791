#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

#include "base/time_text.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

// What a reader sees for "no version is ever deleted for its age".
constexpr Nanos kNoLife = -std::chrono::seconds(1);

Status read_life(HandlerContext& ctx, Config& config) {
  const json::Value given = ctx.field("delete_version_after");
  if (given.is_null())
    return ok_status();
  const Result<Nanos> life = parse_duration(given);
  config.versions_stay = life.ok() && *life < Nanos{0};
  config.delete_version_after = Nanos{0};
  if (config.versions_stay)
    return ok_status();
  COFFER_ASSIGN(config.delete_version_after, ctx.duration_field("delete_version_after", Nanos{0}));
  return ok_status();
}

Status read_config(HandlerContext& ctx) {
  COFFER_ASSIGN(const Config config, load_config(ctx));
  const Nanos life = config.versions_stay ? kNoLife : config.delete_version_after;
  ctx.response.data = object_of(
      ctx.arena,
      {{name("cas_required"), json::Value::boolean(config.cas_required)},
       {name("delete_version_after"), json::Value::string(ctx.arena, format_duration(life))},
       {name("deleted_metadata_retention"),
        json::Value::string(ctx.arena, format_duration(config.deleted_metadata_retention))},
       {name("max_versions"), json::Value::number_unsigned(ctx.arena, config.max_versions)},
       {name("metadata_cas_required"), json::Value::boolean(config.metadata_cas_required)}});
  return ok_status();
}

Status write_config(HandlerContext& ctx) {
  COFFER_ASSIGN(Config config, load_config(ctx));
  COFFER_ASSIGN(config.cas_required, ctx.bool_field("cas_required", config.cas_required));
  COFFER_ASSIGN(const std::int64_t max_versions, ctx.int_field("max_versions", config.max_versions, 0, kVersionsMax));
  COFFER_ASSIGN(config.metadata_cas_required, ctx.bool_field("metadata_cas_required", config.metadata_cas_required));
  COFFER_ASSIGN(config.deleted_metadata_retention,
                ctx.duration_field("deleted_metadata_retention", config.deleted_metadata_retention));
  COFFER_TRY(read_life(ctx, config));
  config.max_versions = static_cast<std::uint32_t>(max_versions);
  std::string record;
  encode(config, record);
  ctx.storage.note({.type = "kv-v2/config-write",
                    .ns = ctx.mount.namespace_id,
                    .mount = ctx.mount.id,
                    .area = "config",
                    .data_area = "config"});
  return ctx.storage.put(kConfigName, record);
}

}  // namespace

core::PathSpec config_spec() {
  using core::Effect;
  using core::FieldType;
  using core::Operation;
  return {
      .pattern = "config",
      .help = "What holds for every secret of this mount unless the secret says otherwise.",
      .fields = {{"max_versions", FieldType::kInt, "How many versions are kept, up to 2000; 0 means 10."},
                 {"cas_required", FieldType::kBool, "Whether every write must name the version that it replaces."},
                 {"metadata_cas_required", FieldType::kBool, "Whether writes of metadata must say what they replace."},
                 {"deleted_metadata_retention", FieldType::kDuration,
                  "How long undelete brings back deleted metadata; 0 for not at all, 72h unless set."},
                 {"delete_version_after", FieldType::kDuration,
                  "How long a version can be read; 0 for ever, negative for ever in spite of what a secret says."}},
      .operations = {{Operation::kRead, Effect::kReads, read_config, "Read the configuration."},
                     {Operation::kWrite, Effect::kWrites, write_config, "Change what is given, keep the rest."}},
  };
}

}  // namespace coffer::engines::kv
