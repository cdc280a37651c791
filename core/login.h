// What an auth method says of a client that has proved who it is. The engine fills it in; the core makes the token, so
// that no method has rules of its own for policies, TTLs, types and addresses (advisories A18, E1).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "core/token_params.h"

namespace coffer::core {

// Texts live in the request's arena.
struct LoginGrant {
  std::string_view display_name;   // "alice"; the mount's path is put before it
  std::string_view alias;          // the name that this mount knows the client by, normalised; empty: no entity
  json::Value alias_metadata;      // object of strings or null: for templates of policies
  std::vector<std::string_view> groups;  // names of groups outside, for external groups
  json::Value metadata;            // object of strings or null: kept with the token
  std::string_view role;           // what the engine wants to hear again at a renewal
  TokenParams params;
};

// Work of an operation that is too slow for a transaction (a password hash, a key, a question to somebody else). It is
// made inside a run, performed outside of every run, and read by the next.
class PreparedWork {
 public:
  virtual ~PreparedWork() = default;
  // Once, on a thread of the pool. Touches nothing but its own members.
  virtual void perform() = 0;
};

}  // namespace coffer::core
