// What a secrets engine or auth method is: a table of paths, each with its operations, fields and flags
// (core/path_table.h), and handlers that run inside a transaction. Engines know nothing of tokens, policies, audit,
// HTTP or storage layout.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
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

 private:
  Txn& txn_;
  NamespaceId namespace_;
  MountId mount_;
  store::KeyClass class_;
};

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
};

}  // namespace coffer::core
