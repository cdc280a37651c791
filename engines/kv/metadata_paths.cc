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

json::Value versions_value(json::Arena& arena, const Head& head) {
  json::ObjectBuilder versions(arena, head.older.size() + 1);
  const auto add = [&](const Version& version) {
    versions.add(std::to_string(version.number),
                 object_of(arena, {{name("created_time"), time_value(arena, version.created)},
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
  const Head& head = *found;
  json::Arena& arena = ctx.arena;
  const std::string_view custom = head.newest.custom_metadata;
  ctx.response.data = object_of(
      arena, {{name("cas_required"), json::Value::boolean(head.newest.cas_required)},
              {name("created_time"), time_value(arena, head.created)},
              {name("current_version"), json::Value::number_unsigned(arena, head.newest.version.number)},
              {name("custom_metadata"), custom.empty() ? json::Value::null() : json::Value::raw(custom)},
              {name("delete_version_after"), json::Value::string(arena, format_duration(head.delete_version_after))},
              {name("max_versions"), json::Value::number_unsigned(arena, head.max_versions)},
              {name("oldest_version"), json::Value::number_unsigned(arena, head.oldest)},
              {name("updated_time"), time_value(arena, head.updated)},
              {name("versions"), versions_value(arena, head)}});
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

Status store_changed(HandlerContext& ctx, std::string_view path, Head& head) {
  if (head.created == WallTime{})
    head.created = ctx.now;
  head.updated = ctx.now;
  COFFER_ASSIGN(const Config config, load_config(ctx));
  const json::Value cas = ctx.field("cas_required");
  if (!cas.is_null() && config.cas_required && !head.newest.cas_required)
    ctx.response.warnings.push_back(
        R"("cas_required" set to false, but is mandated by backend config. This value will be ignored.)");
  return store_head(ctx, path, head);
}

Status write_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(std::optional<Head> found, load_head(ctx, path));
  Head head = found ? std::move(*found) : Head();
  COFFER_ASSIGN(const bool any, apply_fields(ctx, head, false));
  return any ? store_changed(ctx, path, head) : ok_status();
}

Status patch_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  if (answered_patch_type(ctx))
    return ok_status();
  COFFER_TRY(check_writable(path));
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return answer_not_found(ctx);
  COFFER_ASSIGN(const bool any, apply_fields(ctx, *head, true));
  return any ? store_changed(ctx, path, *head) : ok_status();
}

Status delete_metadata(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return ok_status();
  for (const Version& version : head->older)
    if (version.has_own_record())
      COFFER_TRY(ctx.storage.erase(version_name(ctx.arena, version.number, path)));
  return ctx.storage.erase(record_name(ctx.arena, kHeadPrefix, path));
}

Status list_metadata(HandlerContext& ctx) { return list_names(ctx, kHeadPrefix, ctx.captures[0]); }

}  // namespace

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
                 {"after", FieldType::kString, "Listing: only names after this one."},
                 {"limit", FieldType::kInt, "Listing: at most so many names."}},
      .operations = {{Operation::kRead, Effect::kReads, read_metadata, "Read settings and versions of the secret."},
                     {Operation::kWrite, Effect::kWrites, write_metadata, "Change what is given, keep the rest."},
                     {Operation::kPatch, Effect::kWrites, patch_metadata, "As write, merging custom_metadata."},
                     {Operation::kDelete, Effect::kWrites, delete_metadata, "Remove the secret with all its versions."},
                     {Operation::kList, Effect::kReads, list_metadata, "Names in a folder."}},
      .exists = secret_exists,
  };
}

}  // namespace coffer::engines::kv
