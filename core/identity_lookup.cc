#include "core/identity_engine.h"

namespace coffer::core::identity {
namespace {

// One of id, name, alias_id, or both of alias_name and alias_mount_accessor.
struct Query {
  std::string_view id;
  std::string_view name;
  std::string_view alias_id;
  std::string_view alias_name;
  std::string_view accessor;
};

Result<Query> read_query(CallContext& ctx) {
  Query query;
  std::size_t count = 0;
  const auto read = [&](std::string_view field, std::string_view& out) -> Status {
    COFFER_ASSIGN(out, ctx.string_field(field, ""));
    count += given(ctx, field);
    return ok_status();
  };
  COFFER_TRY(read("id", query.id));
  COFFER_TRY(read("name", query.name));
  COFFER_TRY(read("alias_id", query.alias_id));
  COFFER_TRY(read("alias_name", query.alias_name));
  COFFER_TRY(read("alias_mount_accessor", query.accessor));
  if (count == 0)
    return Status(Code::kInvalid, "query parameter not supplied");
  const bool half = query.alias_name.empty() != query.accessor.empty();
  if (count == 1 && half)
    return Status(Code::kInvalid, "both 'alias_name' and 'alias_mount_accessor' needs to be set");
  if (count > 2 || (count == 2 && (query.alias_name.empty() || query.accessor.empty())))
    return Status(Code::kInvalid, "query parameter conflict; please supply distinct set of query parameters");
  return query;
}

Result<std::optional<EntityRecord>> find_entity(CallContext& ctx, IdentityStore& store, const Query& query) {
  if (!query.id.empty())
    return store.entity(query.id);
  if (!query.name.empty())
    return store.entity_by_name(query.name);
  if (!query.alias_id.empty())
    return store.entity_by_alias(query.alias_id);
  const Route* route = mount_by_accessor(ctx, query.accessor);
  if (route == nullptr)
    return std::optional<EntityRecord>();
  return store.entity_by_factors(route->record.info.id, query.alias_name);
}

Result<std::optional<GroupRecord>> find_group(CallContext& ctx, IdentityStore& store, const Query& query) {
  if (!query.id.empty())
    return store.group(query.id);
  if (!query.name.empty())
    return store.group_by_name(query.name);
  if (!query.alias_id.empty())
    return store.group_by_alias(query.alias_id);
  const Route* route = mount_by_accessor(ctx, query.accessor);
  if (route == nullptr)
    return std::optional<GroupRecord>();
  return store.group_by_factors(route->record.info.id, query.alias_name);
}

// What is not there is an answer without a body.
Status handle_entity(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const Query query, read_query(ctx));
  COFFER_ASSIGN(const auto entity, find_entity(ctx, store, query));
  Status status;
  if (entity)
    ctx.response.data = entity_value(ctx, store, *entity, status);
  return status;
}

Status handle_group(HandlerContext& base) {
  CallContext& ctx = call(base);
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const Query query, read_query(ctx));
  COFFER_ASSIGN(const auto group, find_group(ctx, store, query));
  Status status;
  if (group)
    ctx.response.data = group_value(ctx, store, *group, status);
  return status;
}

}  // namespace

std::vector<PathSpec> lookup_specs() {
  const std::vector<Field> fields = {
      {"id", FieldType::kString, "Its id."},
      {"name", FieldType::kString, "Its name."},
      {"alias_id", FieldType::kString, "The id of an alias of it."},
      {"alias_name", FieldType::kString, "The name of an alias of it, with alias_mount_accessor."},
      {"alias_mount_accessor", FieldType::kString, "The mount of that alias."}};
  std::vector<PathSpec> specs;
  specs.push_back({"lookup/entity", "Find an entity by one of its properties.", fields,
                   {{Operation::kWrite, Effect::kReads, handle_entity, "Finds an entity."}}});
  specs.push_back({"lookup/group", "Find a group by one of its properties.", fields,
                   {{Operation::kWrite, Effect::kReads, handle_group, "Finds a group."}}});
  return specs;
}

}  // namespace coffer::core::identity
