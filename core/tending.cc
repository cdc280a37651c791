#include "core/tending.h"

#include <algorithm>

#include "core/jobs.h"

namespace coffer::core {
namespace {

const Route* find_route(const Published& published, MountId id) {
  for (const Route& route : published.router->routes())
    if (route.record.info.id == id)
      return &route;
  return nullptr;
}

// The option goes with the step that finds nothing left to convert.
Status end_upgrade(TxnImpl& txn, MountRecord record) {
  std::erase_if(record.info.options, [](const auto& option) { return option.first == kUpgradingOption; });
  return put_mount(txn, record);
}

Status step(TxnImpl& txn, const Published& published, json::Arena& arena, MountId id, bool* more) {
  *more = false;
  const Route* route = find_route(published, id);
  if (route == nullptr || route->engine == nullptr)
    return ok_status();
  const MountRecord& record = route->record;
  txn.depend(layout::core_key(route->record_key));
  Storage storage(txn, record.info.namespace_id, id, record.key_class());
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
    const std::uint32_t id = route.record.info.id.get();
    const bool converts = !route.record.info.option(kUpgradingOption).empty();
    const auto due = due_.find(id);
    if (!converts && due != due_.end() && due->second > now)
      continue;
    if (first == nullptr || id < first->record.info.id.get())
      first = &route;
    if (id > last_ && (next == nullptr || id < next->record.info.id.get()))
      next = &route;
  }
  next = next != nullptr ? next : first;
  if (next == nullptr)
    return false;
  const MountId id = next->record.info.id;
  last_ = id.get();
  due_[last_] = now + limits::kTendPause;
  std::erase_if(due_, [&](const auto& row) { return find_route(*published, MountId(row.first)) == nullptr; });
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  const auto more = std::make_shared<bool>(false);
  SystemTask::start(
      services_,
      [id, state, more](TxnImpl& txn, const Published& now_published, json::Arena& arena) {
        return state->stopped ? ok_status() : step(txn, now_published, arena, id, more.get());
      },
      [state, more](const Status& status) {
        state->more = status.ok() && *more;
        state->busy = false;
      });
  return true;
}

}  // namespace coffer::core
