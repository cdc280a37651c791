// Token roles: what whoever may use a role may ask of a new token (docs/formats/token_role.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/path_table.h"
#include "core/token_params.h"

namespace coffer::core {

struct TokenRole {
  std::string name;
  std::vector<std::string> allowed_policies;
  std::vector<std::string> allowed_policies_glob;
  std::vector<std::string> disallowed_policies;
  std::vector<std::string> disallowed_policies_glob;
  std::vector<std::string> allowed_entity_aliases;  // lower case; '*' stands for anything
  std::string path_suffix;
  bool orphan = false;
  bool renewable = true;
  // Set under names of before token_…, which are shown then too.
  bool older_period = false;
  bool older_explicit_max = false;
  bool older_cidrs = false;
  TokenParams params;  // networks, explicit maximum, period, uses, type, whether without the default policy

  bool restricts() const { return !allowed_policies.empty() || !allowed_policies_glob.empty(); }
  bool allows(std::string_view policy) const;
  bool disallows(std::string_view policy) const;
  bool allows_alias(std::string_view alias) const;
};

// In the storage of the token mount. Nothing when there is none.
Result<std::optional<TokenRole>> find_token_role(Storage& storage, std::string_view name);

// roles, roles/:name
std::vector<PathSpec> token_role_specs();

}  // namespace coffer::core
