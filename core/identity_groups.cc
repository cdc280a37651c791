#include "core/answers.h"
#include "core/identity_engine.h"

namespace coffer::core::identity {
namespace {

bool by_name(const HandlerContext& ctx) { return ctx.path.starts_with("group/name/"); }

Result<std::optional<GroupRecord>> named_group(CallContext& ctx, IdentityStore& store) {
  if (!ctx.captures.empty())
    return by_name(ctx) ? store.group_by_name(ctx.captures.front()) : store.group(ctx.captures.front());
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("id", ""));
  if (!id.empty()) {
    COFFER_ASSIGN(auto found, store.group(id));
    return found ? Result<std::optional<GroupRecord>>(std::move(found)) : Status(Code::kInvalid, "invalid group ID");
  }
  COFFER_ASSIGN(const std::string_view name, read_name(ctx, "name"));
  return name.empty() ? Result<std::optional<GroupRecord>>(std::nullopt) : store.group_by_name(name);
}

Status read_type(CallContext& ctx, bool is_new, GroupRecord& group) {
  COFFER_ASSIGN(const std::string_view type, ctx.string_field("type", ""));
  if (type.empty())
    return ok_status();
  if (type != "internal" && type != "external")
    return Status(Code::kInvalid, "invalid group type");
  if (!is_new && (type == "external") != group.external)
    return Status(Code::kInvalid, "group type cannot be changed");
  group.external = type == "external";
  return ok_status();
}

Status read_group(CallContext& ctx, bool is_new, GroupRecord& group) {
  COFFER_TRY(read_policies(ctx, group.policies));
  COFFER_TRY(read_type(ctx, is_new, group));
  COFFER_ASSIGN(const std::string_view body_name, read_name(ctx, "name"));
  const std::string_view name = by_name(ctx) ? ctx.captures.front() : body_name;
  if (name.size() > kIdentityNameBytesMax)
    return Status(Code::kInvalid, "a group's name is longer than " + std::to_string(kIdentityNameBytesMax) + " bytes");
  if (!name.empty())
    group.name = name;
  COFFER_TRY(read_metadata(ctx, "metadata", group.metadata));
  if (group.external && given(ctx, "member_entity_ids"))
    return Status(Code::kInvalid, "member entities can't be set manually for external groups");
  if (group.external && given(ctx, "member_group_ids"))
    return Status(Code::kInvalid, "member groups can't be set for external groups");
  return ok_status();
}

Status write_members(CallContext& ctx, IdentityStore& store, std::string_view group) {
  if (given(ctx, "member_entity_ids")) {
    COFFER_ASSIGN(const auto ids, read_ids(ctx, "member_entity_ids"));
    COFFER_TRY(store.set_member_entities(group, ids));
  }
  if (given(ctx, "member_group_ids")) {
    COFFER_ASSIGN(const auto ids, read_ids(ctx, "member_group_ids"));
    COFFER_TRY(store.set_member_groups(group, ids));
  }
  return ok_status();
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto before, named_group(ctx, store));
  if (!before && !ctx.captures.empty() && !by_name(ctx))
    return Status(Code::kInvalid, "invalid group ID");
  GroupRecord after = before.value_or(GroupRecord());
  COFFER_TRY(read_group(ctx, !before, after));
  after.updated = ctx.now;
  if (before) {
    ++after.changes;
    COFFER_TRY(store.put(&*before, after));
    return write_members(ctx, store, after.id);
  }
  after.created = ctx.now;
  COFFER_ASSIGN(after.id, make_id(ctx));
  if (after.name.empty()) {
    COFFER_ASSIGN(after.name, make_name(ctx, "group"));
  }
  COFFER_TRY(store.put(nullptr, after));
  COFFER_TRY(write_members(ctx, store, after.id));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2).add("id", after.id).add("name", after.name).build();
  return ok_status();
}

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto group, named_group(ctx, store));
  if (!group)
    return Status(Code::kNotFound, "");
  Status status;
  ctx.response.data = group_value(ctx, store, *group, status);
  return status;
}

Status handle_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto group, named_group(ctx, store));
  return group ? store.erase(*group) : ok_status();
}

