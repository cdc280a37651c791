#include <algorithm>

#include "base/mutant.h"
#include "core/answers.h"
#include "core/identity_engine.h"

namespace coffer::core::identity {
namespace {

constexpr std::size_t kDeletedAtOnceMax = 500;

std::string_view captured(const HandlerContext& ctx) {
  return ctx.captures.empty() ? std::string_view() : ctx.captures.front();
}

bool by_name(const HandlerContext& ctx) { return ctx.path.starts_with("entity/name/"); }

Storage root_storage(CallContext& ctx) {
  return Storage(ctx.txn, layout::kRootNamespace, kIdentityMountId, store::KeyClass::kShared);
}

// The bug of advisory E6, for its test.
Status erase_in_root(CallContext& ctx, std::string_view id) {
  Storage storage = root_storage(ctx);
  IdentityStore store(storage, ctx.arena);
  COFFER_ASSIGN(const auto entity, store.entity(id));
  return entity ? store.erase(*entity) : ok_status();
}

// By the path's id or name; the path "entity" itself takes both from the body.
Result<std::optional<EntityRecord>> named_entity(CallContext& ctx, IdentityStore& store) {
  if (!captured(ctx).empty())
    return by_name(ctx) ? store.entity_by_name(captured(ctx)) : store.entity(captured(ctx));
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("id", ""));
  if (!id.empty()) {
    COFFER_ASSIGN(auto found, store.entity(id));
    return found ? Result<std::optional<EntityRecord>>(std::move(found))
                 : Status(Code::kInvalid, "entity not found from id");
  }
  COFFER_ASSIGN(const std::string_view name, read_name(ctx, "name"));
  return name.empty() ? Result<std::optional<EntityRecord>>(std::nullopt) : store.entity_by_name(name);
}

// What the body says, on top of what is.
Status read_entity(CallContext& ctx, EntityRecord& entity) {
  COFFER_ASSIGN(const std::string_view body_name, read_name(ctx, "name"));
  const std::string_view name = by_name(ctx) ? captured(ctx) : body_name;
  if (name.size() > kIdentityNameBytesMax)
    return Status(Code::kInvalid,
                  "an entity's name is longer than " + std::to_string(kIdentityNameBytesMax) + " bytes");
  if (!name.empty())
    entity.name = name;
  COFFER_TRY(read_policies(ctx, entity.policies));
  COFFER_ASSIGN(entity.disabled, ctx.bool_field("disabled", entity.disabled));
  return read_metadata(ctx, "metadata", entity.metadata);
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto before, named_entity(ctx, store));
  if (!before && !captured(ctx).empty() && !by_name(ctx))
    return Status(Code::kInvalid, "entity not found from id");
  EntityRecord after = before.value_or(EntityRecord());
  COFFER_TRY(read_entity(ctx, after));
  after.updated = ctx.now;
  if (before)
    return store.put(&*before, after);
  after.created = ctx.now;
  COFFER_ASSIGN(after.id, make_id(ctx));
  if (after.name.empty()) {
    COFFER_ASSIGN(after.name, make_name(ctx, "entity"));
  }
  COFFER_TRY(store.put(nullptr, after));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("aliases", json::Value())
                          .add("id", after.id)
                          .add("name", after.name)
                          .build();
  return ok_status();
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  Storage root = root_storage(ctx);
  IdentityStore store = mutant(Mutant::kIdentityOfOtherNamespace) ? IdentityStore(root, ctx.arena) : store_of(ctx);
  COFFER_ASSIGN(const auto entity, named_entity(ctx, store));
  if (!entity)
    return Status(Code::kNotFound, "");
  Status status;
  ctx.response.data = entity_value(ctx, store, *entity, status);
  return status;
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto entity, named_entity(ctx, store));
  return entity ? store.erase(*entity) : ok_status();
}

// Only ids of this store are found in it: those of another namespace are none (advisory E6).
Status handle_batch_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto ids, read_ids(ctx, "entity_ids"));
  if (ids.empty())
    return Status(Code::kInvalid, "missing entity ids to delete");
  if (ids.size() > kDeletedAtOnceMax)
    return Status(Code::kInvalid,
                  "field \"entity_ids\" names more than " + std::to_string(kDeletedAtOnceMax) + " entities");
  IdentityStore store = store_of(ctx);
  for (const std::string_view id : ids) {
    COFFER_ASSIGN(const auto entity, store.entity(id));
    if (entity)
      COFFER_TRY(store.erase(*entity));
    else if (mutant(Mutant::kBatchDeletesForeign))
      COFFER_TRY(erase_in_root(ctx, id));
  }
  return ok_status();
}

