#include "core/identity_engine.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/answers.h"

namespace coffer::core {
namespace identity {
namespace {

// As much as custom metadata of a secret may hold.
constexpr std::size_t kMetadataPairsMax = 64;
constexpr std::size_t kMetadataNameBytesMax = 128;
constexpr std::size_t kMetadataValueBytesMax = 512;
constexpr std::size_t kIdsMax = 10000;

json::Value alias_value(CallContext& ctx, const AliasRecord& alias, std::string_view owner, bool of_group) {
  json::ObjectBuilder value(ctx.arena, 16);
  value.add("canonical_id", owner).add("creation_time", format_time(alias.created));
  if (!of_group)
    value.add("custom_metadata", pairs_value(ctx.arena, alias.custom_metadata));
  value.add("id", alias.id).add("last_update_time", format_time(alias.updated));
  if (!of_group)
    value.add("local", alias.local);
  value.add("merged_from_canonical_ids", ids_value(ctx.arena, alias.merged_from))
      .add("metadata", pairs_value(ctx.arena, alias.metadata))
      .add("mount_accessor", alias.mount_accessor);
  add_mount(ctx, value, alias.mount_accessor);
  return value.add("name", alias.name).build();
}

Result<std::pair<std::string_view, std::size_t>> page_of(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", 0, -1, INT32_MAX));
  return std::pair(after, limit <= 0 ? kListedMax : std::min(static_cast<std::size_t>(limit), kListedMax));
}

void warn_of_more(CallContext& ctx, bool more) {
  if (more)
    warn(ctx.response, ctx.arena, "There are more than these; ask again with the last one as \"after\".");
}

}  // namespace

const Route* mount_by_accessor(const CallContext& ctx, std::string_view accessor) {
  for (const Route& route : ctx.published.router->routes())
    if (route.record.info.accessor == accessor && route.record.info.namespace_id == ctx.mount.namespace_id)
      return &route;
  return nullptr;
}

void add_mount(CallContext& ctx, json::ObjectBuilder& to, std::string_view accessor) {
  if (const Route* route = mount_by_accessor(ctx, accessor))
    to.add("mount_path", route->prefix).add("mount_type", route->record.info.type);
}

std::string_view namespace_name(const CallContext& ctx) {
  const NamespaceRecord* ns = ctx.published.namespaces->find(ctx.mount.namespace_id);
  return ns == nullptr ? std::string_view("root") : std::string_view(ns->name);
}

json::Value pairs_value(json::Arena& arena, const TextPairs& pairs) {
  if (pairs.empty())
    return json::Value();
  json::ObjectBuilder object(arena, pairs.size());
  for (const auto& [name, value] : pairs)
    object.add(name, value);
  return object.build();
}

json::Value ids_value(json::Arena& arena, const std::vector<std::string_view>& ids) {
  return ids.empty() ? json::Value() : text_list(arena, ids);
}

json::Value policies_value(json::Arena& arena, std::string_view joined) {
  return text_list(arena, split_policies(joined));
}

json::Value entity_value(CallContext& ctx, IdentityStore& store, const EntityRecord& entity, Status& status) {
  json::ArrayBuilder aliases(ctx.arena, entity.aliases.size() + 1);
  for (const AliasRecord& alias : entity.aliases)
    aliases.add(alias_value(ctx, alias, entity.id, false));
  Result<std::vector<GroupRecord>> groups = store.groups_of(entity);
  if (!groups.ok()) {
    status = groups.status();
    return json::Value();
  }
  std::vector<std::string_view> direct;
  std::vector<std::string_view> inherited;
  for (const GroupRecord& group : *groups)
    (std::binary_search(entity.groups.begin(), entity.groups.end(), group.id) ? direct : inherited)
        .push_back(group.id);
  std::vector<std::string_view> all = direct;
  all.insert(all.end(), inherited.begin(), inherited.end());
  return json::ObjectBuilder(ctx.arena, 16)
      .add("aliases", aliases.build())
      .add("creation_time", format_time(entity.created))
      .add("direct_group_ids", text_list(ctx.arena, direct))
      .add("disabled", entity.disabled)
      .add("group_ids", text_list(ctx.arena, all))
      .add("id", entity.id)
      .add("inherited_group_ids", text_list(ctx.arena, inherited))
      .add("last_update_time", format_time(entity.updated))
      .add("merged_entity_ids", ids_value(ctx.arena, entity.merged))
      .add("metadata", pairs_value(ctx.arena, entity.metadata))
      .add("name", entity.name)
      .add("namespace_id", namespace_name(ctx))
      .add("policies", policies_value(ctx.arena, entity.policies))
      .build();
}

json::Value group_value(CallContext& ctx, IdentityStore& store, const GroupRecord& group, Status& status) {
  const Result<std::vector<std::string_view>> entities = store.member_entities(group.id);
  const Result<std::vector<std::string_view>> groups = store.member_groups(group.id);
  if (!entities.ok() || !groups.ok()) {
    status = entities.ok() ? groups.status() : entities.status();
    return json::Value();
  }
  return json::ObjectBuilder(ctx.arena, 16)
      .add("alias", group.alias ? alias_value(ctx, *group.alias, group.id, true)
                                : json::ObjectBuilder(ctx.arena, 1).build())
      .add("creation_time", format_time(group.created))
      .add("id", group.id)
      .add("last_update_time", format_time(group.updated))
      .add("member_entity_ids", ids_value(ctx.arena, *entities))
      .add("member_group_ids", ids_value(ctx.arena, *groups))
      .add("metadata", pairs_value(ctx.arena, group.metadata))
      .add("modify_index", group.changes)
      .add("name", group.name)
      .add("namespace_id", namespace_name(ctx))
      .add("parent_group_ids", ids_value(ctx.arena, group.parents))
      .add("policies", group.policies.empty() ? json::Value() : policies_value(ctx.arena, group.policies))
      .add("type", group.external ? "external" : "internal")
      .build();
}

bool given(const HandlerContext& ctx, std::string_view field) { return !ctx.field(field).is_null(); }

// An object of strings, or a list of texts name=value as command lines send it.
Status read_metadata(HandlerContext& ctx, std::string_view field, TextPairs& out) {
  const json::Value value = ctx.field(field);
  if (value.is_null())
    return ok_status();
  const auto refused = [&] {
    return Status(Code::kInvalid, "field \"" + std::string(field) + "\" must be an object of at most " +
                                      std::to_string(kMetadataPairsMax) + " strings, names of at most " +
                                      std::to_string(kMetadataNameBytesMax) + " bytes and values of at most " +
                                      std::to_string(kMetadataValueBytesMax));
  };
  TextPairs pairs;
  if (value.is_object()) {
    for (const json::Member& member : value.members()) {
      if (!member.value.is_string() && !member.value.is_number())
        return refused();
      pairs.emplace_back(member.key(),
                         member.value.is_string() ? member.value.as_string() : member.value.number_text());
    }
  } else {
    const Result<std::vector<std::string_view>> texts = ctx.list_field(field);
    if (!texts.ok())
      return refused();
    for (const std::string_view text : *texts) {
      const std::size_t equals = text.find('=');
      if (equals == std::string_view::npos)
        return refused();
      pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  const bool sizes = std::all_of(pairs.begin(), pairs.end(), [](const auto& pair) {
    return !pair.first.empty() && pair.first.size() <= kMetadataNameBytesMax &&
           pair.second.size() <= kMetadataValueBytesMax;
  });
  if (pairs.size() > kMetadataPairsMax || !sizes ||
      std::adjacent_find(pairs.begin(), pairs.end(), same) != pairs.end())
    return refused();
  out = std::move(pairs);
  return ok_status();
}

// Made one before they are looked at: "root" in no spelling gets in (advisories E1 to E3).
Status read_policies(CallContext& ctx, std::string_view& joined) {
  std::vector<std::string> policies;
  if (!given(ctx, "policies"))
    return ok_status();
  if (mutant(Mutant::kEntityPoliciesRaw)) {
    COFFER_ASSIGN(const auto names, ctx.list_field("policies"));
    if (std::find(names.begin(), names.end(), kRootPolicyName) != names.end())
      return Status(Code::kInvalid, "policies cannot contain root");
    policies.assign(names.begin(), names.end());
  } else {
    COFFER_ASSIGN(const auto names, ctx.list_field("policies"));
    for (const std::string_view name : names)
      if (is_root_spelling(name))
        return Status(Code::kInvalid, "policies cannot contain root");
    COFFER_TRY(read_policy_list(ctx, "policies", policies));
  }
  std::vector<std::string_view> views;
  for (const std::string& policy : policies)
    views.push_back(ctx.arena.copy(policy));
  joined = join_policies(ctx.arena, std::move(views));
  return ok_status();
}

bool is_root_spelling(std::string_view name) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!name.empty() && space(name.front()))
    name.remove_prefix(1);
  while (!name.empty() && space(name.back()))
    name.remove_suffix(1);
  return std::ranges::equal(name, kRootPolicyName, [](char a, char b) { return (a | 0x20) == b; });
}

Result<std::string_view> read_name(HandlerContext& ctx, std::string_view field) {
  COFFER_ASSIGN(const std::string_view name, ctx.string_field(field, ""));
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control || name.size() > kIdentityNameBytesMax)
    return Status(Code::kInvalid, "field \"" + std::string(field) + "\" must be at most " +
                                      std::to_string(kIdentityNameBytesMax) + " bytes without control characters");
  return name;
}

Result<std::vector<std::string_view>> read_ids(HandlerContext& ctx, std::string_view field) {
  COFFER_ASSIGN(auto ids, ctx.list_field(field));
  if (ids.size() > kIdsMax)
    return Status(Code::kInvalid,
                  "field \"" + std::string(field) + "\" names more than " + std::to_string(kIdsMax) + " ids");
  return ids;
}

Result<std::string_view> make_id(CallContext& ctx) {
  COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
  return ctx.arena.copy(id);
}

Result<std::string_view> make_name(CallContext& ctx, std::string_view kind) {
  COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
  return ctx.arena.copy(std::string(kind) + "_" + id.substr(0, 8));
}

Status list_ids(CallContext& ctx, std::string_view folder, Info info) {
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto at, page_of(ctx));
  COFFER_ASSIGN(const ListPage page, store.list(folder, at.first, at.second));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  json::ObjectBuilder infos(ctx.arena, page.names.size());
  for (const std::string_view id : page.names) {
    COFFER_ASSIGN(const json::Value value, info(ctx, store, id));
    infos.add(id, value);
  }
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("key_info", infos.build())
                          .add("keys", text_list(ctx.arena, page.names))
                          .build();
  warn_of_more(ctx, page.more);
  return ok_status();
}

