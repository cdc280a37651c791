#include "core/identity_store.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/mutant.h"
#include "core/layout.h"

namespace coffer::core {
namespace {

constexpr std::string_view kEntity = "entity/";
constexpr std::string_view kEntityName = "entity-name/";
constexpr std::string_view kAlias = "alias/";
constexpr std::string_view kAliasName = "alias-name/";
constexpr std::string_view kMerged = "merged/";
constexpr std::string_view kGroup = "group/";
constexpr std::string_view kGroupName = "group-name/";
constexpr std::string_view kGroupAlias = "group-alias/";
constexpr std::string_view kGroupAliasName = "group-alias-name/";
constexpr std::string_view kMember = "member/";
constexpr std::size_t kForgottenAtOnceMax = 64;  // aliases, by one step of a job

std::string joined(std::string_view a, std::string_view b) {
  std::string out;
  out.reserve(a.size() + b.size());
  return out.append(a).append(b);
}

std::string mount_folder(MountId mount) {
  std::string text;
  layout::append_hex(text, mount.get(), 8);
  text.push_back('/');
  return text;
}

std::string factors(MountId mount, std::string_view name) { return mount_folder(mount) + identity_name_key(name); }

std::string member_folder(std::string_view group, bool groups) {
  return joined(kMember, group).append(groups ? "/g/" : "/e/");
}

bool holds(const std::vector<std::string_view>& sorted, std::string_view text) {
  return std::binary_search(sorted.begin(), sorted.end(), text);
}

void insert_sorted(std::vector<std::string_view>& sorted, std::string_view text) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), text);
  if (at == sorted.end() || *at != text)
    sorted.insert(at, text);
}

void erase_sorted(std::vector<std::string_view>& sorted, std::string_view text) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), text);
  if (at != sorted.end() && *at == text)
    sorted.erase(at);
}

