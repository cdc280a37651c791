// What handlers of the server's own mounts (sys/, auth/token/) work with beyond a HandlerContext: they know tokens,
// policies, mounts and devices. Engines never see this header.
#pragma once

#include "base/log.h"
#include "core/audit_broker.h"
#include "core/commit.h"
#include "core/engine.h"
#include "core/instruments.h"
#include "core/outside.h"
#include "core/published.h"
#include "core/tracing.h"
#include "core/txn_impl.h"
#include "core/work_pool.h"

namespace coffer::core {

class ActivityLog;
class CertificateBoard;
class EventBus;
class Group;
class JoinGate;
class Lockouts;
class PilotBoard;
class Rekeys;
class RootAttempts;
struct SnapshotPlace;

// What the server's core works with. All outlive every request; thread-safe.
struct Services {
  store::Backend& backend;
  Committer& committer;
  const EngineRegistry& engines;
  AuditRegistry& audit;
  RandomSource& random;
  std::string version = "1.21.0";  // shown of built-in engines: "v1.21.0+builtin.vault"
  WorkPool* pool = nullptr;        // null: slow work is done on the request's own thread, as tests do
  CallPool* calls = nullptr;       // for calls to systems outside; null: none is made
  const Instruments* instruments = nullptr;  // null: sys/metrics and its kind are not there
  TraceSink* traces = nullptr;               // null: nobody wants spans
  Lockouts* lockouts = nullptr;    // null: nobody is ever locked out
  Logger* log = nullptr;           // null: nothing is logged, as tests do
  ActivityLog* activity = nullptr;  // null: clients are not counted
  // Each request that is answered is a line of this level; nothing: none is. May change at any time.
  const std::atomic<std::optional<LogLevel>>* log_requests = nullptr;
  bool introspection = false;      // sys/internal/inspect is there
  EventBus* events = nullptr;      // null: nobody is told what changed
  Group* group = nullptr;          // null: storage that no other node shares
  const PilotBoard* pilot = nullptr;  // null: there is no autopilot
  const SnapshotPlace* snapshots = nullptr;  // set with `group`
  JoinGate* join_gate = nullptr;   // null: nobody is bounded
  const CertificateBoard* certificate = nullptr;  // null: this node shows none to others
  Rekeys* rekeys = nullptr;        // null: nobody's shares can be exchanged
  RootAttempts* root_attempts = nullptr;  // null: shares make no root token
};

// One run of one handler.
struct CallContext : HandlerContext {
  TxnImpl& txn;
  const Published& published;
  const NamespaceRecord& ns;       // that the request belongs to
  std::string_view acl_prefix;     // path from the token's namespace to `ns`: what rules are compared with begins so
  const Route& route;
  const Services& services;
  std::string_view full_path;      // of the request; a list ends in '/'
  // The calling token; null on unauthenticated paths without one.
  const TokenRecord* token = nullptr;
  std::string_view token_hash;
  const Acl* acl = nullptr;        // of `token`
  bool sudo = false;               // the sudo capability on full_path, or root
  // Hashes of tokens that this answer hands out: should it be withheld after the commit, they are revoked.
  std::vector<std::string_view> handed_out;
  // `path` of this namespace as the calling token's rules (`acl`) see it.
  std::string_view acl_path(std::string_view path) const {
    return acl_prefix.empty() ? path : arena.copy(std::string(acl_prefix).append(path));
  }
  // Tokens of this namespace and below: of all others nothing is told and nothing is changed (advisories F2, F4).
  bool in_reach(const TokenRecord& record) const;
  // Set by handlers whose answer is a wrapping token already: it is not wrapped again.
  bool wrapped = false;
  // Last segments of the ids of leases that this answer hands out: likewise.
  std::vector<std::string_view> leases_out{};
  // What it told of stands in the memory of the node that leads.
  bool of_leader = false;
  // What is to be done outside before the answer leaves.
  std::optional<OutsideWork> outside{};
};

// The pipeline makes every HandlerContext as a CallContext.
inline CallContext& call(HandlerContext& ctx) { return static_cast<CallContext&>(ctx); }

}  // namespace coffer::core
