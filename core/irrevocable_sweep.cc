#include "core/irrevocable_sweep.h"

#include "base/limits.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/lease_revoke.h"

namespace coffer::core {
namespace {

constexpr Nanos kPause = std::chrono::minutes(1);

// What one look did.
struct Swept {
  std::string next;
  std::vector<std::string> ids;
};

Status sweep(TxnImpl& txn, const Published& published, json::Arena& arena, const std::string& from, Swept& out) {
  out = Swept();
  COFFER_ASSIGN(TxnImpl::NamePage page, txn.names(layout::token_key(layout::kLeaseBadPrefix), from,
                                                  limits::kExpiryBatchLeasesMax, false));
  LeaseStore leases(txn, arena);
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(const auto lease, leases.stored(name.substr(layout::kLeaseBadPrefix.size())));
    if (!lease || lease->state != LeaseState::kIrrevocable ||
        lease->due + published.config.remove_irrevocable_lease_after > txn.now())
      continue;
    COFFER_TRY(forget_lease(txn, published, arena, *lease));
    out.ids.emplace_back(lease->id);
  }
  out.next = std::move(page.next);
  return ok_status();
}

}  // namespace

bool IrrevocableSweep::tick(BootTime now) {
  if (state_->busy || now < due_ || !services_.committer.is_leader())
    return false;
  const std::shared_ptr<const store::Attachment> attachment = services_.backend.attachment();
  const Published* published = published_in(attachment);
  if (published == nullptr || published->sealed || published->config.remove_irrevocable_lease_after <= Nanos(0))
    return false;
  due_ = now + kPause;
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  const auto swept = std::make_shared<Swept>();
  Logger* log = services_.log;
  SystemTask::start(
      services_,
      [state, swept](TxnImpl& txn, const Published& current, json::Arena& arena) {
        return state->stopped ? ok_status() : sweep(txn, current, arena, state->at, *swept);
      },
      [state, swept, log](const Status& status) {
        if (status.ok())
          state->at = swept->next;
        for (const std::string& id : swept->ids)
          if (status.ok() && log != nullptr)
            log->warn("expiration", "removed the irrevocable lease " + id + ", which nobody could revoke");
        state->busy = false;
      });
  return true;
}

}  // namespace coffer::core
