// Which mount a path belongs to. Immutable once built; part of what is published.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/mounts.h"
#include "core/namespaces.h"
#include "core/path_table.h"

namespace coffer::core {

// Every engine the server knows, by type. Filled before the first unseal, then only read. Engines outlive it.
class EngineRegistry {
 public:
  // `mountable`: clients may enable it by sys/mounts (or sys/auth).
  void add(const Engine& engine, MountTable table, bool mountable);
  const Engine* find(MountTable table, std::string_view type) const;
  bool mountable(MountTable table, std::string_view type) const;
  // Sorted.
  std::vector<std::string_view> mountable_types(MountTable table) const;

 private:
  struct Row {
    const Engine* engine;
    MountTable table;
    bool mountable;
  };
  std::vector<Row> rows_;
};

struct Route {
  MountRecord record;
  std::string prefix;               // within its namespace: "secret/", "auth/token/"
  std::string absolute;             // from the root on: "team/secret/"
  std::string record_key;           // the record's name, for read sets
  const Engine* engine = nullptr;   // null: this binary has no such engine
  std::uint32_t metrics_slot = 0;   // metrics::route_slot of `prefix`
};

class Router {
 public:
  // Mounts of namespaces that are not in the table are left out.
  Router(std::vector<MountRecord> records, const EngineRegistry& engines, const NamespaceTable& namespaces);
  // Null when no mount covers the absolute path. `path` "secret/" and below; "secret" alone is covered by none.
  const Route* match(std::string_view path) const noexcept;
  // The mount at exactly this place, or null.
  const Route* find(NamespaceId ns, MountTable table, std::string_view path) const noexcept;
  // By its id, also one that is disabled and waits for its leases to end; or null.
  const Route* by_id(NamespaceId ns, MountId id) const noexcept;
  // Sorted by absolute prefix; without disabled ones.
  const std::vector<Route>& routes() const noexcept { return routes_; }

 private:
  std::vector<Route> routes_;
  std::vector<Route> disabled_;
};

}  // namespace coffer::core
