// What a write tells of the state that it made, and a read of the state that it must not be older than: X-Vault-Index.
// To clients it is a text without meaning; it is signed, so that nobody can make up a state to wait for.
#pragma once

#include <string>
#include <string_view>

#include "base/strong.h"
#include "core/request.h"
#include "core/token_record.h"

namespace coffer::core {

inline constexpr std::string_view kStateHeader = "X-Vault-Index";

// Base64 of v1:<cluster>:<index>:<index>:<signature>.
std::string state_text(const TokenHasher& hasher, Index index);

enum class StateCheck : std::uint8_t {
  kHeld,
  kForeign,  // one of them is no text of this cluster's
  kLater,    // one of them is not reached yet
};

// Whether a view at `at` holds all of `states`.
StateCheck check_states(const TokenHasher& hasher, const HeaderLine* states, Index at);

}  // namespace coffer::core
