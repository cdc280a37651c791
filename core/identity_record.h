// What is stored of people and machines: entities, the aliases by which mounts know them, and groups
// (docs/formats/identity.md). Pure data; one record an entity and one a group, with its aliases inside.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::core {

// Sorted by name.
using TextPairs = std::vector<std::pair<std::string_view, std::string_view>>;

// Views point into the record's plaintext or wherever the writer's text lives.
struct AliasRecord {
  std::string_view id;
  std::string_view name;            // as it was given; two spellings of one name are one alias
  std::string_view mount_accessor;
  MountId mount{};                  // whose alias it is: never used for another mount, unlike an accessor's text
  bool local = false;
  TextPairs metadata;               // what the mount said at a login
  TextPairs custom_metadata;        // what operators said
  std::vector<std::string_view> merged_from;
  WallTime created{};
  WallTime updated{};
};

struct EntityRecord {
  std::string_view id;
  std::string_view name;
  bool disabled = false;
  std::string_view policies;             // sorted, joined by kPolicySeparator
  std::vector<std::string_view> groups;  // that it is a member of itself, sorted
  TextPairs metadata;
  std::vector<AliasRecord> aliases;      // at most one a mount (advisory D7)
  std::vector<std::string_view> merged;  // ids that tokens may still hold
  WallTime created{};
  WallTime updated{};
};

struct GroupRecord {
  std::string_view id;
  std::string_view name;
  bool external = false;                  // its members are those whom a mount puts there at a login
  std::string_view policies;
  std::vector<std::string_view> parents;  // groups that it is a member of, sorted
  TextPairs metadata;
  std::optional<AliasRecord> alias;       // of an external group
  std::uint64_t changes = 1;
  WallTime created{};
  WallTime updated{};
};

void encode(const EntityRecord& record, std::string& out);
void encode(const GroupRecord& record, std::string& out);
// Views into `plaintext`. kDataLoss when it is no such record.
Result<EntityRecord> decode_entity(std::string_view plaintext);
Result<GroupRecord> decode_group(std::string_view plaintext);

// What a name is found by: letters of one case, and one path segment. Two names with the same key are one name.
std::string identity_name_key(std::string_view name);

// The alias of this mount, or null.
const AliasRecord* alias_of(const EntityRecord& entity, MountId mount);

}  // namespace coffer::core