// What is only in `a`.
std::vector<std::string_view> without(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  std::vector<std::string_view> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

void make_set(std::vector<std::string_view>& texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

const AliasRecord* find_alias(const std::vector<AliasRecord>& aliases, std::string_view id) {
  for (const AliasRecord& alias : aliases)
    if (alias.id == id)
      return &alias;
  return nullptr;
}

Status too_many_members() {
  return Status(Code::kTooLarge,
                "more than " + std::to_string(kMembersChangedMax) + " members of a group would change at once");
}

}  // namespace

Result<std::string_view> IdentityStore::referred(std::string_view prefix, std::string_view name) {
  COFFER_ASSIGN(const auto id, storage_.get(joined(prefix, name)));
  return id ? *id : std::string_view();
}

Result<std::optional<EntityRecord>> IdentityStore::entity(std::string_view id) {
  if (!is_uuid(id))
    return std::optional<EntityRecord>();
  COFFER_ASSIGN(const auto plaintext, storage_.get(joined(kEntity, id)));
  if (!plaintext)
    return std::optional<EntityRecord>();
  COFFER_ASSIGN(EntityRecord record, decode_entity(*plaintext));
  return std::optional<EntityRecord>(std::move(record));
}

Result<std::optional<EntityRecord>> IdentityStore::entity_or_merged(std::string_view id) {
  COFFER_ASSIGN(auto found, entity(id));
  if (found || !is_uuid(id))
    return found;
  COFFER_ASSIGN(const std::string_view into, referred(kMerged, id));
  return entity(into);
}

Result<std::optional<EntityRecord>> IdentityStore::entity_by_name(std::string_view name) {
  COFFER_ASSIGN(const std::string_view id, referred(kEntityName, identity_name_key(name)));
  return entity(id);
}

Result<std::optional<EntityRecord>> IdentityStore::entity_by_alias(std::string_view alias_id) {
  COFFER_ASSIGN(const std::string_view id, is_uuid(alias_id) ? referred(kAlias, alias_id) : std::string_view());
  return entity(id);
}

Result<std::optional<EntityRecord>> IdentityStore::entity_by_factors(MountId mount, std::string_view alias_name) {
  COFFER_ASSIGN(const std::string_view id, referred(kAliasName, factors(mount, alias_name)));
  return entity(id);
}

Result<std::optional<GroupRecord>> IdentityStore::group(std::string_view id) {
  if (!is_uuid(id))
    return std::optional<GroupRecord>();
  COFFER_ASSIGN(const auto plaintext, storage_.get(joined(kGroup, id)));
  if (!plaintext)
    return std::optional<GroupRecord>();
  COFFER_ASSIGN(GroupRecord record, decode_group(*plaintext));
  return std::optional<GroupRecord>(std::move(record));
}

Result<std::optional<GroupRecord>> IdentityStore::group_by_name(std::string_view name) {
  COFFER_ASSIGN(const std::string_view id, referred(kGroupName, identity_name_key(name)));
  return group(id);
}

Result<std::optional<GroupRecord>> IdentityStore::group_by_alias(std::string_view alias_id) {
  COFFER_ASSIGN(const std::string_view id, is_uuid(alias_id) ? referred(kGroupAlias, alias_id) : std::string_view());
  return group(id);
}

Result<std::optional<GroupRecord>> IdentityStore::group_by_factors(MountId mount, std::string_view alias_name) {
  COFFER_ASSIGN(const std::string_view id, referred(kGroupAliasName, factors(mount, alias_name)));
  return group(id);
}

// A name belongs to one owner; the same owner may claim it again.
Status IdentityStore::claim(std::string_view prefix, std::string_view name, std::string_view owner,
                            std::string_view error) {
  COFFER_ASSIGN(const std::string_view taken, referred(prefix, name));
  if (taken == owner)
    return ok_status();
  if (!taken.empty())
    return Status(Code::kInvalid, std::string(error));
  return storage_.put(joined(prefix, name), owner);
}

// Old names go first, so that an entity may give one to another alias of its own.
Status IdentityStore::update_aliases(const EntityRecord* before, const EntityRecord& after) {
  if (after.aliases.size() > kAliasesOfEntityMax)
    return Status(Code::kInvalid, "the entity has more than " + std::to_string(kAliasesOfEntityMax) + " aliases");
  for (const AliasRecord& alias : after.aliases)
    if (alias_of(after, alias.mount) != &alias)
      return Status(Code::kInvalid, "Alias already exists for requested entity and mount accessor");
  if (before != nullptr)
    for (const AliasRecord& old : before->aliases) {
      const AliasRecord* kept = find_alias(after.aliases, old.id);
      const std::string name = factors(old.mount, old.name);
      if (kept == nullptr)
        COFFER_TRY(storage_.erase(joined(kAlias, old.id)));
      if (kept == nullptr || factors(kept->mount, kept->name) != name)
        COFFER_TRY(storage_.erase(joined(kAliasName, name)));
    }
  for (const AliasRecord& alias : after.aliases) {
    const AliasRecord* old = before == nullptr ? nullptr : find_alias(before->aliases, alias.id);
    if (old == nullptr)
      COFFER_TRY(storage_.put(joined(kAlias, alias.id), after.id));
    const std::string name = factors(alias.mount, alias.name);
    if (old == nullptr || factors(old->mount, old->name) != name)
      COFFER_TRY(claim(kAliasName, name, after.id, "alias with combination of mount accessor and name already exists"));
  }
  return ok_status();
}

Status IdentityStore::update_groups(const EntityRecord* before, const EntityRecord& after) {
  if (after.groups.size() > kGroupsOfEntityMax)
    return Status(Code::kInvalid,
                  "the entity is a member of more than " + std::to_string(kGroupsOfEntityMax) + " groups");
  static const std::vector<std::string_view> kNone;
  const std::vector<std::string_view>& old = before == nullptr ? kNone : before->groups;
  for (const std::string_view group : without(old, after.groups))
    COFFER_TRY(storage_.erase(member_folder(group, false).append(after.id)));
  for (const std::string_view group : without(after.groups, old))
    COFFER_TRY(storage_.put(member_folder(group, false).append(after.id), {}));
  return ok_status();
}

Status IdentityStore::put(const EntityRecord* before, const EntityRecord& after) {
  const std::string name = identity_name_key(after.name);
  if (before != nullptr && identity_name_key(before->name) != name)
    COFFER_TRY(storage_.erase(joined(kEntityName, identity_name_key(before->name))));
  if (before == nullptr || identity_name_key(before->name) != name)
    COFFER_TRY(claim(kEntityName, name, after.id, "entity name is already in use"));
  COFFER_TRY(update_aliases(before, after));
  COFFER_TRY(update_groups(before, after));
  std::string record;
  encode(after, record);
  return storage_.put(joined(kEntity, after.id), record);
}

Status IdentityStore::erase(const EntityRecord& entity) {
  for (const std::string_view group : entity.groups)
    if (!mutant(Mutant::kMembershipLeft))
      COFFER_TRY(storage_.erase(member_folder(group, false).append(entity.id)));
  for (const AliasRecord& alias : entity.aliases) {
    COFFER_TRY(storage_.erase(joined(kAlias, alias.id)));
    COFFER_TRY(storage_.erase(joined(kAliasName, factors(alias.mount, alias.name))));
  }
  for (const std::string_view merged : entity.merged)
    COFFER_TRY(storage_.erase(joined(kMerged, merged)));
  COFFER_TRY(storage_.erase(joined(kEntityName, identity_name_key(entity.name))));
  return storage_.erase(joined(kEntity, entity.id));
}

Status IdentityStore::put(const GroupRecord* before, const GroupRecord& after) {
  const std::string name = identity_name_key(after.name);
  if (before != nullptr && identity_name_key(before->name) != name)
    COFFER_TRY(storage_.erase(joined(kGroupName, identity_name_key(before->name))));
  if (before == nullptr || identity_name_key(before->name) != name)
    COFFER_TRY(claim(kGroupName, name, after.id, "group name is already in use"));
  if (before != nullptr && before->alias) {
    const AliasRecord& old = *before->alias;
    COFFER_TRY(storage_.erase(joined(kGroupAlias, old.id)));
    COFFER_TRY(storage_.erase(joined(kGroupAliasName, factors(old.mount, old.name))));
  }
  if (after.alias) {
    COFFER_TRY(storage_.put(joined(kGroupAlias, after.alias->id), after.id));
    COFFER_TRY(claim(kGroupAliasName, factors(after.alias->mount, after.alias->name), after.id,
                     "combination of mount and group alias name is already in use"));
  }
  std::string record;
  encode(after, record);
  return storage_.put(joined(kGroup, after.id), record);
}

Status IdentityStore::erase(const GroupRecord& group) {
  COFFER_TRY(set_member_entities(group.id, {}));
  COFFER_TRY(set_member_groups(group.id, {}));
  for (const std::string_view parent : group.parents)
    COFFER_TRY(storage_.erase(member_folder(parent, true).append(group.id)));
  if (group.alias) {
    COFFER_TRY(storage_.erase(joined(kGroupAlias, group.alias->id)));
    COFFER_TRY(storage_.erase(joined(kGroupAliasName, factors(group.alias->mount, group.alias->name))));
  }
  COFFER_TRY(storage_.erase(joined(kGroupName, identity_name_key(group.name))));
  return storage_.erase(joined(kGroup, group.id));
}

Status IdentityStore::join(std::string_view entity_id, std::string_view group_id) {
  COFFER_ASSIGN(const auto before, entity(entity_id));
  if (!before)
    return Status(Code::kInvalid, "invalid entity ID");
  if (holds(before->groups, group_id))
    return ok_status();
  EntityRecord after = *before;
  insert_sorted(after.groups, group_id);
  return put(&*before, after);
}

Status IdentityStore::leave(std::string_view entity_id, std::string_view group_id) {
  COFFER_ASSIGN(const auto before, entity(entity_id));
  if (!before || !holds(before->groups, group_id))
    return ok_status();
  EntityRecord after = *before;
  erase_sorted(after.groups, group_id);
  return put(&*before, after);
}

Result<std::vector<std::string_view>> IdentityStore::member_entities(std::string_view group_id) {
  COFFER_ASSIGN(ListPage page, storage_.list(member_folder(group_id, false)));
  std::sort(page.names.begin(), page.names.end());
  return std::move(page.names);
}

Result<std::vector<std::string_view>> IdentityStore::member_groups(std::string_view group_id) {
  COFFER_ASSIGN(ListPage page, storage_.list(member_folder(group_id, true)));
  std::sort(page.names.begin(), page.names.end());
  return std::move(page.names);
}

Status IdentityStore::set_member_entities(std::string_view group_id, std::vector<std::string_view> ids) {
  make_set(ids);
  COFFER_ASSIGN(const std::vector<std::string_view> now, member_entities(group_id));
  const std::vector<std::string_view> fewer = without(now, ids);
  const std::vector<std::string_view> more = without(ids, now);
  if (fewer.size() + more.size() > kMembersChangedMax)
    return too_many_members();
  for (const std::string_view id : fewer)
    COFFER_TRY(leave(id, group_id));
  for (const std::string_view id : more)
    COFFER_TRY(join(id, group_id));
  return ok_status();
}

// Whether `sought` is `group_id` or stands above it.
Result<bool> IdentityStore::above(std::string_view group_id, std::string_view sought) {
  std::vector<std::string_view> seen{group_id};
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i] == sought)
      return true;
    COFFER_ASSIGN(const auto one, group(seen[i]));
    if (!one)
      continue;
    for (const std::string_view parent : one->parents)
      if (std::find(seen.begin(), seen.end(), parent) == seen.end())
        seen.push_back(parent);
    if (seen.size() > kGroupsInheritedMax)
      return Status(Code::kInvalid, "groups are nested too deeply");
  }
  return false;
}

