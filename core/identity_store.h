// Entities and groups in the state, in one transaction: a record and everything by which it is found are written and
// erased together, so that what refers to something always finds it (advisory E7). Names below the mount:
//
//   entity/<id>                        record          group/<id>                         record
//   entity-name/<name>                 id              group-name/<name>                  id
//   alias/<id>                         entity's id     group-alias/<id>                   group's id
//   alias-name/<mount>/<name>          entity's id     group-alias-name/<mount>/<name>    group's id
//   merged/<id of one that is gone>    entity's id     member/<group>/e/<entity>, member/<group>/g/<group>
//
// An entity names the groups that it is a member of, and a group those above it; so what a request needs is a few
// records, however many members a group has.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "core/engine.h"
#include "core/identity_record.h"

namespace coffer::core {

inline constexpr std::size_t kIdentityNameBytesMax = 512;
inline constexpr std::size_t kGroupsOfEntityMax = 1000;    // direct ones
inline constexpr std::size_t kGroupsInheritedMax = 4096;   // all of one entity
inline constexpr std::size_t kMembersChangedMax = 1000;    // by one request
inline constexpr std::size_t kAliasesOfEntityMax = 256;

class IdentityStore {
 public:
  // Both outlive it. `storage` is that of the identity mount.
  IdentityStore(Storage& storage, json::Arena& arena) : storage_(storage), arena_(arena) {}

  Result<std::optional<EntityRecord>> entity(std::string_view id);
  // The same, or the one that it was merged into.
  Result<std::optional<EntityRecord>> entity_or_merged(std::string_view id);
  Result<std::optional<EntityRecord>> entity_by_name(std::string_view name);
  Result<std::optional<EntityRecord>> entity_by_alias(std::string_view alias_id);
  Result<std::optional<EntityRecord>> entity_by_factors(MountId mount, std::string_view alias_name);
  Result<std::optional<GroupRecord>> group(std::string_view id);
  Result<std::optional<GroupRecord>> group_by_name(std::string_view name);
  Result<std::optional<GroupRecord>> group_by_alias(std::string_view alias_id);
  Result<std::optional<GroupRecord>> group_by_factors(MountId mount, std::string_view alias_name);

  // `before` is what is stored now; null: nothing is. Memberships and merged ids are kept in step too. kInvalid: a name
  // or an alias that somebody else has.
  Status put(const EntityRecord* before, const EntityRecord& after);
  Status put(const GroupRecord* before, const GroupRecord& after);
  // With every alias and membership. kTooLarge: a group with more members than one request may change.
  Status erase(const EntityRecord& entity);
  Status erase(const GroupRecord& group);

  // The same and one more, or one less, member. Nothing is written where nothing changes.
  Status join(std::string_view entity_id, std::string_view group_id);
  Status leave(std::string_view entity_id, std::string_view group_id);

  // Ids, sorted.
  Result<std::vector<std::string_view>> member_entities(std::string_view group_id);
  Result<std::vector<std::string_view>> member_groups(std::string_view group_id);
  // From now on exactly these. kInvalid: an id that is not known, or a group that would contain itself.
  Status set_member_entities(std::string_view group_id, std::vector<std::string_view> ids);
  Status set_member_groups(std::string_view group_id, std::vector<std::string_view> ids);

  // The groups of an entity: those that it is a member of, then those above them, each once.
  Result<std::vector<GroupRecord>> groups_of(const EntityRecord& entity);

  // Takes every alias and member of `from` over and erases it; its id leads to `into` from then on. Where both have an
  // alias of one mount, that of `from` goes unless it is among `keep`. `into` is what is stored afterwards.
  Status merge(EntityRecord& into, const EntityRecord& from, std::span<const std::string_view> keep, WallTime now);

  // Erases what a mount knew people and groups by, some at a time. True when nothing is left.
  Result<bool> forget_mount(MountId mount);

  Result<ListPage> list(std::string_view folder, std::string_view after, std::size_t limit) {
    return storage_.list(folder, after, limit);
  }

 private:
  Result<std::string_view> referred(std::string_view prefix, std::string_view name);
  Status claim(std::string_view prefix, std::string_view name, std::string_view owner, std::string_view error);
  Status update_aliases(const EntityRecord* before, const EntityRecord& after);
  Status update_groups(const EntityRecord* before, const EntityRecord& after);
  Result<bool> above(std::string_view group_id, std::string_view sought);

  Storage& storage_;
  json::Arena& arena_;
};

}  // namespace coffer::core