Result<json::Value> info(CallContext& ctx, IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto group, store.group(id));
  if (!group)
    return json::Value();
  COFFER_ASSIGN(const auto members, store.member_entities(id));
  json::ObjectBuilder value(ctx.arena, 4);
  if (group->alias) {
    json::ObjectBuilder alias(ctx.arena, 5);
    alias.add("id", group->alias->id).add("mount_accessor", group->alias->mount_accessor);
    add_mount(ctx, alias, group->alias->mount_accessor);
    value.add("alias", alias.add("name", group->alias->name).build());
  }
  return value.add("name", group->name)
      .add("num_member_entities", members.size())
      .add("num_parent_groups", group->parents.size())
      .build();
}

Result<std::string_view> group_name(IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto group, store.group(id));
  return group ? group->name : std::string_view();
}

Status handle_list_ids(HandlerContext& base) { return list_ids(call(base), "group/", info); }
Status handle_list_names(HandlerContext& base) { return list_names(call(base), "group-name/", group_name); }

// The group that an alias is to belong to: the one that was asked for, the one that has it, or a new one.
Result<GroupRecord> owner_of(CallContext& ctx, IdentityStore& store, const std::optional<GroupRecord>& had) {
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("canonical_id", ""));
  if (!id.empty()) {
    COFFER_ASSIGN(const auto group, store.group(id));
    if (!group)
      return Status(Code::kInvalid, "invalid group ID given in 'canonical_id'");
    if (!group->external)
      return Status(Code::kInvalid, "alias can't be set on an internal group");
    return *group;
  }
  if (had)
    return *had;
  GroupRecord group;
  COFFER_ASSIGN(group.id, make_id(ctx));
  COFFER_ASSIGN(group.name, make_name(ctx, "group"));
  group.external = true;
  group.created = group.updated = ctx.now;
  group.changes = 0;
  COFFER_TRY(store.put(nullptr, group));
  return group;
}

Status handle_write_alias(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const std::string_view body_id, ctx.string_field("id", ""));
  const std::string_view id = ctx.captures.empty() ? body_id : ctx.captures.front();
  std::optional<GroupRecord> had;
  if (!id.empty()) {
    COFFER_ASSIGN(had, store.group_by_alias(id));
  }
  if (!id.empty() && !had)
    return Status(Code::kInvalid, "invalid group alias ID");
  COFFER_ASSIGN(const std::string_view name, read_name(ctx, "name"));
  if (name.empty())
    return Status(Code::kInvalid, "missing alias name");
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("mount_accessor", ""));
  if (accessor.empty())
    return Status(Code::kInvalid, "missing mount_accessor");
  const Route* route = mount_by_accessor(ctx, accessor);
  if (route == nullptr)
    return Status(Code::kInvalid, "invalid mount accessor");
  if (route->record.info.local)
    return Status(Code::kInvalid, "the mount of 'mount_accessor' is a local mount");
  ctx.txn.depend(layout::core_key(route->record_key));
  COFFER_ASSIGN(const auto taken, store.group_by_factors(route->record.info.id, name));
  if (taken && (!had || taken->id != had->id))
    return Status(Code::kInvalid, "combination of mount and group alias name is already in use");
  COFFER_ASSIGN(const GroupRecord owner, owner_of(ctx, store, had));
  AliasRecord alias = had ? *had->alias : AliasRecord();
  if (!had) {
    COFFER_ASSIGN(alias.id, make_id(ctx));
    alias.created = ctx.now;
  }
  alias.name = name;
  alias.mount = route->record.info.id;
  alias.mount_accessor = route->record.info.accessor;
  alias.updated = ctx.now;
  if (had && had->id != owner.id) {
    GroupRecord left = *had;
    left.alias.reset();
    COFFER_TRY(store.put(&*had, left));
  }
  GroupRecord after = owner;
  after.alias = alias;
  after.updated = ctx.now;
  ++after.changes;
  COFFER_TRY(store.put(&owner, after));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2).add("canonical_id", after.id).add("id", alias.id).build();
  return ok_status();
}