Status IdentityStore::set_member_groups(std::string_view group_id, std::vector<std::string_view> ids) {
  make_set(ids);
  COFFER_ASSIGN(const std::vector<std::string_view> now, member_groups(group_id));
  const std::vector<std::string_view> fewer = without(now, ids);
  const std::vector<std::string_view> more = without(ids, now);
  if (fewer.size() + more.size() > kMembersChangedMax)
    return too_many_members();
  for (const std::string_view id : fewer) {
    COFFER_TRY(storage_.erase(member_folder(group_id, true).append(id)));
    COFFER_ASSIGN(const auto before, group(id));
    if (!before)
      continue;
    GroupRecord after = *before;
    erase_sorted(after.parents, group_id);
    COFFER_TRY(put(&*before, after));
  }
  for (const std::string_view id : more) {
    COFFER_ASSIGN(const auto before, group(id));
    if (!before)
      return Status(Code::kInvalid, "invalid member group ID");
    if (id == group_id)
      return Status(Code::kInvalid, "member group ID \"" + std::string(id) + "\" is same as the ID of the group");
    COFFER_ASSIGN(const bool circle, above(group_id, id));
    if (circle)
      return Status(Code::kInvalid,
                    "cyclic relationship detected for member group ID \"" + std::string(id) + "\"");
    GroupRecord after = *before;
    insert_sorted(after.parents, group_id);
    COFFER_TRY(put(&*before, after));
    COFFER_TRY(storage_.put(member_folder(group_id, true).append(id), {}));
  }
  return ok_status();
}