Status list_names(CallContext& ctx, std::string_view folder, NameOf name) {
  IdentityStore store = store_of(ctx);
  COFFER_ASSIGN(const auto at, page_of(ctx));
  COFFER_ASSIGN(const ListPage page, store.list(folder, identity_name_key(at.first), at.second));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  std::vector<std::string_view> names;
  for (const std::string_view key : page.names) {
    COFFER_ASSIGN(const auto id, ctx.storage.get(std::string(folder).append(key)));
    COFFER_ASSIGN(const std::string_view one, name(store, id.value_or("")));
    if (!one.empty())
      names.push_back(one);
  }
  ctx.response.data = keys_answer(ctx.arena, names);
  warn_of_more(ctx, page.more);
  return ok_status();
}

std::vector<Field> list_fields() {
  return {{"after", FieldType::kString, "Only what stands after this one."},
          {"limit", FieldType::kInt, "At most so many."}};
}

json::Value alias_answer(CallContext& ctx, const AliasRecord& alias, std::string_view owner) {
  json::ObjectBuilder value(ctx.arena, 16);
  value.add("canonical_id", owner)
      .add("creation_time", format_time(alias.created))
      .add("custom_metadata", pairs_value(ctx.arena, alias.custom_metadata))
      .add("id", alias.id)
      .add("last_update_time", format_time(alias.updated))
      .add("local", alias.local)
      .add("merged_from_canonical_ids", ids_value(ctx.arena, alias.merged_from))
      .add("metadata", pairs_value(ctx.arena, alias.metadata))
      .add("mount_accessor", alias.mount_accessor);
  add_mount(ctx, value, alias.mount_accessor);
  return value.add("name", alias.name).add("namespace_id", namespace_name(ctx)).build();
}

