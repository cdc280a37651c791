// What a secrets engine or auth method is: a table of paths, each with its operations, fields and flags
// (core/path_table.h), and handlers that run inside a transaction. Engines know nothing of tokens, policies, audit,
// HTTP or storage layout.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "core/login.h"
#include "core/request.h"
#include "core/txn.h"

namespace coffer::core {

// What an engine may know of its mount. Immutable; valid while the handler runs.
struct MountInfo {
  MountId id;
  NamespaceId namespace_id;
  std::string path;                                        // "secret/", relative to its namespace
  std::string type;                                        // "kv"
  std::string accessor;                                    // "kv_1a2b3c4d"
  std::string uuid;
  std::string description;
  bool local = false;
  bool seal_wrap = false;
  bool external_entropy_access = false;
  Nanos default_lease_ttl{0};                              // 0: the system's
  Nanos max_lease_ttl{0};
  bool force_no_cache = false;
  std::vector<std::pair<std::string, std::string>> options;  // e.g. version=2, sorted
  std::string_view option(std::string_view key) const;     // empty when absent
};

// The engine's own slice of the store: paths are relative to the mount, keys are made here and nowhere else.
class Storage {
 public:
  Storage(Txn& txn, NamespaceId ns, MountId mount, store::KeyClass key_class)
      : txn_(txn), namespace_(ns), mount_(mount), class_(key_class) {}

  Result<std::optional<std::string_view>> get(std::string_view path);
  Status put(std::string_view path, std::string_view plaintext);
  Status erase(std::string_view path);
  Result<ListPage> list(std::string_view folder, std::string_view after = {}, std::size_t limit = 0);
  // Tells subscribers to events of a change, once it is committed (core/change.h).
  void note(const Change& change) { txn_.note(change); }

 private:
  Txn& txn_;
  NamespaceId namespace_;
  MountId mount_;
  store::KeyClass class_;
};

// A call to a system outside. It runs once, on a pool's thread, without a transaction; it owns what it needs. What it
// begins takes effect within `time_max` or not at all.
using OutsideCall = std::function<Status(Nanos time_max)>;

// The lease that a handler answers with. Its record is written in the handler's own transaction, and it is revoked with
// the calling token. With `make` it is an intent: the record is committed first, as pending; then `make` is called;
// then it is activated, and only then the answer leaves. Whatever becomes of the node meanwhile, a pending lease is
// revoked.
struct LeaseGrant {
  std::string_view kind;   // which of the engine's LeaseKinds; at most 64 bytes
  std::string_view data;   // what it needs to renew and revoke, and to find what was made by its name
  Nanos ttl{0};            // 0: the mount's
  Nanos max_ttl{0};        // 0: the mount's, which bounds it in any case
  bool renewable = true;
  // The call that makes what is leased. It may complete the answer; nobody else uses both meanwhile.
  std::function<Status(Nanos time_max, Response& response, json::Arena& arena)> make;
};

// What an engine needs to know of a lease of its own. Valid for one call.
struct LeaseContext {
  Storage& storage;
  const MountInfo& mount;
  json::Arena& arena;
  std::string_view lease_id;
  std::string_view data;    // as it was granted
  WallTime now;
  WallTime expires;         // of renew: the new end
};

// How leases of one kind are renewed and revoked. Stateless; any thread.
class LeaseKind {
 public:
  virtual ~LeaseKind() = default;
  // Reads storage, and says what to call outside; an empty function when nothing need be. It may be asked again after
  // a failure or a crash: revoking what is not there succeeds, and only an explicit success counts (advisory G6).
  virtual Result<OutsideCall> revoke(LeaseContext& lease) const = 0;
  // In the transaction that removes the lease, after revoke's call succeeded.
  virtual Status revoked(LeaseContext&) const { return ok_status(); }
  // Before a renewal is committed. An empty function when the outside need not know.
  virtual Result<OutsideCall> renew(LeaseContext&) const { return OutsideCall(); }
};

class Caller;

// What an engine works with when it looks after a mount on its own, without a request. Valid for one run, which may be
// repeated after a conflict.
struct TendContext {
  Storage& storage;
  const MountInfo& mount;
  json::Arena& arena;
  WallTime now;             // cluster time
};

// What came out of it.
enum class Tended : std::uint8_t {
  kIdle,       // nothing is left to do now
  kMore,       // another step follows soon
  kUpgraded,   // and the mount is what its options say: it leaves the state of upgrading
};

// The option of a mount whose records are being converted; set and removed by the core alone.
inline constexpr std::string_view kUpgradingOption = "upgrading";

// What a handler works with. Everything is valid for this run only; a run may be repeated after a conflict, with a
// fresh response. A handler does no I/O and has no effect but through `storage` and `response`.
struct HandlerContext {
  const Request& request;
  Response& response;
  json::Arena& arena;
  Storage& storage;
  const MountInfo& mount;
  WallTime now;                     // cluster time
  RandomSource& random;
  std::string_view path;            // request path relative to the mount
  std::vector<std::string_view> captures;  // of the path pattern, in order
  std::string_view token_key;       // id of the calling token's own cubbyhole; empty for unauthenticated paths
  Operation operation;
  const PreparedWork* prepared = nullptr;  // what the operation's `prepare` asked for, performed; null: nothing
  std::optional<LeaseGrant> lease{};  // set by the handler: the answer comes with a lease
  std::optional<LoginGrant> login;         // set by a handler that logs its client in: the core makes the token
  std::vector<const HeaderLine*> headers{};  // of the request: those that the mount is tuned to see
  const Caller* caller = nullptr;  // set while a handler runs; core/caller.h

  // A field of the body, or null; and typed readers which fail with kInvalid naming the field, never its content.
  json::Value field(std::string_view name) const;
  Result<std::string_view> string_field(std::string_view name, std::string_view fallback) const;
  Result<std::int64_t> int_field(std::string_view name, std::int64_t fallback, std::int64_t min,
                                 std::int64_t max) const;
  Result<bool> bool_field(std::string_view name, bool fallback) const;
  Result<Nanos> duration_field(std::string_view name, Nanos fallback) const;
  // A list of strings, or one string with commas; empty when absent.
  Result<std::vector<std::string_view>> list_field(std::string_view name) const;
};

class PathTable;

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view type() const = 0;
  virtual const PathTable& paths(const MountInfo& mount) const = 0;  // by mount: KV v1 and v2 differ in tables
  // Null when this engine grants no such leases.
  virtual const LeaseKind* lease_kind(std::string_view) const { return nullptr; }
  // Auth methods: what a token that was made by a login with `role` may be renewed to now. The context is that of the
  // engine's own mount; its path is empty. kInvalid: not any more.
  virtual Result<TokenParams> renew_login(HandlerContext& ctx, std::string_view role,
                                          const std::vector<std::string_view>& policies) const;
  // Whether its mounts have work of their own: records whose time is over, conversions. Then tend() is called for each
  // now and then where the cluster is led; a call is one idempotent step and one entry.
  virtual bool tends() const { return false; }
  virtual Result<Tended> tend(TendContext&) const { return Tended::kIdle; }
};

}  // namespace coffer::core
