#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

#include <algorithm>
#include <string>

#include "base/mutant.h"
#include "base/time_text.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

constexpr std::size_t kCustomKeysMax = 64;
constexpr std::size_t kCustomKeyBytesMax = 128;
constexpr std::size_t kCustomValueBytesMax = 512;

Status custom_error(std::string_view rule) {
  return Status(Code::kInvalid, std::string("custom_metadata validation failed: ").append(rule));
}

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// A value as text; numbers and booleans as clients of such servers expect them to be turned into it.
Result<std::string_view> custom_value(const json::Value& value) {
  if (value.is_string())
    return value.as_string();
  if (value.is_number())
    return value.number_text();
  if (value.is_bool())
    return std::string_view(value.as_bool() ? "1" : "0");
  std::string rule = "every value must be a string";
  if (mutant(Mutant::kKvErrorEchoesValue)) {
    rule += ", not ";
    json::write(value, rule);
  }
  return custom_error(rule);
}

Status check_custom(const json::Value& map) {
  if (map.size() > kCustomKeysMax)
    return custom_error("payload must contain at most 64 keys, provided " + std::to_string(map.size()));
  for (const json::Member& member : map.members()) {
    const std::string_view value = member.value.as_string();
    if (member.key().empty() || member.key().size() > kCustomKeyBytesMax)
      return custom_error("length of a key is " + std::to_string(member.key().size()) +
                          " but must be 0 < len(key) <= 128");
    if (value.empty() || value.size() > kCustomValueBytesMax)
      return custom_error("length of value for a key is " + std::to_string(value.size()) +
                          " but must be 0 < len(value) <= 512");
    if (!printable(member.key()))
      return custom_error("a key contains unprintable characters");
    if (!printable(value))
      return custom_error("the value of a key contains unprintable characters");
  }
  return ok_status();
}

// The map that `sent` makes of `before`: replaces it, or merges when patching. Empty means null.
Result<std::string_view> custom_text(HandlerContext& ctx, const json::Value& sent, std::string_view before,
                                     bool merge) {
  if (!sent.is_object() && !sent.is_null())
    return invalid("error converting input for field \"custom_metadata\": expected a map");
  json::Value old;
  if (merge && !sent.is_null() && !before.empty()) {
    COFFER_ASSIGN(old, json::parse(ctx.arena, before));
  }
  json::ObjectBuilder map(ctx.arena, old.size() + sent.size() + 1);
  for (const json::Member& member : old.members())
    if (sent.find(member.key()) == nullptr)
      map.add(member.key(), member.value);
  for (const json::Member& member : sent.members()) {
    if (merge && member.value.is_null())
      continue;
    COFFER_ASSIGN(const std::string_view value, custom_value(member.value));
    map.add(member.key(), value);
  }
  COFFER_TRY(check_custom(map.build()));
  return map.size() == 0 ? std::string_view() : text_of(ctx.arena, map.build());
}

// Null for what was written before authors were kept, or by the server itself.
json::Value author_value(json::Arena& arena, const Version& version) {
  if (version.author.empty() && version.entity.empty())
    return json::Value::null();
  return object_of(arena, {{name("display_name"), json::Value::borrowed(version.author)},
                           {name("entity_id"), json::Value::borrowed(version.entity)}});
}

json::Value versions_value(json::Arena& arena, const Head& head) {
  json::ObjectBuilder versions(arena, head.older.size() + 1);
  const auto add = [&](const Version& version) {
    versions.add(std::to_string(version.number),
                 object_of(arena, {{name("created_by"), author_value(arena, version)},
                                   {name("created_time"), time_value(arena, version.created)},
                                   {name("deletion_time"), time_value(arena, version.deletion)},
                                   {name("destroyed"), json::Value::boolean(version.destroyed)}}));
  };
  for (const Version& version : head.older)
    add(version);
  if (head.newest.version.number != 0)
    add(head.newest.version);
  return versions.build();
}

Status read_metadata(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::optional<Head> found, load_head(ctx, ctx.captures[0]));
  if (!found)
    return answer_not_found(ctx);
  ctx.response.data = head_value(ctx.arena, *found);
  return ok_status();
}

