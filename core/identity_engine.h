// The engine of identity/: entities, aliases and groups over core/identity_store.h. Part of the core, because it knows
// mounts and because the request's path reads what it writes.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/call.h"
#include "core/identity_store.h"
#include "core/path_table.h"

namespace coffer::core {

std::unique_ptr<Engine> make_identity_engine();

// What the engine's parts share. Part of core/identity_*.cc.
namespace identity {

inline constexpr std::size_t kListedMax = 10000;  // records that one list tells about

std::vector<PathSpec> entity_specs();
std::vector<PathSpec> merge_specs();
std::vector<PathSpec> alias_specs();
std::vector<PathSpec> group_specs();
std::vector<PathSpec> group_alias_specs();
std::vector<PathSpec> lookup_specs();

inline IdentityStore store_of(CallContext& ctx) { return IdentityStore(ctx.storage, ctx.arena); }

// A mount of the store's namespace that knows people by names; null: no such accessor.
const Route* mount_by_accessor(const CallContext& ctx, std::string_view accessor);

// As people see it: "root", or a short id.
std::string_view namespace_name(const CallContext& ctx);
json::Value pairs_value(json::Arena& arena, const TextPairs& pairs);                        // null when empty
json::Value ids_value(json::Arena& arena, const std::vector<std::string_view>& ids);        // null when empty
json::Value policies_value(json::Arena& arena, std::string_view joined);                    // [] when empty
json::Value entity_value(CallContext& ctx, IdentityStore& store, const EntityRecord& entity, Status& status);
json::Value group_value(CallContext& ctx, IdentityStore& store, const GroupRecord& group, Status& status);
// An alias by itself, and in a list.
json::Value alias_answer(CallContext& ctx, const AliasRecord& alias, std::string_view owner);
json::Value alias_info(CallContext& ctx, const AliasRecord& alias, std::string_view owner);
void add_mount(CallContext& ctx, json::ObjectBuilder& to, std::string_view accessor);

// Fields of a body, taken over when they are given.
Status read_metadata(HandlerContext& ctx, std::string_view field, TextPairs& out);
Status read_policies(CallContext& ctx, std::string_view& joined);
bool is_root_spelling(std::string_view name);
// Without control characters, at most kIdentityNameBytesMax; empty when it is absent.
Result<std::string_view> read_name(HandlerContext& ctx, std::string_view field);
Result<std::vector<std::string_view>> read_ids(HandlerContext& ctx, std::string_view field);
bool given(const HandlerContext& ctx, std::string_view field);
Result<std::string_view> make_id(CallContext& ctx);
// "group_1a2b3c4d"
Result<std::string_view> make_name(CallContext& ctx, std::string_view kind);

// A page of ids with what `info` tells of each.
using Info = Result<json::Value> (*)(CallContext& ctx, IdentityStore& store, std::string_view id);
Status list_ids(CallContext& ctx, std::string_view folder, Info info);
// The names of a page of records, which `name` reads by their ids.
using NameOf = Result<std::string_view> (*)(IdentityStore& store, std::string_view id);
Status list_names(CallContext& ctx, std::string_view folder, NameOf name);
std::vector<Field> list_fields();

}  // namespace identity

}  // namespace coffer::core