json::Value alias_info(CallContext& ctx, const AliasRecord& alias, std::string_view owner) {
  json::ObjectBuilder value(ctx.arena, 8);
  value.add("canonical_id", owner)
      .add("custom_metadata", pairs_value(ctx.arena, alias.custom_metadata))
      .add("local", alias.local)
      .add("metadata", pairs_value(ctx.arena, alias.metadata))
      .add("mount_accessor", alias.mount_accessor);
  add_mount(ctx, value, alias.mount_accessor);
  return value.add("name", alias.name).build();
}

}  // namespace identity

namespace {

class IdentityEngine final : public Engine {
 public:
  IdentityEngine() : table_(specs()) {}
  std::string_view type() const override { return "identity"; }
  const PathTable& paths(const MountInfo&) const override { return table_; }

 private:
  static std::vector<PathSpec> specs() {
    std::vector<PathSpec> all;
    for (std::vector<PathSpec> (*part)() :
         {identity::entity_specs, identity::merge_specs, identity::alias_specs, identity::group_specs,
          identity::group_alias_specs, identity::lookup_specs}) {
      std::vector<PathSpec> some = part();
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  }

  PathTable table_;
};

}  // namespace

std::unique_ptr<Engine> make_identity_engine() { return std::make_unique<IdentityEngine>(); }

}  // namespace coffer::core