// Sets what the request names; true when it names anything. A null in a patch means the default.
Result<bool> apply_fields(HandlerContext& ctx, Head& head, bool patch) {
  const json::Value& sent = ctx.request.data;
  const auto given = [&](std::string_view field) {
    const json::Value* value = sent.find(field);
    return value != nullptr && (patch || !value->is_null());
  };
  bool any = false;
  if (given("max_versions")) {
    COFFER_ASSIGN(const std::int64_t max_versions, ctx.int_field("max_versions", 0, 0, kVersionsMax));
    head.max_versions = static_cast<std::uint32_t>(max_versions);
    any = true;
  }
  if (given("cas_required")) {
    COFFER_ASSIGN(head.newest.cas_required, ctx.bool_field("cas_required", false));
    any = true;
  }
  if (given("metadata_cas_required")) {
    COFFER_ASSIGN(head.newest.metadata_cas_required, ctx.bool_field("metadata_cas_required", false));
    any = true;
  }
  if (given("delete_version_after")) {
    COFFER_ASSIGN(head.delete_version_after, ctx.duration_field("delete_version_after", Nanos{0}));
    any = true;
  }
  if (given("custom_metadata")) {
    COFFER_ASSIGN(head.newest.custom_metadata,
                  custom_text(ctx, ctx.field("custom_metadata"), head.newest.custom_metadata, patch));
    any = true;
  }
  return any;
}

// `metadata_cas` names how often the metadata was written before.
Status check_metadata_cas(HandlerContext& ctx, const Head& head, const Config& config) {
  if (ctx.field("metadata_cas").is_null()) {
    if (config.metadata_cas_required || head.newest.metadata_cas_required)
      return invalid("metadata check-and-set parameter required for this call");
    return ok_status();
  }
  COFFER_ASSIGN(const std::int64_t cas, ctx.int_field("metadata_cas", 0, -1, INT64_MAX));
  if (cas < 0 || static_cast<std::uint64_t>(cas) != head.metadata_version)
    return invalid("metadata check-and-set parameter does not match the current version");
  return ok_status();
}

Status change_metadata(HandlerContext& ctx, std::string_view path, Head& head, bool patch) {
  COFFER_ASSIGN(const Config config, load_config(ctx));
  COFFER_TRY(check_metadata_cas(ctx, head, config));
  COFFER_ASSIGN(const bool any, apply_fields(ctx, head, patch));
  if (!any)
    return ok_status();
  if (head.created == WallTime{})
    head.created = ctx.now;
  head.updated = ctx.now;
  ++head.metadata_version;
  const json::Value cas = ctx.field("cas_required");
  if (!cas.is_null() && config.cas_required && !head.newest.cas_required)
    ctx.response.warnings.push_back(
        R"("cas_required" set to false, but is mandated by backend config. This value will be ignored.)");
  ctx.storage.note(change_of(ctx.mount, patch ? kMetadataPatched : kMetadataWritten, path, head));
  return store_head(ctx, path, head);
}

Status write_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(Head head, head_to_write(ctx, path));
  return change_metadata(ctx, path, head, false);
}

Status patch_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  if (answered_patch_type(ctx))
    return ok_status();
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return answer_not_found(ctx);
  return change_metadata(ctx, path, *head, true);
}

// The name under which the time of a purge is kept: in order of time, and its own.
Result<std::string_view> purge_name(HandlerContext& ctx, WallTime purge_at) {
  std::uint8_t bytes[8];
  COFFER_TRY(ctx.random.fill(bytes));
  std::uint64_t random = 0;
  for (const std::uint8_t byte : bytes)
    random = random << 8 | byte;
  std::string text(kPurgePrefix);
  for (const std::uint64_t number : {static_cast<std::uint64_t>(purge_at.time_since_epoch().count()), random})
    for (int shift = 60; shift >= 0; shift -= 4)
      text.push_back("0123456789abcdef"[(number >> shift) & 15]);
  return ctx.arena.copy(text);
}

// The secret leaves its place and waits for undelete, or for its purge.
Status bury(HandlerContext& ctx, std::string_view path, Head head, Nanos retention) {
  Tombstone tombstone{ctx.now + std::min(retention, WallTime::max() - ctx.now), std::move(head)};
  std::string record;
  encode(tombstone, record);
  COFFER_TRY(put_and_wipe(ctx, record_name(ctx.arena, kTombstonePrefix, path), record));
  COFFER_ASSIGN(const std::string_view when, purge_name(ctx, tombstone.purge_at));
  std::string what;
  encode_data(path, what);
  return ctx.storage.put(when, what);
}

