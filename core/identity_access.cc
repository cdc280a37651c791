#include "core/identity_access.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/mutant.h"
#include "core/identity_store.h"
#include "core/mounts.h"

namespace coffer::core {
namespace {

constexpr unsigned kNewNameTriesMax = 8;
constexpr std::size_t kLoginGroupsMax = 1000;

Storage identity_storage(TxnImpl& txn, NamespaceId ns) {
  return Storage(txn, ns, kIdentityMountId, store::KeyClass::kShared);
}

std::string_view take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return {};
  text.remove_prefix(prefix.size());
  return text;
}

std::optional<std::string> named(const TextPairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name)
      return std::string(value);
  return std::nullopt;
}

// "id", "name" or "metadata.<key>" of an alias.
std::optional<std::string> alias_value(const AliasRecord& alias, std::string_view what) {
  if (what == "id")
    return std::string(alias.id);
  if (what == "name")
    return std::string(alias.name);
  if (!take_prefix(what, "metadata.").empty())
    return named(alias.metadata, what);
  if (!take_prefix(what, "custom_metadata.").empty())
    return named(alias.custom_metadata, what);
  return std::nullopt;
}

std::optional<std::string> entity_value(const EntityRecord& entity, std::string_view what) {
  if (what == "id")
    return std::string(entity.id);
  if (what == "name")
    return std::string(entity.name);
  if (!take_prefix(what, "metadata.").empty())
    return named(entity.metadata, what);
  if (take_prefix(what, "aliases.").empty())
    return std::nullopt;
  const std::size_t dot = what.find('.');
  for (const AliasRecord& alias : entity.aliases)
    if (dot != std::string_view::npos &&
        (alias.mount_accessor == what.substr(0, dot) || mutant(Mutant::kAliasOfAnyMount)))
      return alias_value(alias, what.substr(dot + 1));
  return std::nullopt;
}

std::optional<std::string> group_value(const std::vector<GroupRecord>& groups, std::string_view what) {
  const bool by_id = what.starts_with("ids.");
  if (take_prefix(what, by_id ? "ids." : "names.").empty())
    return std::nullopt;
  for (const GroupRecord& group : groups) {
    std::string_view rest = what;
    const std::string_view key = by_id ? group.id : group.name;
    if (take_prefix(rest, key).empty() || take_prefix(rest, ".").empty())
      continue;
    if (rest == "id")
      return std::string(group.id);
    if (rest == "name")
      return std::string(group.name);
    if (!take_prefix(rest, "metadata.").empty())
      return named(group.metadata, rest);
  }
  return std::nullopt;
}

