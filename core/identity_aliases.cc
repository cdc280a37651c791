#include <algorithm>

#include "base/mutant.h"
#include "core/answers.h"
#include "core/identity_engine.h"

namespace coffer::core::identity {
namespace {

// What a request says of an alias; empty: nothing.
struct Wish {
  std::string_view id;
  std::string_view name;
  std::string_view accessor;
  std::string_view canonical_id;
  std::optional<TextPairs> custom_metadata;
};

Result<Wish> read_wish(CallContext& ctx) {
  Wish wish;
  COFFER_ASSIGN(wish.id, ctx.string_field("id", ctx.captures.empty() ? std::string_view() : ctx.captures.front()));
  if (!ctx.captures.empty())
    wish.id = ctx.captures.front();
  COFFER_ASSIGN(wish.name, read_name(ctx, "name"));
  COFFER_ASSIGN(wish.accessor, ctx.string_field("mount_accessor", ""));
  COFFER_ASSIGN(const std::string_view older, ctx.string_field("entity_id", ""));
  COFFER_ASSIGN(wish.canonical_id, ctx.string_field("canonical_id", older));
  if (wish.canonical_id.empty())
    wish.canonical_id = older;
  if (given(ctx, "custom_metadata")) {
    wish.custom_metadata.emplace();
    COFFER_TRY(read_metadata(ctx, "custom_metadata", *wish.custom_metadata));
  }
  return wish;
}

// The mount that an accessor names. It is part of what was read: an alias must not outlive its mount.
Result<const MountInfo*> find_mount_of(CallContext& ctx, std::string_view accessor) {
  const Route* route = mount_by_accessor(ctx, accessor);
  if (route == nullptr)
    return Status(Code::kInvalid, "invalid mount accessor");
  ctx.txn.depend(layout::core_key(route->record_key));
  return &route->record.info;
}

void answer(CallContext& ctx, std::string_view id, std::string_view owner) {
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2).add("canonical_id", owner).add("id", id).build();
}

Status create(CallContext& ctx, IdentityStore& store, const Wish& wish, const MountInfo& mount) {
  AliasRecord alias;
  COFFER_ASSIGN(alias.id, make_id(ctx));
  alias.name = wish.name;
  alias.mount = mount.id;
  alias.mount_accessor = mount.accessor;
  alias.local = mount.local;
  alias.custom_metadata = wish.custom_metadata.value_or(TextPairs());
  alias.created = alias.updated = ctx.now;
  std::optional<EntityRecord> before;
  EntityRecord after;
  if (!wish.canonical_id.empty()) {
    COFFER_ASSIGN(before, store.entity(wish.canonical_id));
    if (!before)
      return Status(Code::kInvalid, "invalid canonical ID");
    after = *before;
  } else {
    COFFER_ASSIGN(after.id, make_id(ctx));
    COFFER_ASSIGN(after.name, make_name(ctx, "entity"));
    after.created = ctx.now;
  }
  if (alias_of(after, mount.id) != nullptr)
    return Status(Code::kInvalid, "Alias already exists for requested entity and mount accessor");
  after.aliases.push_back(alias);
  after.updated = ctx.now;
  COFFER_TRY(store.put(before ? &*before : nullptr, after));
  answer(ctx, alias.id, after.id);
  return ok_status();
}

// To another entity. Whoever logs in by the alias gets what that one may do, so this takes more than the right to write
// aliases, and nothing else comes along (advisory E4).
Status move(CallContext& ctx, IdentityStore& store, const EntityRecord& owner, AliasRecord alias,
            std::string_view new_owner) {
  if (alias.local)
    return Status(Code::kInvalid, "local aliases can't be moved between entities");
  COFFER_ASSIGN(const auto before, store.entity(new_owner));
  if (!before)
    return Status(Code::kInvalid, "given 'canonical_id' is not associated with an entity");
  if (!ctx.sudo && !mutant(Mutant::kEntityAliasMerges))
    return Status(Code::kDenied, "moving an alias to another entity needs the sudo capability");
  if (alias_of(*before, alias.mount) != nullptr)
    return Status(Code::kInvalid, "Alias cannot be updated as the given entity already has an alias for this mount ");
  EntityRecord left = owner;
  std::erase_if(left.aliases, [&](const AliasRecord& one) { return one.id == alias.id; });
  left.updated = ctx.now;
  COFFER_TRY(store.put(&owner, left));
  EntityRecord after = *before;
  after.updated = ctx.now;
  after.aliases.push_back(alias);
  COFFER_TRY(store.put(&*before, after));
  answer(ctx, alias.id, after.id);
  return ok_status();
}

Status update(CallContext& ctx, IdentityStore& store, const EntityRecord& owner, const AliasRecord& before,
              const Wish& wish) {
  AliasRecord alias = before;
  if (!wish.name.empty())
    alias.name = wish.name;
  if (wish.custom_metadata)
    alias.custom_metadata = *wish.custom_metadata;
  const bool moves = !wish.canonical_id.empty() && wish.canonical_id != owner.id;
  if (!wish.accessor.empty() && wish.accessor != before.mount_accessor) {
    COFFER_ASSIGN(const MountInfo* mount, find_mount_of(ctx, wish.accessor));
    if (!moves && alias_of(owner, mount->id) != nullptr)
      return Status(Code::kInvalid,
                    "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' ");
    alias.mount = mount->id;
    alias.mount_accessor = mount->accessor;
    alias.local = mount->local;
  } else if (mount_by_accessor(ctx, before.mount_accessor) == nullptr) {
    return Status(Code::kInvalid, "invalid mount accessor");
  }
  if (!moves && alias.name == before.name && alias.mount == before.mount &&
      alias.custom_metadata == before.custom_metadata)
    return ok_status();
  alias.updated = ctx.now;
  if (moves)
    return move(ctx, store, owner, alias, wish.canonical_id);
  EntityRecord after = owner;
  for (AliasRecord& one : after.aliases)
    if (one.id == alias.id)
      one = alias;
  COFFER_TRY(store.put(&owner, after));
  answer(ctx, alias.id, after.id);
  return ok_status();
}

const AliasRecord* by_id(const EntityRecord& entity, std::string_view id) {
  for (const AliasRecord& alias : entity.aliases)
    if (alias.id == id)
      return &alias;
  return nullptr;
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const Wish wish, read_wish(ctx));
  if (!wish.id.empty()) {
    COFFER_ASSIGN(const auto owner, store.entity_by_alias(wish.id));
    const AliasRecord* alias = owner ? by_id(*owner, wish.id) : nullptr;
    return alias != nullptr ? update(ctx, store, *owner, *alias, wish)
                            : Status(Code::kInvalid, "invalid alias ID provided");
  }
  if (wish.accessor.empty() || wish.name.empty())
    return Status(Code::kInvalid, "'id' or 'mount_accessor' and 'name' must be provided");
  COFFER_ASSIGN(const MountInfo* mount, find_mount_of(ctx, wish.accessor));
  COFFER_ASSIGN(const auto owner, store.entity_by_factors(mount->id, wish.name));
  if (owner)
    return update(ctx, store, *owner, *alias_of(*owner, mount->id), wish);
  return create(ctx, store, wish, *mount);
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto owner, store.entity_by_alias(ctx.captures.front()));
  const AliasRecord* alias = owner ? by_id(*owner, ctx.captures.front()) : nullptr;
  if (alias == nullptr)
    return Status(Code::kNotFound, "");
  ctx.response.data = alias_answer(ctx, *alias, owner->id);
  return ok_status();
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto owner, store.entity_by_alias(ctx.captures.front()));
  if (!owner)
    return ok_status();
  EntityRecord after = *owner;
  std::erase_if(after.aliases, [&](const AliasRecord& one) { return one.id == ctx.captures.front(); });
  after.updated = ctx.now;
  return store.put(&*owner, after);
}