Result<json::Value> entity_info(CallContext& ctx, IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto entity, store.entity(id));
  if (!entity)
    return json::Value();
  json::ObjectBuilder info(ctx.arena, 2);
  if (!entity->aliases.empty()) {
    json::ArrayBuilder aliases(ctx.arena, entity->aliases.size());
    for (const AliasRecord& alias : entity->aliases) {
      json::ObjectBuilder value(ctx.arena, 5);
      value.add("id", alias.id).add("mount_accessor", alias.mount_accessor);
      add_mount(ctx, value, alias.mount_accessor);
      aliases.add(value.add("name", alias.name).build());
    }
    info.add("aliases", aliases.build());
  }
  return info.add("name", entity->name).build();
}

Result<std::string_view> entity_name(IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto entity, store.entity(id));
  return entity ? entity->name : std::string_view();
}

Status handle_list_ids(HandlerContext& base) { return list_ids(call(base), "entity/", entity_info); }
Status handle_list_names(HandlerContext& base) { return list_names(call(base), "entity-name/", entity_name); }

struct Clash {
  std::string text;
  std::size_t count = 0;
  json::ArrayBuilder aliases;  // both of each pair
};

json::Value clashing(CallContext& ctx, const EntityRecord& entity, const AliasRecord& alias) {
  const Route* route = mount_by_accessor(ctx, alias.mount_accessor);
  return json::ObjectBuilder(ctx.arena, 5)
      .add("alias", alias.name)
      .add("entity", entity.name)
      .add("entity_id", entity.id)
      .add("mount", route == nullptr ? std::string_view() : std::string_view(route->record.info.type))
      .add("mount_path", route == nullptr ? std::string_view() : std::string_view(route->prefix))
      .build();
}

void note_clashes(CallContext& ctx, const EntityRecord& into, const EntityRecord& from, Clash& clash) {
  for (const AliasRecord& alias : from.aliases)
    if (const AliasRecord* other = alias_of(into, alias.mount)) {
      clash.aliases.add(clashing(ctx, into, *other));
      clash.aliases.add(clashing(ctx, from, alias));
      if (clash.count++ == 0)
        clash.text =
            "\t* toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge "
            "request specifying exactly one fromEntity, clashes: \n";
      clash.text.append("\t* mountAccessor: ")
          .append(alias.mount_accessor)
          .append(", toEntity ID: ")
          .append(into.id)
          .append(", fromEntity ID: ")
          .append(from.id)
          .append(", conflicting toEntity alias ID: ")
          .append(other->id)
          .append(", conflicting fromEntity alias ID: ")
          .append(alias.id)
          .append("\n");
    }
}

// Which aliases of one mount stay was said for each pair.
Status check_choice(const EntityRecord& into, const EntityRecord& from, const std::vector<std::string_view>& keep) {
  const auto kept = [&](std::string_view id) { return std::find(keep.begin(), keep.end(), id) != keep.end(); };
  for (const AliasRecord& alias : from.aliases)
    if (const AliasRecord* other = alias_of(into, alias.mount); other && !kept(alias.id) && !kept(other->id))
      return Status(Code::kInvalid,
                    "conflicting mount accessors in following alias IDs and neither were present in "
                    "conflicting_alias_ids_to_keep: " +
                        std::string(alias.id) + ", " + std::string(other->id));
  return ok_status();
}

struct Merge {
  EntityRecord into;
  std::vector<EntityRecord> from;
  std::vector<std::string_view> keep;
};

Result<Merge> read_merge(CallContext& ctx, IdentityStore& store) {
  Merge merge;
  COFFER_ASSIGN(const std::string_view into, ctx.string_field("to_entity_id", ""));
  if (into.empty())
    return Status(Code::kInvalid, "missing entity id to merge to");
  COFFER_ASSIGN(auto ids, read_ids(ctx, "from_entity_ids"));
  if (ids.empty())
    return Status(Code::kInvalid, "missing entity ids to merge from");
  COFFER_ASSIGN(merge.keep, read_ids(ctx, "conflicting_alias_ids_to_keep"));
  // Second factors are where force decides; entities have none here.
  COFFER_TRY(ctx.bool_field("force", false).status());
  COFFER_ASSIGN(auto target, store.entity(into));
  if (!target)
    return Status(Code::kInvalid, "entity id to merge to is invalid");
  merge.into = *std::move(target);
  if (ids.size() > 1 && merge.keep.size() > 1)
    return Status(Code::kInvalid,
                  "aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time");
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const std::string_view id : ids) {
    if (id == merge.into.id)
      return Status(Code::kInvalid, "to_entity_id should not be present in from_entity_ids");
    COFFER_ASSIGN(auto from, store.entity(id));
    if (!from)
      return Status(Code::kInvalid, "entity id to merge from is invalid");
    merge.from.push_back(*std::move(from));
  }
  return merge;
}

