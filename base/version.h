// What this build is called. Clients switch features by the version that a server names, so it is Vault's level with
// our own version as build metadata.
#pragma once

#include <string_view>

namespace coffer {

inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr std::string_view kVaultVersion = "1.21.0+coffer.0.1.0";

std::string_view build_revision() noexcept;  // of the source, short; "unknown" outside a repository
std::string_view build_date() noexcept;      // when that revision was made, RFC 3339 in UTC, so that builds repeat

}  // namespace coffer
