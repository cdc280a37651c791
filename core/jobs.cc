#include "core/jobs.h"

#include "base/codec.h"
#include "core/layout.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

Status erase_job(TxnImpl& txn, const Job& job) {
  return txn.erase(layout::core_key(std::string(layout::kJobPrefix) + job.id));
}

Status step_delete_mount(TxnImpl& txn, const Job& job) {
  for (const store::KeyClass cls :
       {store::KeyClass::kShared, store::KeyClass::kClusterLocal, store::KeyClass::kNotReplicated}) {
    bool more = false;
    COFFER_ASSIGN(const auto keys, txn.stored_keys({cls, layout::kRootNamespace, job.mount, {}},
                                                   limits::kJobStepKeysMax - txn.ops(), &more));
    for (const std::string_view key : keys)
      COFFER_TRY(txn.erase_stored(key));
    if (more)
      return ok_status();
  }
  return erase_job(txn, job);
}

Status step(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job) {
  if (job.kind == Job::Kind::kDeleteMount)
    return step_delete_mount(txn, job);
  COFFER_ASSIGN(const bool finished, TokenStore(txn, published, arena).step_tree(job.token_hash));
  return finished ? erase_job(txn, job) : ok_status();
}

}  // namespace

Status add_job(TxnImpl& txn, const Job& job) {
  COFFER_TRY(txn.put(layout::core_key(layout::kJobMark), job.id));
  return txn.put(layout::core_key(std::string(layout::kJobPrefix) + job.id), encode(job));
}

void SystemTask::start(const Services& services, Work work, Done done) {
  (new SystemTask(services, std::move(work), std::move(done)))->run();
}

Status SystemTask::prepare(Proposal& proposal) {
  if (++runs_ > limits::kTransactionRunsMax)
    return Status(Code::kUnavailable, "the server's own transaction lost against others too often");
  const Term term = services_.committer.leader_term();
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, services_.backend.view());
  const Published* published = published_in(view->attachment());
  if (published == nullptr || published->sealed)
    return Status(Code::kSealed, "Vault is sealed");
  COFFER_TRY(published->damage);
  json::Arena arena;
  TxnImpl::Buffers buffers;
  TxnImpl txn(*view, *published->barrier, arena, services_.committer.cluster_now(), buffers);
  COFFER_TRY(work_(txn, *published, arena));
  if (!txn.writes())
    return ok_status();
  COFFER_ASSIGN(proposal, txn.finish(term, services_.random));
  return ok_status();
}

void SystemTask::run() {
  Proposal proposal;
  const Status status = prepare(proposal);
  if (!status.ok() || proposal.ops.empty())
    return finish(status);
  services_.committer.submit_system(std::move(proposal), *this);
}

void SystemTask::done(CommitOutcome outcome, Index, Status status) {
  if (outcome == CommitOutcome::kConflict)
    return run();
  if (outcome == CommitOutcome::kCommitted)
    return finish(ok_status());
  finish(status.ok() ? Status(Code::kOutcomeUnknown, "the outcome of the server's own transaction is unknown")
                     : status);
}

void SystemTask::finish(const Status& status) {
  const std::unique_ptr<SystemTask> self(this);
  done_(status);
}

bool JobRunner::tick() {
  if (state_->busy || !services_.committer.is_leader())
    return false;
  const std::shared_ptr<const store::Attachment> attachment = services_.backend.attachment();
  const Published* published = published_in(attachment);
  if (published == nullptr || published->sealed || published->jobs->empty())
    return false;
  state_->busy = true;
  // In turn, so that one that cannot go on does not hold up the others.
  const Job job = (*published->jobs)[state_->turn++ % published->jobs->size()];
  const std::shared_ptr<State> state = state_;
  SystemTask::start(
      services_,
      [job, state](TxnImpl& txn, const Published& now, json::Arena& arena) {
        return state->stopped ? ok_status() : step(txn, now, arena, job);
      },
      [state](const Status&) { state->busy = false; });
  return true;
}

}  // namespace coffer::core
