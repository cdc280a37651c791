#include "server/usage_counter.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "base/metrics.h"
#include "core/layout.h"
#include "core/published.h"

namespace coffer::server {
namespace {

constexpr std::chrono::nanoseconds kPauseMin = std::chrono::seconds(1);
constexpr int kPauseForEach = 100;  // of the time that counting took
// Of records that stand for one entity, or one secret (docs/formats/identity.md, kv_record.md).
constexpr std::string_view kEntityPrefix = "entity/";
constexpr std::string_view kVersionedPrefix = "h/";
constexpr std::string_view kUnversionedPrefix = "s/";

}  // namespace

UsageCounter::UsageCounter(const store::Backend& backend, std::function<bool()> ready)
    : backend_(backend), ready_(std::move(ready)) {}

void UsageCounter::start() {
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "usage");
}

UsageCounter::~UsageCounter() { stop(); }

void UsageCounter::stop() {
  if (!thread_.joinable())
    return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// In steps, each with a view of its own: one that lasts holds up the store, which must not wait for a number.
std::uint64_t UsageCounter::count(const store::StoreKey& prefix) const {
  std::string from = store::full_key(prefix.cls, prefix.ns, prefix.mount, prefix.rest);
  const std::string end = store::prefix_end(from);
  std::uint64_t found = 0;
  while (!stopping_) {
    const auto view = backend_.view();
    if (!view.ok())
      return found;
    const auto cursor = (*view)->cursor();
    if (!cursor.ok())
      return found;
    Result<bool> more = (*cursor)->seek(from);
    std::size_t left = limits::kScrubStepRecordsMax;
    for (; more.ok() && *more && (*cursor)->key() < end && left > 0; --left) {
      ++found;
      more = (*cursor)->next();
    }
    if (!more.ok() || !*more || (*cursor)->key() >= end)
      return found;
    from.assign((*cursor)->key());
  }
  return found;
}

std::vector<metrics::Reading::Gauge> UsageCounter::gauges() const {
  const std::scoped_lock lock(mutex_);
  return gauges_;
}

std::vector<metrics::Reading::Gauge> UsageCounter::count_by_place() const {
  std::vector<metrics::Reading::Gauge> out;
  const std::shared_ptr<const store::Attachment> attachment = backend_.attachment();
  const core::Published* published = core::published_in(attachment);
  if (published == nullptr || published->sealed || !published->damage.ok())
    return out;
  const auto label_of = [](const core::NamespaceRecord& ns) { return ns.is_root() ? std::string("root") : ns.path; };
  double entities = 0;
  for (const auto& [path, ns] : published->namespaces->all()) {
    const auto found =
        static_cast<double>(count({store::KeyClass::kShared, ns.id, core::kIdentityMountId, kEntityPrefix}));
    entities += found;
    out.push_back({"vault.identity.entity.count", found, {{"namespace", label_of(ns)}}});
  }
  out.push_back({"vault.identity.num_entities", entities});
  for (const core::Route& route : published->router->routes()) {
    const core::MountInfo& mount = route.record.info;
    const core::NamespaceRecord* ns = published->namespaces->find(mount.namespace_id);
    if (mount.type != "kv" || ns == nullptr)
      continue;
    const std::string_view prefix = mount.option("version") == "2" ? kVersionedPrefix : kUnversionedPrefix;
    const auto found = static_cast<double>(count({route.record.key_class(), ns->id, mount.id, prefix}));
    out.push_back(
        {"vault.secret.kv.count", found, {{"mount_point", route.prefix}, {"namespace", label_of(*ns)}}});
  }
  if (published->quotas == nullptr)
    return out;
  for (const core::QuotaSet::Rule& rule : published->quotas->rules()) {
    if (rule.record.kind != core::QuotaKind::kLeases || !rule.leases->counted)
      continue;
    const std::vector<metrics::Label> labels{{"name", rule.record.name}};
    out.push_back({"vault.quota.lease_count.counter", static_cast<double>(rule.leases->base + rule.changed), labels});
    out.push_back({"vault.quota.lease_count.max", static_cast<double>(rule.record.max_leases), labels});
  }
  return out;
}

void UsageCounter::run() {
  for (;;) {
    std::chrono::nanoseconds pause = kPauseMin;
    if (ready_()) {
      const std::int64_t begun = metrics::now_ns();
      tokens_ = count(core::layout::token_key(core::layout::kTokenPrefix));
      // A token that expires counts as a lease, as it does for the peer.
      leases_ = count(core::layout::token_key(core::layout::kExpiryPrefix));
      irrevocable_ = count(core::layout::token_key(core::layout::kLeaseBadPrefix));
      std::vector<metrics::Reading::Gauge> gauges = count_by_place();
      {
        const std::scoped_lock lock(mutex_);
        gauges_ = std::move(gauges);
      }
      pause = std::max(pause, std::chrono::nanoseconds(kPauseForEach * (metrics::now_ns() - begun)));
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pause, [this] { return stopping_.load(); }))
      return;
  }
}

}  // namespace coffer::server