Result<std::vector<GroupRecord>> IdentityStore::groups_of(const EntityRecord& entity) {
  std::vector<GroupRecord> found;
  std::vector<std::string_view> ids = entity.groups;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    COFFER_ASSIGN(auto one, group(ids[i]));
    if (!one)
      continue;
    for (const std::string_view parent : one->parents)
      if (std::find(ids.begin(), ids.end(), parent) == ids.end())
        ids.push_back(parent);
    // Leaving some out could lift a deny.
    if (ids.size() > kGroupsInheritedMax)
      return Status(Code::kDenied, "permission denied");
    found.push_back(*std::move(one));
  }
  return found;
}

Status IdentityStore::merge(EntityRecord& into, const EntityRecord& from, std::span<const std::string_view> keep,
                            WallTime now) {
  const EntityRecord before = into;
  for (AliasRecord alias : from.aliases) {
    if (const AliasRecord* other = alias_of(into, alias.mount)) {
      if (std::find(keep.begin(), keep.end(), alias.id) == keep.end())
        continue;
      into.aliases.erase(into.aliases.begin() + (other - into.aliases.data()));
    }
    alias.merged_from.push_back(from.id);
    into.aliases.push_back(std::move(alias));
  }
  into.merged.insert(into.merged.end(), from.merged.begin(), from.merged.end());
  into.merged.push_back(from.id);
  for (const std::string_view group : from.groups)
    insert_sorted(into.groups, group);
  into.updated = now;
  COFFER_TRY(erase(from));
  for (const std::string_view id : into.merged)
    COFFER_TRY(storage_.put(joined(kMerged, id), into.id));
  return put(&before, into);
}

Result<bool> IdentityStore::forget_mount(MountId mount) {
  const std::string people = joined(kAliasName, mount_folder(mount));
  COFFER_ASSIGN(const ListPage names, storage_.list(people, {}, kForgottenAtOnceMax));
  for (const std::string_view name : names.names) {
    COFFER_ASSIGN(const std::string_view id, referred(people, name));
    COFFER_ASSIGN(const auto before, entity(id));
    COFFER_TRY(storage_.erase(joined(people, name)));
    if (!before)
      continue;
    EntityRecord after = *before;
    std::erase_if(after.aliases, [&](const AliasRecord& alias) { return alias.mount == mount; });
    COFFER_TRY(put(&*before, after));
  }
  const std::string groups = joined(kGroupAliasName, mount_folder(mount));
  COFFER_ASSIGN(const ListPage group_names, storage_.list(groups, {}, kForgottenAtOnceMax));
  for (const std::string_view name : group_names.names) {
    COFFER_ASSIGN(const std::string_view id, referred(groups, name));
    COFFER_ASSIGN(const auto before, group(id));
    COFFER_TRY(storage_.erase(joined(groups, name)));
    if (!before)
      continue;
    GroupRecord after = *before;
    after.alias.reset();
    COFFER_TRY(put(&*before, after));
  }
  return !names.more && !group_names.more;
}

}  // namespace coffer::core