Status handle_read_alias(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto group, store.group_by_alias(ctx.captures.front()));
  if (!group || !group->alias)
    return Status(Code::kNotFound, "");
  ctx.response.data = alias_answer(ctx, *group->alias, group->id);
  return ok_status();
}

Status handle_delete_alias(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto group, store.group_by_alias(ctx.captures.front()));
  if (!group)
    return ok_status();
  GroupRecord after = *group;
  after.alias.reset();
  after.updated = ctx.now;
  ++after.changes;
  return store.put(&*group, after);
}

Result<json::Value> group_alias_info(CallContext& ctx, IdentityStore& store, std::string_view id) {
  COFFER_ASSIGN(const auto group, store.group_by_alias(id));
  return group && group->alias ? alias_info(ctx, *group->alias, group->id) : json::Value();
}

Status handle_list_aliases(HandlerContext& base) { return list_ids(call(base), "group-alias/", group_alias_info); }

std::vector<Field> group_fields() {
  return {{"id", FieldType::kString, "Which group; absent: the one of that name, or a new one."},
          {"name", FieldType::kString, "A name that no other group has."},
          {"type", FieldType::kString, "internal, or external: then a mount says who is in it."},
          {"metadata", FieldType::kMap, "Names and values that policies' templates may use."},
          {"policies", FieldType::kStringList, "Policies of every member."},
          {"member_entity_ids", FieldType::kStringList, "Exactly these entities are members."},
          {"member_group_ids", FieldType::kStringList, "Exactly these groups are members."}};
}

}  // namespace

std::vector<PathSpec> group_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"group", "Make a group, or change one.", group_fields(),
                   {{Operation::kWrite, Effect::kWrites, handle_write, "Writes a group."}}});
  specs.push_back({"group/id", "The ids of all groups.", list_fields(),
                   {{Operation::kList, Effect::kReads, handle_list_ids, "Lists groups by id."}}});
  specs.push_back({"group/name", "The names of all groups.", list_fields(),
                   {{Operation::kList, Effect::kReads, handle_list_names, "Lists groups by name."}}});
  std::vector<Field> by_name_fields = group_fields();
  by_name_fields.erase(by_name_fields.begin());  // the name says which
  for (const std::string_view pattern : {"group/id/:id", "group/name/*name"}) {
    specs.push_back({pattern, "One group: read, change or delete it.",
                     pattern.ends_with("*name") ? by_name_fields : group_fields(),
                     {{Operation::kRead, Effect::kReads, handle_read, "Reads a group."},
                      {Operation::kWrite, Effect::kWrites, handle_write, "Writes a group."},
                      {Operation::kDelete, Effect::kWrites, handle_delete, "Deletes a group; its members stay."}}});
    specs.back().folds_case = pattern.ends_with("*name");
  }
  return specs;
}

std::vector<PathSpec> group_alias_specs() {
  const std::vector<Field> fields = {
      {"id", FieldType::kString, "Which alias; absent: a new one."},
      {"name", FieldType::kString, "The group's name outside.", true},
      {"mount_accessor", FieldType::kString, "The mount whose logins name it.", true},
      {"canonical_id", FieldType::kString, "The external group that it belongs to; absent: a new one."}};
  std::vector<PathSpec> specs;
  specs.push_back({"group-alias", "Make a group's alias, or change one.", fields,
                   {{Operation::kWrite, Effect::kWrites, handle_write_alias, "Writes an alias."}}});
  specs.push_back({"group-alias/id", "The ids of all aliases of groups.", list_fields(),
                   {{Operation::kList, Effect::kReads, handle_list_aliases, "Lists aliases by id."}}});
  specs.push_back({"group-alias/id/:id", "One alias of a group: read, change or delete it.", fields,
                   {{Operation::kRead, Effect::kReads, handle_read_alias, "Reads an alias."},
                    {Operation::kWrite, Effect::kWrites, handle_write_alias, "Writes an alias."},
                    {Operation::kDelete, Effect::kWrites, handle_delete_alias, "Deletes an alias."}}});
  return specs;
}

}  // namespace coffer::core::identity
