#include "core/tending.h"

#include <algorithm>

#include "core/jobs.h"

namespace coffer::core {
namespace {

// Those that every namespace has carry the same id in each.
struct Mount {
  NamespaceId ns{0};
  MountId id;
  std::uint64_t number() const { return std::uint64_t{ns.get()} << 32 | id.get(); }
};
Mount mount_of(std::uint64_t number) {
  return {NamespaceId(static_cast<std::uint32_t>(number >> 32)), MountId(static_cast<std::uint32_t>(number))};
}

const Route* find_route(const Published& published, Mount mount) {
  const Route* route = published.router->by_id(mount.ns, mount.id);
  return route == nullptr || route->record.disabled ? nullptr : route;
}

std::uint64_t number_of(const Route& route) {
  return Mount{route.record.info.namespace_id, route.record.info.id}.number();
}

// The option goes with the step that finds nothing left to convert.
Status end_upgrade(TxnImpl& txn, MountRecord record) {
  std::erase_if(record.info.options, [](const auto& option) { return option.first == kUpgradingOption; });
  return put_mount(txn, record);
}

Status step(TxnImpl& txn, const Published& published, json::Arena& arena, Mount mount, bool* more) {
  *more = false;
  const Route* route = find_route(published, mount);
  if (route == nullptr || route->engine == nullptr)
    return ok_status();
  const MountRecord& record = route->record;
  txn.depend(layout::core_key(route->record_key));
  Storage storage(txn, record.info.namespace_id, mount.id, record.key_class());
  TendContext ctx{storage, record.info, arena, txn.now()};
  COFFER_ASSIGN(const Tended tended, route->engine->tend(ctx));
  *more = tended == Tended::kMore;
  return tended == Tended::kUpgraded ? end_upgrade(txn, record) : ok_status();
}

}  // namespace

bool Tender::tick(BootTime now) {
  if (state_->busy || !services_.committer.is_leader())
    return false;
  const std::shared_ptr<const store::Attachment> attachment = services_.backend.attachment();
  const Published* published = published_in(attachment);
  if (published == nullptr || published->sealed || !published->damage.ok())
    return false;
  if (state_->more.exchange(false))
    due_[last_] = now;
  // Round robin, so that one mount that has much to do does not hold up the others.
  const Route* next = nullptr;
  const Route* first = nullptr;
  for (const Route& route : published->router->routes()) {
    if (route.engine == nullptr || !route.engine->tends())
      continue;
    const std::uint64_t id = number_of(route);
    const bool converts = !route.record.info.option(kUpgradingOption).empty();
    const auto due = due_.find(id);
    if (!converts && due != due_.end() && due->second > now)
      continue;
    if (first == nullptr || id < number_of(*first))
      first = &route;
    if (id > last_ && (next == nullptr || id < number_of(*next)))
      next = &route;
  }
  next = next != nullptr ? next : first;
  if (next == nullptr)
    return false;
  last_ = number_of(*next);
  const Mount mount = mount_of(last_);
  due_[last_] = now + limits::kTendPause;
  std::erase_if(due_, [&](const auto& row) { return find_route(*published, mount_of(row.first)) == nullptr; });
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  const auto more = std::make_shared<bool>(false);
  SystemTask::start(
      services_,
      [mount, state, more](TxnImpl& txn, const Published& now_published, json::Arena& arena) {
        return state->stopped ? ok_status() : step(txn, now_published, arena, mount, more.get());
      },
      [state, more](const Status& status) {
        state->more = status.ok() && *more;
        state->busy = false;
      });
  return true;
}

}  // namespace coffer::core