Status delete_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const bool destroy, ctx.bool_field("destroy", false));
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  COFFER_ASSIGN(const Config config, load_config(ctx));
  const bool for_good = destroy || config.deleted_metadata_retention == Nanos{0};
  if (head || for_good) {
    COFFER_ASSIGN(const std::optional<Tombstone> before, load_tombstone(ctx, path));
    if (before)
      COFFER_TRY(purge(ctx.storage, ctx.arena, path, *before));
  }
  if (!head)
    return ok_status();
  ctx.storage.note(change_of(ctx.mount, kMetadataDeleted, path, *head));
  if (for_good)
    COFFER_TRY(erase_versions(ctx.storage, ctx.arena, path, *head));
  else
    COFFER_TRY(bury(ctx, path, std::move(*head), config.deleted_metadata_retention));
  return ctx.storage.erase(record_name(ctx.arena, kHeadPrefix, path));
}

Status list_metadata(HandlerContext& ctx) { return answer_list(ctx, kHeadPrefix, false); }
Status scan_metadata(HandlerContext& ctx) { return answer_scan(ctx, kHeadPrefix, false); }
Status list_detailed(HandlerContext& ctx) { return answer_list(ctx, kHeadPrefix, true); }
Status scan_detailed(HandlerContext& ctx) { return answer_scan(ctx, kHeadPrefix, true); }

}  // namespace

json::Value head_value(json::Arena& arena, const Head& head) {
  const std::string_view custom = head.newest.custom_metadata;
  return object_of(
      arena, {{name("cas_required"), json::Value::boolean(head.newest.cas_required)},
              {name("created_time"), time_value(arena, head.created)},
              {name("current_metadata_version"), json::Value::number_unsigned(arena, head.metadata_version)},
              {name("current_version"), json::Value::number_unsigned(arena, head.newest.version.number)},
              {name("custom_metadata"), custom.empty() ? json::Value::null() : json::Value::raw(custom)},
              {name("delete_version_after"), json::Value::string(arena, format_duration(head.delete_version_after))},
              {name("max_versions"), json::Value::number_unsigned(arena, head.max_versions)},
              {name("metadata_cas_required"), json::Value::boolean(head.newest.metadata_cas_required)},
              {name("oldest_version"), json::Value::number_unsigned(arena, head.oldest)},
              {name("updated_time"), time_value(arena, head.updated)},
              {name("versions"), versions_value(arena, head)}});
}

core::PathSpec metadata_spec() {
  using core::Effect;
  using core::FieldType;
  using core::Operation;
  return {
      .pattern = "metadata/*path?",
      .help = "What is known of a secret beside its data; names of secrets.",
      .fields = {{"path", FieldType::kString, "Where the secret stands; a folder when listing."},
                 {"max_versions", FieldType::kInt,
                  "How many versions are kept, up to 2000; 0 means what the mount says."},
                 {"cas_required", FieldType::kBool, "Whether every write must name the version that it replaces."},
                 {"delete_version_after", FieldType::kDuration,
                  "How long a version can be read; 0 means what the mount says."},
                 {"custom_metadata", FieldType::kMap, "Up to 64 names with values, for the users of the secret."},
                 {"metadata_cas", FieldType::kInt, "How often the metadata was written before; 0 for never."},
                 {"metadata_cas_required", FieldType::kBool, "Whether every write of metadata must say that."},
                 {"destroy", FieldType::kBool, "Deleting: for good, so that undelete does not help."},
                 {"after", FieldType::kString, "Listing: only names after this one."},
                 {"limit", FieldType::kInt, "Listing: at most so many names."}},
      .operations = {{Operation::kRead, Effect::kReads, read_metadata, "Read settings and versions of the secret."},
                     {Operation::kWrite, Effect::kWrites, write_metadata, "Change what is given, keep the rest."},
                     {Operation::kPatch, Effect::kWrites, patch_metadata, "As write, merging custom_metadata."},
                     {Operation::kDelete, Effect::kWrites, delete_metadata,
                      "Delete the secret with all its versions; undelete brings them back for a time."},
                     {Operation::kList, Effect::kReads, list_metadata, "Names in a folder."},
                     {Operation::kScan, Effect::kReads, scan_metadata, "Names in a folder and all folders below."}},
      .exists = secret_exists,
  };
}

core::PathSpec detailed_spec() {
  using core::Effect;
  using core::FieldType;
  using core::Operation;
  return {
      .pattern = "detailed-metadata/*path?",
      .help = "Names of secrets with what is known of each.",
      .fields = {{"path", FieldType::kString, "The folder."},
                 {"after", FieldType::kString, "Only names after this one."},
                 {"limit", FieldType::kInt, "At most so many names."}},
      .operations = {{Operation::kList, Effect::kReads, list_detailed, "Names in a folder, with their metadata."},
                     {Operation::kScan, Effect::kReads, scan_detailed, "The same of all folders below."}},
  };
}

}  // namespace coffer::engines::kv
