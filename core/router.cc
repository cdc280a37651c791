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

bool EngineRegistry::mountable(MountTable table, std::string_view type) const {
  for (const Row& row : rows_)
    if (row.table == table && row.engine->type() == type)
      return row.mountable;
  return false;
}

Router::Router(std::vector<MountRecord> records, const EngineRegistry& engines) {
  routes_.reserve(records.size());
  for (MountRecord& record : records) {
    Route route{std::move(record), {}, {}, nullptr};
    route.prefix = route.record.route();
    route.metrics_slot = metrics::route_slot(route.prefix);
    route.record_key = layout::mount_record(route.record.info.id);
    route.engine = engines.find(route.record.table, route.record.info.type);
    (route.record.disabled ? disabled_ : routes_).push_back(std::move(route));
  }
  std::sort(routes_.begin(), routes_.end(), [](const Route& a, const Route& b) { return a.prefix < b.prefix; });
}

const Route* Router::match(std::string_view path) const noexcept {
  // No mount lies below another, so the one before the path in byte order is the only one that can cover it.
  auto after = std::upper_bound(routes_.begin(), routes_.end(), path,
                                [](std::string_view p, const Route& route) { return p < route.prefix; });
  if (after == routes_.begin())
    return nullptr;
  const Route& route = *--after;
  return path.starts_with(route.prefix) ? &route : nullptr;
}

const Route* Router::by_id(MountId id) const noexcept {
  for (const std::vector<Route>* routes : {&routes_, &disabled_})
    for (const Route& route : *routes)
      if (route.record.info.id == id)
        return &route;
  return nullptr;
}

const Route* Router::find(MountTable table, std::string_view path) const noexcept {
  for (const Route& route : routes_)
    if (route.record.table == table && route.record.info.path == path)
      return &route;
  return nullptr;
}

}  // namespace coffer::core
