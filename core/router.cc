#include "core/router.h"

#include <algorithm>

#include "base/metrics.h"

namespace coffer::core {

void EngineRegistry::add(const Engine& engine, MountTable table, bool mountable) {
  rows_.push_back({&engine, table, mountable});
}

const Engine* EngineRegistry::find(MountTable table, std::string_view type) const {
  for (const Row& row : rows_)
    if (row.table == table && row.engine->type() == type)
      return row.engine;
  return nullptr;
}

std::vector<std::string_view> EngineRegistry::mountable_types(MountTable table) const {
  std::vector<std::string_view> types;
  for (const Row& row : rows_)
    if (row.table == table && row.mountable)
      types.push_back(row.engine->type());
  std::ranges::sort(types);
  return types;
}

bool EngineRegistry::mountable(MountTable table, std::string_view type) const {
  for (const Row& row : rows_)
    if (row.table == table && row.engine->type() == type)
      return row.mountable;
  return false;
}

Router::Router(std::vector<MountRecord> records, const EngineRegistry& engines, const NamespaceTable& namespaces) {
  routes_.reserve(records.size());
  for (MountRecord& record : records) {
    const NamespaceRecord* ns = namespaces.find(record.info.namespace_id);
    if (ns == nullptr)
      continue;
    Route route{std::move(record), {}, {}, {}, nullptr};
    route.prefix = route.record.route();
    route.absolute = ns->path + route.prefix;
    route.metrics_slot = metrics::route_slot(route.absolute);
    route.record_key = layout::mount_record(route.record.info.id, ns->id);
    route.engine = engines.find(route.record.table, route.record.info.type);
    (route.record.disabled ? disabled_ : routes_).push_back(std::move(route));
  }
  std::sort(routes_.begin(), routes_.end(), [](const Route& a, const Route& b) { return a.absolute < b.absolute; });
}

const Route* Router::match(std::string_view path) const noexcept {
  // No mount lies below another, so the one before the path in byte order is the only one that can cover it.
  auto after = std::upper_bound(routes_.begin(), routes_.end(), path,
                                [](std::string_view p, const Route& route) { return p < route.absolute; });
  if (after == routes_.begin())
    return nullptr;
  const Route& route = *--after;
  return path.starts_with(route.absolute) ? &route : nullptr;
}

const Route* Router::by_id(NamespaceId ns, MountId id) const noexcept {
  for (const std::vector<Route>* routes : {&routes_, &disabled_})
    for (const Route& route : *routes)
      if (route.record.info.id == id && route.record.info.namespace_id == ns)
        return &route;
  return nullptr;
}

const Route* Router::find(NamespaceId ns, MountTable table, std::string_view path) const noexcept {
  for (const Route& route : routes_)
    if (route.record.info.namespace_id == ns && route.record.table == table && route.record.info.path == path)
      return &route;
  return nullptr;
}

}  // namespace coffer::core