// Aliases and memberships go over; policies that the others have by themselves do not.
Status handle_merge(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(Merge merge, read_merge(ctx, store));
  if (merge.keep.empty()) {
    Clash clash{{}, 0, json::ArrayBuilder(ctx.arena)};
    for (std::size_t i = 0; i < merge.from.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j)
        for (const AliasRecord& alias : merge.from[i].aliases)
          if (alias_of(merge.from[j], alias.mount) != nullptr)
            return Status(Code::kInvalid, "mount accessor " + std::string(alias.mount_accessor) +
                                              " found in multiple fromEntities, merge should be done with one "
                                              "fromEntity at a time");
      note_clashes(ctx, merge.into, merge.from[i], clash);
    }
    if (clash.count > 0) {
      ctx.response.status = 400;
      ctx.response.errors.push_back(
          ctx.arena.copy(std::to_string(clash.count + 1) + " errors occurred:\n" + clash.text + "\n"));
      ctx.response.data = clash.aliases.build();
      return ok_status();
    }
  }
  for (const EntityRecord& from : merge.from) {
    if (!merge.keep.empty())
      COFFER_TRY(check_choice(merge.into, from, merge.keep));
    COFFER_TRY(store.merge(merge.into, from, merge.keep, ctx.now));
  }
  return ok_status();
}

std::vector<Field> entity_fields() {
  return {{"id", FieldType::kString, "Which entity; absent: the one of that name, or a new one."},
          {"name", FieldType::kString, "A name that no other entity has."},
          {"metadata", FieldType::kMap, "Names and values that policies' templates may use."},
          {"policies", FieldType::kStringList, "Policies of every token of the entity."},
          {"disabled", FieldType::kBool, "Whether its tokens are refused, without being revoked."}};
}

}  // namespace

std::vector<PathSpec> entity_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"entity", "Make an entity, or change one.", entity_fields(),
                   {{Operation::kWrite, Effect::kWrites, handle_write, "Writes an entity."}}});
  specs.push_back({"entity/batch-delete", "Delete several entities.",
                   {{"entity_ids", FieldType::kStringList, "Ids of entities; unknown ones are passed over.", true}},
                   {{Operation::kWrite, Effect::kWrites, handle_batch_delete, "Deletes entities."}}});
  specs.push_back({"entity/id", "The ids of all entities.", list_fields(),
                   {{Operation::kList, Effect::kReads, handle_list_ids, "Lists entities by id."}}});
  specs.push_back({"entity/name", "The names of all entities.", list_fields(),
                   {{Operation::kList, Effect::kReads, handle_list_names, "Lists entities by name."}}});
  std::vector<Field> by_name_fields = entity_fields();
  by_name_fields.erase(by_name_fields.begin());  // the name says which
  for (const std::string_view pattern : {"entity/id/:id", "entity/name/*name"}) {
    specs.push_back({pattern, "One entity: read, change or delete it.",
                     pattern.ends_with("*name") ? by_name_fields : entity_fields(),
                     {{Operation::kRead, Effect::kReads, handle_read, "Reads an entity."},
                      {Operation::kWrite, Effect::kWrites, handle_write, "Writes an entity."},
                      {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes an entity with its aliases."}}});
    specs.back().folds_case = pattern.ends_with("*name");
  }
  // An older name of entity.
  specs.push_back({"persona", "An older name of entity.", entity_fields(),
                   {{Operation::kWrite, Effect::kWrites, handle_write, "Writes an entity."}}});
  return specs;
}

std::vector<PathSpec> merge_specs() {
  std::vector<PathSpec> specs;
  specs.push_back(
      {"entity/merge", "Make several entities one.",
       {{"from_entity_ids", FieldType::kStringList, "Entities that end; their tokens become the other's.", true},
        {"to_entity_id", FieldType::kString, "The entity that stays.", true},
        {"conflicting_alias_ids_to_keep", FieldType::kStringList,
         "Where both have an alias of one mount: which stays."},
        {"force", FieldType::kBool, "Keep the second factors of the entity that stays."}},
       {{Operation::kWrite, Effect::kWrites, handle_merge, "Merges entities."}}});
  return specs;
}

}  // namespace coffer::core::identity
