// Roles and secret ids as they stand in the mount's storage (docs/formats/approle_record.md). All functions work inside
// the request's transaction; texts that they return live in its arena. A secret id's text is never stored: its record
// stands under a hash that is keyed by the role.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/token_params.h"

namespace coffer::engines::approle {

struct Role {
  std::string name;     // lower case
  std::string uid;      // random; what belongs to the role stands below it
  std::string role_id;
  std::string key;      // of the hash of its secret ids
  bool bind_secret_id = true;
  bool local_secret_ids = false;
  bool older_policies = false;  // set under their names of before token_…, which are shown then too
  bool older_period = false;
  Nanos secret_id_ttl{0};             // 0: for ever
  std::int64_t secret_id_num_uses = 0;  // 0: not limited
  std::vector<std::string> secret_id_bound_cidrs;
  core::TokenParams params;
};

struct SecretId {
  std::string_view hash;      // what it stands under
  std::string_view accessor;
  WallTime created{};
  WallTime updated{};
  std::optional<WallTime> expires;
  Nanos ttl{0};
  std::int64_t num_uses = 0;  // left; 0: not limited
  std::string_view metadata;  // JSON object of strings, or empty
  std::vector<std::string> cidrs;
  std::vector<std::string> token_cidrs;

  bool expired(WallTime now) const noexcept { return expires && *expires <= now; }
};

// The name that the path captures, as it is stored (advisory E8).
std::string role_name(const core::HandlerContext& ctx);

Result<std::optional<Role>> find_role(core::HandlerContext& ctx, std::string_view name);
// The role that the path names. kNotFound without a text when there is none.
Result<Role> role_of_path(core::HandlerContext& ctx);
Result<std::optional<Role>> find_role_by_id(core::HandlerContext& ctx, std::string_view role_id);
// With a new uid and key, and nothing else set.
Result<Role> new_role(core::HandlerContext& ctx, std::string name);
// Writes the role. `old_role_id`: what it was found by before, or empty. kInvalid when another role has the id.
Status put_role(core::HandlerContext& ctx, const Role& role, std::string_view old_role_id);
// The role, and of its secret ids what fits into one entry; the rest is out of reach and goes with tidying.
Status erase_role(core::HandlerContext& ctx, const Role& role);

// Also one whose time is over.
Result<std::optional<SecretId>> find_secret_id(core::HandlerContext& ctx, const Role& role, std::string_view text);
Result<std::optional<SecretId>> find_by_accessor(core::HandlerContext& ctx, const Role& role,
                                                 std::string_view accessor);
// Makes the record of `text` and its accessor. kInvalid when the role has this secret id already.
Status add_secret_id(core::HandlerContext& ctx, const Role& role, std::string_view text, SecretId& id);
Status put_secret_id(core::HandlerContext& ctx, const Role& role, const SecretId& id);
Status erase_secret_id(core::HandlerContext& ctx, std::string_view uid, const SecretId& id);
Result<std::vector<std::string_view>> list_accessors(core::HandlerContext& ctx, const Role& role);

// Removes at most `most` secret ids whose time is over.
Status erase_expired(core::HandlerContext& ctx, std::size_t most);
// Removes at most `most` secret ids of roles that are no more. True when some may be left.
Result<bool> erase_orphans(core::HandlerContext& ctx, std::size_t most);

}  // namespace coffer::engines::approle
