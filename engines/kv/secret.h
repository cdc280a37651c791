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
Status store_head(core::HandlerContext& ctx, std::string_view path, const Head& head);
Result<Config> load_config(core::HandlerContext& ctx);
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
Status check_cas(const std::optional<std::int64_t>& cas, const Head& head, const Config& config);

// Makes `data` (JSON text) the newest version of `head` and stores everything; what exceeds the number of versions
// goes.
Status add_version(core::HandlerContext& ctx, std::string_view path, Head& head, const Config& config,
                   std::string_view data);

// Answers with the names below `folder` (with or without its '/') in records that begin with `prefix`: `keys`, or not
// found. Takes the fields `after` and `limit`.
Status list_names(core::HandlerContext& ctx, std::string_view prefix, std::string_view folder);

// The numbers of `versions`: a list, one number, or text with commas. Empty when absent.
Result<std::vector<std::uint64_t>> versions_field(core::HandlerContext& ctx);

}  // namespace coffer::engines::kv