Result<json::Value> info(CallContext& ctx, IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto owner, store.entity_by_alias(id));
  const AliasRecord* alias = owner ? by_id(*owner, id) : nullptr;
  return alias == nullptr ? json::Value() : alias_info(ctx, *alias, owner->id);
}

Status handle_list(HandlerContext& base) { return list_ids(call(base), "alias/", info); }

}  // namespace

std::vector<PathSpec> alias_specs() {
  const std::vector<Field> fields = {
      {"id", FieldType::kString, "Which alias; absent: the one of that mount and name, or a new one."},
      {"name", FieldType::kString, "The name that the mount knows the entity by."},
      {"mount_accessor", FieldType::kString, "Which mount."},
      {"canonical_id", FieldType::kString, "The entity that it belongs to; absent: a new one."},
      {"entity_id", FieldType::kString, "An older name of canonical_id."},
      {"custom_metadata", FieldType::kMap, "Names and values that policies' templates may use."},
      {"metadata", FieldType::kMap, "Kept for older clients; only logins set it."}};
  std::vector<PathSpec> specs;
  for (const std::string_view pattern : {"entity-alias", "alias"})
    specs.push_back({pattern, "Make an alias, or change one.", fields,
                     {{Operation::kWrite, Effect::kWrites, handle_write, "Writes an alias."}}});
  for (const std::string_view pattern : {"entity-alias/id", "alias/id", "persona/id"})
    specs.push_back({pattern, "The ids of all aliases.", list_fields(),
                     {{Operation::kList, Effect::kReads, handle_list, "Lists aliases by id."}}});
  for (const std::string_view pattern : {"entity-alias/id/:id", "alias/id/:id", "persona/id/:id"})
    specs.push_back({pattern, "One alias: read, change or delete it.", fields,
                     {{Operation::kRead, Effect::kReads, handle_read, "Reads an alias."},
                      {Operation::kWrite, Effect::kWrites, handle_write, "Writes an alias."},
                      {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes an alias."}}});
  return specs;
}

}  // namespace coffer::core::identity
