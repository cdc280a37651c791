// An engine is a table: routing, validation, help, OpenAPI and generated tests fall out of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "core/engine.h"
#include "core/path_fields.h"

namespace coffer::core {

// What an operation does to the store. A standby runs kReads only.
enum class Effect : std::uint8_t {
  kReads,
  kReadsMemory,  // changes nothing in the store; what it tells or changes is in the memory of the node that leads
  kWrites,
  kOutside,
};
constexpr bool only_reads(Effect effect) noexcept {
  return effect == Effect::kReads || effect == Effect::kReadsMemory;
}

using Handler = Status (*)(HandlerContext& ctx);
// Decides create or update for kWrite: true when what would be written exists already.
using ExistenceCheck = Result<bool> (*)(HandlerContext& ctx);

// The name that failed logins are counted by, however it is spelt (core/lockout.h); in the arena. Empty: not counted.
using LoginName = Result<std::string_view> (*)(HandlerContext& ctx);

// The role that whoever logs in with this request would have, for quotas; in the arena. Empty: there is none.
using LoginRole = Result<std::string_view> (*)(HandlerContext& ctx);

// Called in each run before the handler. Returns work to be performed outside before the handler is called in another
// run, or null when ctx.prepared is what the handler needs, or when it needs nothing. Only reads.
using Prepare = Result<std::unique_ptr<PreparedWork>> (*)(HandlerContext& ctx);

struct OperationSpec {
  Operation operation;
  Effect effect;
  Handler handler;
  std::string_view help;
  Prepare prepare = nullptr;
  bool sudo = false;  // this operation is root-protected, whatever its path is: open to everybody, say
};

// `pattern`: literal segments; `:name` captures one segment; a last `*name` captures the rest, which may hold '/' and
// may be empty when it is written `*name?`. Example: "data/*path", "keys/:name/config". The first match in table order
// wins.
struct PathSpec {
  std::string_view pattern;
  std::string_view help;
  std::vector<Field> fields;
  std::vector<OperationSpec> operations;
  ExistenceCheck exists = nullptr;   // null: every kWrite is an update
  bool unauthenticated = false;      // no token needed
  bool sudo = false;                 // root-protected: the sudo capability too
  LoginName login_name = nullptr;    // of a path where clients log in
  bool any_fields = false;           // the body is the caller's own: no field of it is unknown
  // What it captures are names whose case does not matter to the handler. Policies and quotas see them in lower case:
  // no spelling of a name passes by a rule for it (advisory D1, rule R2).
  bool folds_case = false;
  LoginRole login_role = nullptr;    // of a path where clients log in and do not name their role

  // True for a field, and for a name that the pattern captures.
  bool knows(std::string_view name) const;
};

struct PathMatch {
  const PathSpec* spec = nullptr;
  const OperationSpec* operation = nullptr;  // null: the path exists, the operation does not (405)
  std::vector<std::string_view> captures;
};

// Immutable after construction; any thread.
class PathTable {
 public:
  explicit PathTable(std::vector<PathSpec> specs);
  // Nothing when no pattern matches.
  std::optional<PathMatch> match(std::string_view path, Operation operation) const;
  std::span<const PathSpec> specs() const noexcept { return specs_; }

 private:
  std::vector<PathSpec> specs_;
  std::vector<std::vector<std::string_view>> segments_;  // of each pattern
};

}  // namespace coffer::core