TextPairs pairs_of(json::Arena& arena, const json::Value& object) {
  TextPairs pairs;
  if (object.is_object())
    for (const json::Member& member : object.members())
      if (member.value.is_string())
        pairs.emplace_back(arena.copy(member.key()), arena.copy(member.value.as_string()));
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

Result<std::string_view> new_id(CallContext& ctx) {
  COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
  return ctx.arena.copy(id);
}

// "entity_1a2b3c4d", unlike any other.
Result<std::string_view> new_name(CallContext& ctx, IdentityStore& store) {
  for (unsigned i = 0; i < kNewNameTriesMax; ++i) {
    COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
    const std::string name = "entity_" + id.substr(0, 8);
    COFFER_ASSIGN(const auto taken, store.entity_by_name(name));
    if (!taken)
      return ctx.arena.copy(name);
  }
  return Status(Code::kInternal, "no name for an entity was free");
}

Result<EntityRecord> make_entity(CallContext& ctx, IdentityStore& store, AliasRecord alias) {
  EntityRecord entity;
  COFFER_ASSIGN(entity.id, new_id(ctx));
  COFFER_ASSIGN(entity.name, new_name(ctx, store));
  COFFER_ASSIGN(alias.id, new_id(ctx));
  entity.created = entity.updated = alias.created = alias.updated = ctx.now;
  entity.aliases.push_back(std::move(alias));
  COFFER_TRY(store.put(nullptr, entity));
  return entity;
}

// Exactly the groups that the mount names now, of those that it may put people into (advisory E5).
Result<std::vector<std::string_view>> groups_now(IdentityStore& store, MountId mount, const EntityRecord& entity,
                                                 const std::vector<std::string_view>& names) {
  std::vector<std::string_view> ids;
  for (const std::string_view id : entity.groups) {
    COFFER_ASSIGN(const auto group, store.group(id));
    if (!group || !group->external || !group->alias || group->alias->mount != mount ||
        mutant(Mutant::kGroupMembershipKept))
      ids.push_back(id);
  }
  for (const std::string_view name : names) {
    COFFER_ASSIGN(const auto group, store.group_by_factors(mount, name));
    if (group && group->external)
      ids.push_back(group->id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace

Result<std::optional<Identity>> find_identity(TxnImpl& txn, json::Arena& arena, NamespaceId ns,
                                              std::string_view entity) {
  Storage storage = identity_storage(txn, ns);
  IdentityStore store(storage, arena);
  COFFER_ASSIGN(auto record, store.entity_or_merged(entity));
  if (!record)
    return std::optional<Identity>();
  Identity identity{*std::move(record), {}, {}};
  identity.policies = identity.entity.policies;
  if (!identity.entity.groups.empty()) {
    COFFER_ASSIGN(identity.groups, store.groups_of(identity.entity));
    std::vector<std::string_view> names = split_policies(identity.entity.policies);
    for (const GroupRecord& group : identity.groups)
      for (const std::string_view name : split_policies(group.policies))
        names.push_back(name);
    std::erase(names, kRootPolicyName);
    identity.policies = join_policies(arena, std::move(names));
  } else if (has_policy(identity.policies, kRootPolicyName)) {
    identity.policies = {};  // no door lets it in; if one did, it opens nothing
  }
  return std::optional<Identity>(std::move(identity));
}

Result<std::optional<Identity>> find_identity(TxnImpl& txn, json::Arena& arena, const TokenRecord& token) {
  COFFER_ASSIGN(auto identity, find_identity(txn, arena, token.entity_ns, token.entity));
  if (identity && token.entity_ns != token.ns)
    identity->policies = {};
  return identity;
}

std::optional<std::string> template_value(const Identity& identity, std::string_view expression) {
  if (!take_prefix(expression, "identity.").empty()) {
    if (!take_prefix(expression, "entity.").empty())
      return entity_value(identity.entity, expression);
    if (!take_prefix(expression, "groups.").empty())
      return group_value(identity.groups, expression);
  }
  return std::nullopt;
}

std::string_view with_policies(json::Arena& arena, std::string_view token_policies,
                               std::string_view identity_policies) {
  if (identity_policies.empty())
    return token_policies;
  std::vector<std::string_view> names = split_policies(token_policies);
  for (const std::string_view name : split_policies(identity_policies))
    names.push_back(name);
  return join_policies(arena, std::move(names));
}

Result<const Acl*> acl_of_token(TxnImpl& txn, const Published& published, json::Arena& arena, const TokenRecord& record,
                                std::shared_ptr<const Acl>& owner, WallTime now) {
  if (record.entity.empty())
    return &published.policies_of(record.ns).acl(record.policies, owner, now);
  COFFER_ASSIGN(const auto identity, find_identity(txn, arena, record));
  if (!identity || identity->entity.disabled)
    return static_cast<const Acl*>(nullptr);
  const std::string_view policies = with_policies(arena, record.policies, identity->policies);
  return &published.policies_of(record.ns)
              .acl(policies, owner, now, [&](std::string_view e) { return template_value(*identity, e); });
}

Result<std::string_view> identify(CallContext& ctx, const MountInfo& mount, std::string_view alias_name,
                                  const json::Value& metadata, const std::vector<std::string_view>& groups) {
  if (alias_name.size() > kIdentityNameBytesMax || groups.size() > kLoginGroupsMax)
    return Status(Code::kInvalid, "the login names too much: a longer name or more groups than an identity may have");
  Storage storage = identity_storage(ctx.txn, mount.namespace_id);
  IdentityStore store(storage, ctx.arena);
  COFFER_ASSIGN(auto known, store.entity_by_factors(mount.id, alias_name));
  TextPairs told = pairs_of(ctx.arena, metadata);
  if (!known) {
    AliasRecord alias;
    alias.name = ctx.arena.copy(alias_name);
    alias.mount_accessor = ctx.arena.copy(mount.accessor);
    alias.mount = mount.id;
    alias.local = mount.local;
    alias.metadata = told;
    COFFER_ASSIGN(known, make_entity(ctx, store, std::move(alias)));
  }
  if (known->disabled)
    return Status(Code::kDenied, "permission denied");
  EntityRecord after = *known;
  COFFER_ASSIGN(after.groups, groups_now(store, mount.id, *known, groups));
  bool changed = after.groups != known->groups;
  for (AliasRecord& alias : after.aliases)
    if ((alias.mount == mount.id || mutant(Mutant::kAliasMetadataShared)) && alias.metadata != told) {
      alias.metadata = told;
      alias.updated = ctx.now;
      changed = true;
    }
  if (changed)
    COFFER_TRY(store.put(&*known, after));
  return ctx.arena.copy(after.id);
}

}  // namespace coffer::core
