// What the handlers of KV version 2 share: loading and storing, answers, and the rules of versions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "core/engine.h"
#include "engines/kv/record.h"

namespace coffer::engines::kv {

// A failed answer that is no Status: its HTTP status and text (none: an empty list of errors).
Status answer_error(core::HandlerContext& ctx, int status, std::string_view error = {});
inline Status answer_not_found(core::HandlerContext& ctx) { return answer_error(ctx, 404); }
Status invalid(std::string_view text);

// kInvalid for the empty path and for folders.
Status check_writable(std::string_view path);
// 415 when a patch comes over HTTP with another type than merge-patch; then true.
bool answered_patch_type(core::HandlerContext& ctx);

// An object in the arena. Keys are literals.
json::Value object_of(json::Arena& arena, std::initializer_list<json::Member> members);
inline json::Value name(std::string_view literal) { return json::Value::borrowed(literal); }
// RFC 3339, or "" for the epoch.
json::Value time_value(json::Arena& arena, WallTime time);
json::Value metadata_value(json::Arena& arena, const Version& version, std::string_view custom_metadata);

// Options of the mount.
inline constexpr std::string_view kCasRequiredOption = "cas_required";
inline constexpr std::string_view kFilterListOption = "filter_list";

// What was stored was let in once: patches may have made it hold more texts than one body may.
inline constexpr json::Limits kStoredLimits{.strings = SIZE_MAX};

// `prefix` and `path` joined in the arena.
std::string_view record_name(json::Arena& arena, std::string_view prefix, std::string_view path);
std::string_view version_name(json::Arena& arena, std::uint64_t number, std::string_view path);

Result<std::optional<std::string_view>> load_raw(core::HandlerContext& ctx, std::string_view path);
Result<std::optional<Head>> load_head(core::HandlerContext& ctx, std::string_view path);
// Writes the record and overwrites the string: plaintext stays in the arena alone.
Status put_and_wipe(core::HandlerContext& ctx, std::string_view name, std::string& record);
// The JSON text of a value, in the arena, members sorted by key as the peers of this server print them.
std::string_view text_of(json::Arena& arena, const json::Value& value);
// The data of a secret as it is stored. kTooLarge above limits::kSecretBytesMax.
Result<std::string_view> secret_text(json::Arena& arena, const json::Value& value);
Status store_head(core::HandlerContext& ctx, std::string_view path, const Head& head);
Result<Config> load_config(core::HandlerContext& ctx);

// The records of older versions go.
Status erase_versions(core::Storage& storage, json::Arena& arena, std::string_view path, const Head& head);
// What is left of a secret whose metadata was deleted, whatever its time.
Result<std::optional<Tombstone>> load_tombstone(core::HandlerContext& ctx, std::string_view path);
Status purge(core::Storage& storage, json::Arena& arena, std::string_view path, const Tombstone& tombstone);
// What a write works on: the head, or a new one after what was deleted at the path has been purged.
Result<Head> head_to_write(core::HandlerContext& ctx, std::string_view path);

// True when there is a head: what a write to data or metadata does is an update then.
Result<bool> secret_exists(core::HandlerContext& ctx);

// Version `number` (0: the newest) with its data; data is empty when the version cannot be read now.
struct Reading {
  Version version;
  std::string_view custom_metadata;
  std::string_view data;
};
Result<std::optional<Reading>> read_version(core::HandlerContext& ctx, std::string_view path, std::uint64_t number);

// The number after `options.cas`, or nothing. kInvalid when it is not one.
Result<std::optional<std::int64_t>> cas_option(core::HandlerContext& ctx);
Status check_cas(core::HandlerContext& ctx, const std::optional<std::int64_t>& cas, const Head& head,
                 const Config& config);

// Makes `data` (JSON text) the newest version of `head` and stores everything; what exceeds the number of versions
// goes.
Status add_version(core::HandlerContext& ctx, std::string_view path, Head& head, const Config& config,
                   std::string_view data);

// Handlers of LIST and SCAN on the folder that the path captures: names of records that begin with `prefix`, as `keys`.
// Names directly below it, or not found; names in the whole tree, or an empty answer. Both take the fields `after` and
// `limit`, and leave out what the caller does not reach where the mount says so. With `detailed` there is `key_info`
// too.
Status answer_list(core::HandlerContext& ctx, std::string_view prefix, bool detailed);
Status answer_scan(core::HandlerContext& ctx, std::string_view prefix, bool detailed);

// Names in the tree below `folder` (empty or ending in '/') in byte order, after `after` (exclusive, relative to the
// folder), relative to it; at most `limit`. `*more` is true when it was cut.
Status walk_tree(core::Storage& storage, json::Arena& arena, std::string_view prefix, std::string_view folder,
                 std::string_view after, std::size_t limit, std::vector<std::string_view>& names, bool* more);

// How subscribers to events hear that a secret changed: `type` names what was done to `area` ‖ path, and what it
// changed is read at `data_area` ‖ path. The texts live for ever, the path as long as the arena.
struct Told {
  std::string_view type;
  std::string_view area;
  std::string_view data_area;
};
inline constexpr Told kDataWritten{"kv-v2/data-write", "data/", "data/"};
inline constexpr Told kDataPatched{"kv-v2/data-patch", "data/", "data/"};
inline constexpr Told kDataDeleted{"kv-v2/data-delete", "data/", "data/"};
inline constexpr Told kMetadataWritten{"kv-v2/metadata-write", "metadata/", "metadata/"};
inline constexpr Told kMetadataPatched{"kv-v2/metadata-patch", "metadata/", "metadata/"};
inline constexpr Told kMetadataDeleted{"kv-v2/metadata-delete", "metadata/", "metadata/"};
core::Change change_of(const core::MountInfo& mount, const Told& told, std::string_view path, const Head& head);

// Of metadata/:path and of key_info.
json::Value head_value(json::Arena& arena, const Head& head);

// The numbers of `versions`: a list, one number, or text with commas. Empty when absent.
Result<std::vector<std::uint64_t>> versions_field(core::HandlerContext& ctx);

}  // namespace coffer::engines::kv
