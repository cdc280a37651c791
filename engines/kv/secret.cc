#include "engines/kv/secret.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "base/time_text.h"
#include "core/caller.h"

namespace coffer::engines::kv {
namespace {

constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr int kVersionDigits = 16;
constexpr std::size_t kAuthorBytesMax = 256;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> whole_number(const json::Value& value) {
  if (value.is_string())
    return whole_number(value.as_string());
  if (value.is_number())
    return whole_number(value.number_text());
  return std::nullopt;
}

// How long a version lives: the shorter of what the secret and the mount say, where both say something.
Nanos life_of(const Head& head, const Config& config) {
  if (config.versions_stay)
    return Nanos{0};
  if (head.delete_version_after == Nanos{0})
    return config.delete_version_after;
  if (config.delete_version_after == Nanos{0})
    return head.delete_version_after;
  return std::min(head.delete_version_after, config.delete_version_after);
}

std::uint32_t versions_kept(const Head& head, const Config& config) {
  const std::uint32_t wanted = std::max(head.max_versions, config.max_versions);
  return wanted == 0 ? kDefaultMaxVersions : std::min(wanted, kVersionsMax);
}

// The version that was the newest joins the older ones: small data stays in the head, other data gets a record of its
// own.
Status keep_older(core::HandlerContext& ctx, std::string_view path, Head& head, Version version,
                  std::string_view data) {
  if (!version.destroyed && data.size() + head.kept_bytes() <= kKeptBytesMax)
    version.kept = data;
  head.older.push_back(version);
  if (!version.has_own_record())
    return ok_status();
  std::string record;
  encode_data(data, record);
  return put_and_wipe(ctx, version_name(ctx.arena, version.number, path), record);
}

// Drops the oldest versions beyond `kept`, the newest among them counted.
Status prune(core::HandlerContext& ctx, std::string_view path, Head& head, std::uint32_t kept) {
  const std::uint64_t newest = head.newest.version.number;
  if (newest <= kept)
    return ok_status();
  const std::uint64_t oldest = newest - kept + 1;
  std::size_t dropped = 0;
  while (dropped < head.older.size() && head.older[dropped].number < oldest) {
    if (head.older[dropped].has_own_record())
      COFFER_TRY(ctx.storage.erase(version_name(ctx.arena, head.older[dropped].number, path)));
    ++dropped;
  }
  head.older.erase(head.older.begin(), head.older.begin() + static_cast<std::ptrdiff_t>(dropped));
  head.oldest = oldest;
  return ok_status();
}

}  // namespace

Status answer_error(core::HandlerContext& ctx, int status, std::string_view error) {
  COFFER_CHECK(status >= 400);
  ctx.response.status = status;
  if (!error.empty())
    ctx.response.errors.push_back(ctx.arena.copy(error));
  return ok_status();
}

Status invalid(std::string_view text) { return Status(Code::kInvalid, std::string(text)); }

Status check_writable(std::string_view path) {
  if (path.empty() || path.back() == '/')
    return invalid("cannot write to a path ending in '/'");
  return ok_status();
}

bool answered_patch_type(core::HandlerContext& ctx) {
  std::string_view type = ctx.request.content_type;
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ')
    type.remove_suffix(1);
  if (ctx.request.surface == core::Surface::kGrpc || type == kMergePatch)
    return false;
  const bool ignored = answer_error(ctx, 415, "PATCH requires Content-Type of application/merge-patch+json").ok();
  COFFER_CHECK(ignored);
  return true;
}

json::Value object_of(json::Arena& arena, std::initializer_list<json::Member> members) {
  static_assert(std::is_trivially_copyable_v<json::Member>);
  auto* at = static_cast<json::Member*>(arena.allocate(sizeof(json::Member) * members.size(), alignof(json::Member)));
  std::uninitialized_copy(members.begin(), members.end(), at);
  return json::Value::object({at, members.size()});
}

json::Value time_value(json::Arena& arena, WallTime time) {
  if (time == WallTime{})
    return json::Value::borrowed("");
  std::string text;
  text.reserve(32);
  append_time(time, text);
  return json::Value::string(arena, text);
}

json::Value metadata_value(json::Arena& arena, const Version& version, std::string_view custom_metadata) {
  return object_of(arena, {{name("created_time"), time_value(arena, version.created)},
                           {name("custom_metadata"),
                            custom_metadata.empty() ? json::Value::null() : json::Value::raw(custom_metadata)},
                           {name("deletion_time"), time_value(arena, version.deletion)},
                           {name("destroyed"), json::Value::boolean(version.destroyed)},
                           {name("version"), json::Value::number_unsigned(arena, version.number)}});
}

std::string_view record_name(json::Arena& arena, std::string_view prefix, std::string_view path) {
  auto* at = static_cast<char*>(arena.allocate(prefix.size() + path.size(), 1));
  if (!prefix.empty())
    std::memcpy(at, prefix.data(), prefix.size());
  if (!path.empty())
    std::memcpy(at + prefix.size(), path.data(), path.size());
  return {at, prefix.size() + path.size()};
}

std::string_view version_name(json::Arena& arena, std::uint64_t number, std::string_view path) {
  char prefix[kVersionPrefix.size() + kVersionDigits + 1];
  std::memcpy(prefix, kVersionPrefix.data(), kVersionPrefix.size());
  for (int i = 0; i < kVersionDigits; ++i)
    prefix[kVersionPrefix.size() + static_cast<std::size_t>(i)] = "0123456789abcdef"[(number >> (60 - 4 * i)) & 15];
  prefix[sizeof prefix - 1] = '/';
  return record_name(arena, {prefix, sizeof prefix}, path);
}

Result<std::optional<std::string_view>> load_raw(core::HandlerContext& ctx, std::string_view path) {
  return ctx.storage.get(record_name(ctx.arena, kHeadPrefix, path));
}

Result<std::optional<Head>> load_head(core::HandlerContext& ctx, std::string_view path) {
  COFFER_ASSIGN(const std::optional<std::string_view> record, load_raw(ctx, path));
  if (!record)
    return std::optional<Head>();
  COFFER_ASSIGN(Head head, decode_head(*record));
  return std::optional<Head>(std::move(head));
}

Status put_and_wipe(core::HandlerContext& ctx, std::string_view name, std::string& record) {
  const Status status = ctx.storage.put(name, record);
  wipe(record.data(), record.size());
  return status;
}

Result<std::string_view> secret_text(json::Arena& arena, const json::Value& value) {
  const std::string_view text = text_of(arena, value);
  if (text.size() > limits::kSecretBytesMax)
    return Status(Code::kTooLarge,
                  "the secret is larger than " + std::to_string(limits::kSecretBytesMax) + " bytes");
  return text;
}

std::string_view text_of(json::Arena& arena, const json::Value& value) {
  std::string text;
  // What the value was read from stands in the arena too, so this is room enough but for rare escapes, and the text
  // does not leave pieces of itself behind by growing.
  text.reserve(arena.bytes_used() + 64);
  json::write(value, text, {.sort_keys = true});
  const std::string_view kept = arena.copy(text);
  wipe(text.data(), text.size());
  return kept;
}

Status store_head(core::HandlerContext& ctx, std::string_view path, const Head& head) {
  std::string record;
  encode(head, record);
  return put_and_wipe(ctx, record_name(ctx.arena, kHeadPrefix, path), record);
}

Result<Config> load_config(core::HandlerContext& ctx) {
  COFFER_ASSIGN(const std::optional<std::string_view> record, ctx.storage.get(kConfigName));
  return record ? decode_config(*record) : Result<Config>(Config());
}

Status erase_versions(core::Storage& storage, json::Arena& arena, std::string_view path, const Head& head) {
  for (const Version& version : head.older)
    if (version.has_own_record())
      COFFER_TRY(storage.erase(version_name(arena, version.number, path)));
  return ok_status();
}

Result<std::optional<Tombstone>> load_tombstone(core::HandlerContext& ctx, std::string_view path) {
  COFFER_ASSIGN(const std::optional<std::string_view> record,
                ctx.storage.get(record_name(ctx.arena, kTombstonePrefix, path)));
  if (!record)
    return std::optional<Tombstone>();
  COFFER_ASSIGN(Tombstone tombstone, decode_tombstone(*record));
  return std::optional<Tombstone>(std::move(tombstone));
}

Status purge(core::Storage& storage, json::Arena& arena, std::string_view path, const Tombstone& tombstone) {
  COFFER_TRY(erase_versions(storage, arena, path, tombstone.head));
  return storage.erase(record_name(arena, kTombstonePrefix, path));
}

Result<Head> head_to_write(core::HandlerContext& ctx, std::string_view path) {
  COFFER_ASSIGN(std::optional<Head> found, load_head(ctx, path));
  if (found)
    return std::move(*found);
  COFFER_ASSIGN(const std::optional<Tombstone> deleted, load_tombstone(ctx, path));
  if (deleted)
    COFFER_TRY(purge(ctx.storage, ctx.arena, path, *deleted));
  return Head();
}

Result<bool> secret_exists(core::HandlerContext& ctx) {
  COFFER_ASSIGN(const std::optional<std::string_view> record, load_raw(ctx, ctx.captures[0]));
  return record.has_value();
}

Result<std::optional<Reading>> read_version(core::HandlerContext& ctx, std::string_view path, std::uint64_t number) {
  COFFER_ASSIGN(const std::optional<std::string_view> record, load_raw(ctx, path));
  if (!record)
    return std::optional<Reading>();
  COFFER_ASSIGN(const Newest newest, decode_newest(*record));
  if (newest.version.number == 0)
    return std::optional<Reading>();
  if (number == 0 || number == newest.version.number) {
    const bool readable = newest.version.readable_at(ctx.now);
    return std::optional<Reading>(
        Reading{newest.version, newest.custom_metadata, readable ? newest.data : std::string_view()});
  }
  COFFER_ASSIGN(const Head head, decode_head(*record));
  const Version* version = head.find(number);
  if (version == nullptr)
    return std::optional<Reading>();
  Reading reading{*version, newest.custom_metadata, {}};
  if (!version->readable_at(ctx.now))
    return std::optional<Reading>(reading);
  reading.data = version->kept;
  if (version->has_own_record()) {
    COFFER_ASSIGN(const std::optional<std::string_view> stored, ctx.storage.get(version_name(ctx.arena, number, path)));
    if (!stored)
      return Status(Code::kDataLoss, "KV: the record of a version is missing");
    COFFER_ASSIGN(reading.data, decode_data(*stored));
  }
  return std::optional<Reading>(reading);
}

Result<std::optional<std::int64_t>> cas_option(core::HandlerContext& ctx) {
  const json::Value options = ctx.field("options");
  if (options.is_null())
    return std::optional<std::int64_t>();
  if (!options.is_object())
    return invalid("error converting input for field \"options\": expected a map");
  const json::Value* cas = options.find("cas");
  if (cas == nullptr)
    return std::optional<std::int64_t>();
  if (cas->is_null())
    return std::optional<std::int64_t>(0);
  const std::optional<std::int64_t> number = whole_number(*cas);
  if (number)
    return number;
  std::string text = "error parsing check-and-set parameter";
  if (mutant(Mutant::kKvErrorEchoesValue)) {
    text += ": ";
    json::write(*cas, text);
  }
  return Status(Code::kInvalid, std::move(text));
}

Status check_cas(core::HandlerContext& ctx, const std::optional<std::int64_t>& cas, const Head& head,
                 const Config& config) {
  // Tuned into the mount it asks for the version that is replaced; configured in the store, for every write.
  const bool overwrites = head.newest.version.number != 0;
  const bool tuned = overwrites && ctx.mount.option(kCasRequiredOption) == "true";
  if (!cas && (config.cas_required || head.newest.cas_required || tuned))
    return invalid("check-and-set parameter required for this call");
  if (cas && (*cas < 0 || static_cast<std::uint64_t>(*cas) != head.newest.version.number))
    return invalid("check-and-set parameter did not match the current version");
  return ok_status();
}

Status add_version(core::HandlerContext& ctx, std::string_view path, Head& head, const Config& config,
                   std::string_view data) {
  Newest& newest = head.newest;
  Version previous = newest.version;
  const std::string_view previous_data = newest.data;
  newest.version = Version{previous.number + 1, ctx.now, {}, false, {}};
  if (ctx.caller != nullptr) {
    newest.version.author = ctx.caller->display_name().substr(0, kAuthorBytesMax);
    newest.version.entity = ctx.caller->entity_id();
  }
  newest.data = data;
  if (const Nanos life = life_of(head, config); life > Nanos{0})
    // any duration may be asked for; no sum may overflow
    newest.version.deletion = ctx.now + std::min(life, WallTime::max() - ctx.now);
  if (head.created == WallTime{})
    head.created = ctx.now;
  head.updated = ctx.now;
  COFFER_TRY(prune(ctx, path, head, versions_kept(head, config)));
  if (previous.number != 0 && previous.number >= head.oldest)
    COFFER_TRY(keep_older(ctx, path, head, previous, previous_data));
  return store_head(ctx, path, head);
}

core::Change change_of(const core::MountInfo& mount, const Told& told, std::string_view path, const Head& head) {
  core::Change change;
  change.type = told.type;
  change.ns = mount.namespace_id;
  change.mount = mount.id;
  change.area = told.area;
  change.data_area = told.data_area;
  change.name = path;
  change.versioned = true;
  change.current_version = head.newest.version.number;
  change.oldest_version = head.oldest;
  return change;
}

Result<std::vector<std::uint64_t>> versions_field(core::HandlerContext& ctx) {
  const Status bad = invalid("field \"versions\" must be a list of version numbers");
  const json::Value value = ctx.field("versions");
  std::vector<std::uint64_t> numbers;
  const auto take = [&numbers](const std::optional<std::int64_t>& number) {
    if (number && *number > 0)
      numbers.push_back(static_cast<std::uint64_t>(*number));
    return number.has_value();
  };
  if (value.is_null())
    return numbers;
  if (value.is_array()) {
    for (const json::Value& element : value.elements())
      if (!take(whole_number(element)))
        return bad;
    return numbers;
  }
  if (!value.is_string())
    return take(whole_number(value)) ? Result<std::vector<std::uint64_t>>(numbers) : bad;
  COFFER_ASSIGN(const std::vector<std::string_view> items, ctx.list_field("versions"));
  for (const std::string_view item : items)
    if (!take(whole_number(item)))
      return bad;
  return numbers;
}

}  // namespace coffer::engines::kv
