#include "core/jobs.h"

#include <algorithm>

#include "base/check.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "core/events.h"
#include "core/identity_store.h"
#include "core/layout.h"
#include "core/lease_revoke.h"
#include "core/migration.h"
#include "core/mounts.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

Status erase_job(TxnImpl& txn, const Job& job) {
  return txn.erase(layout::core_key(std::string(layout::kJobPrefix) + job.id));
}

Status step_delete_mount(TxnImpl& txn, json::Arena& arena, const Job& job) {
  Storage people(txn, job.ns, kIdentityMountId, store::KeyClass::kShared);
  COFFER_ASSIGN(const bool forgotten, IdentityStore(people, arena).forget_mount(job.mount));
  if (!forgotten)
    return ok_status();
  for (const store::KeyClass cls :
       {store::KeyClass::kShared, store::KeyClass::kClusterLocal, store::KeyClass::kNotReplicated}) {
    // What went before in this entry leaves less room, or none: then the next step goes on.
    if (txn.ops() >= limits::kJobStepKeysMax)
      return ok_status();
    bool more = false;
    COFFER_ASSIGN(const auto keys, txn.stored_keys({cls, job.ns, job.mount, {}},
                                                   limits::kJobStepKeysMax - txn.ops(), &more));
    for (const std::string_view key : keys)
      COFFER_TRY(txn.erase_stored(key));
    if (more)
      return ok_status();
  }
  return erase_job(txn, job);
}

constexpr std::size_t kLeasesPageMax = 256;
constexpr std::size_t kCopyPageRecordsMax = 128;

// Of taking away what a move left behind.
std::string old_place_job(MountId mount) {
  std::string id = "moved-";
  layout::append_hex(id, mount.get(), 8);
  return id;
}

// What a namespace holds: each mount by a job of its own, leases and tokens first; then its policies, and itself. The
// ids of its leases stand with its sys mount, so that one goes when no other is left (advisory F5).
Status step_delete_namespace(TxnImpl& txn, const Job& job) {
  COFFER_ASSIGN(std::vector<MountRecord> mounts, read_mounts(txn));
  const bool others = std::ranges::any_of(mounts, [&job](const MountRecord& mount) {
    return mount.info.namespace_id == job.ns && mount.info.id != layout::kSystemMount;
  });
  bool any = false;
  for (MountRecord& mount : mounts) {
    if (mount.info.namespace_id != job.ns)
      continue;
    any = true;
    const bool waits =
        others && mount.info.id == layout::kSystemMount && !mutant(Mutant::kMountRemovedBeforeLeases);
    if (mount.disabled || waits)
      continue;
    if (txn.ops() > limits::kEntryOpsMax / 2)
      break;
    COFFER_TRY(disable_mount(txn, mount));
  }
  if (any)
    return ok_status();
  const std::string folder = layout::policy_folder(job.ns);
  COFFER_ASSIGN(const ListPage policies, txn.list(layout::core_key(folder), {}, limits::kJobStepKeysMax));
  for (const std::string_view name : policies.names)
    COFFER_TRY(txn.erase(layout::core_key(folder + std::string(name))));
  if (policies.more)
    return ok_status();
  COFFER_TRY(erase_namespace(txn, job.ns));
  return erase_job(txn, job);
}

// Nobody holds a token or a lease of a mount that is gone: first each is ended, then the last is waited for, and only
// then goes what is needed to revoke them (advisories F5, F6). New ones cannot come.
}  // namespace

Result<bool> JobRunner::leases_gone(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                                    const Route& route, Progress& progress) {
  LeaseStore leases(txn, arena);
  TokenStore tokens(txn, published, arena);
  COFFER_ASSIGN(const LeaseStore::NamedPage page, leases.named(route.record.info.namespace_id, route.prefix,
                                                               progress.at, kLeasesPageMax, false));
  bool waits = false;
  for (const LeaseStore::Named& named : page.leases) {
    if (txn.ops() > limits::kEntryOpsMax / 4)
      return false;  // the same page once more; what was done is not in it any longer
    if (named.key.empty()) {
      COFFER_ASSIGN(const auto token, tokens.stored(named.token_hash));
      if (token && token->record.created <= job.at)
        COFFER_TRY(tokens.revoke_tree(named.token_hash));
      continue;
    }
    COFFER_ASSIGN(const auto lease, leases.stored(named.key));
    if (!lease || lease->mount != job.mount)
      continue;
    waits = true;
    progress.hopeless = progress.hopeless || lease->state == LeaseState::kIrrevocable;
    if (!progress.ended && lease->state != LeaseState::kIrrevocable)
      COFFER_TRY(leases.end(*lease));
  }
  if (progress.ended && waits)
    return false;
  const bool none = progress.at.empty() && page.next.empty() && !waits;
  progress.at = page.next;
  if (!page.next.empty())
    return false;
  if (!progress.ended && !none) {
    progress.ended = true;
    return false;
  }
  return true;
}

Status JobRunner::end_leases(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                             const Route& route, Progress& progress) {
  COFFER_ASSIGN(const bool gone, leases_gone(txn, published, arena, job, route, progress));
  if (!gone)
    return ok_status();
  COFFER_TRY(erase_mount(txn, job.mount, job.ns));
  return step_delete_mount(txn, arena, job);
}

// One page of the mount's records, sealed anew at their new keys. True when there are no more.
Result<bool> copy_page(TxnImpl& txn, const MountRecord& mount, std::string& at) {
  const auto key = [&mount](NamespaceId ns, std::string_view rest) {
    return store::StoreKey{mount.key_class(), ns, mount.info.id, rest};
  };
  const NamespaceId from = mount.info.namespace_id;
  COFFER_ASSIGN(TxnImpl::NamePage page, txn.names(key(from, {}), at, kCopyPageRecordsMax, false));
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(const auto value, txn.get(key(from, name)));
    if (!value)
      continue;
    if (txn.writes() && txn.bytes() + value->size() > limits::kEntryBytesMax / 2) {
      at = store::make_key(mount.key_class(), from, mount.info.id, name);
      return false;
    }
    COFFER_TRY(txn.put(key(mount.moving->ns, name), *value));
  }
  at = std::move(page.next);
  return at.empty();
}

// Takes away what stands under the mount's id in a namespace that it does not belong to.
Status clear_old_place(TxnImpl& txn, const MountRecord& record, NamespaceId ns) {
  Job job;
  job.id = old_place_job(record.info.id);
  job.kind = Job::Kind::kDeleteMount;
  job.mount = record.info.id;
  job.ns = ns;
  job.at = txn.now();
  return add_job(txn, job);
}

// Back where it was, as it was.
Status give_up_move(TxnImpl& txn, const Job& job, MountRecord record, std::string_view why) {
  const NamespaceId other = record.moving->ns;
  record.disabled = false;
  record.moving.reset();
  COFFER_TRY(put_mount(txn, record));
  COFFER_TRY(clear_old_place(txn, record, other));
  COFFER_TRY(note_failed_move(txn, job.prefix, why));
  return erase_job(txn, job);
}

Status finish_move(TxnImpl& txn, const Job& job, MountRecord record) {
  const NamespaceId from = record.info.namespace_id;
  record.info.namespace_id = record.moving->ns;
  record.info.path = record.moving->path;
  record.disabled = false;
  record.moving.reset();
  COFFER_TRY(put_mount(txn, record));
  COFFER_TRY(clear_old_place(txn, record, from));
  return erase_job(txn, job);
}

Status JobRunner::move(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                       Progress& progress) {
  const Route* route = published.router->by_id(job.ns, job.mount);
  if (route == nullptr || !route->record.moving)
    return erase_job(txn, job);
  const MountRecord& record = route->record;
  txn.depend(layout::core_key(route->record_key));
  COFFER_ASSIGN(const auto target, read_namespace(txn, record.moving->ns));
  if (record.moving->ns != layout::kRootNamespace && (!target || target->deleting))
    return give_up_move(txn, job, record, "the namespace is being deleted");
  if (!progress.copying) {
    COFFER_ASSIGN(const bool gone, leases_gone(txn, published, arena, job, *route, progress));
    if (progress.hopeless)
      return give_up_move(txn, job, record, "a lease of the mount cannot be revoked");
    if (!gone)
      return ok_status();
    progress.copying = true;
    progress.at.clear();
    return ok_status();
  }
  COFFER_ASSIGN(const bool copied, copy_page(txn, record, progress.at));
  return copied ? finish_move(txn, job, record) : ok_status();
}

// Those that were there when it was asked for; what is granted later is not meant.
Status JobRunner::end_prefix(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                             Progress& progress) {
  LeaseStore leases(txn, arena);
  COFFER_ASSIGN(const LeaseStore::NamedPage page,
                leases.named(job.ns, job.prefix, progress.at, kLeasesPageMax, false));
  for (const LeaseStore::Named& named : page.leases) {
    if (txn.ops() > limits::kEntryOpsMax / 4)
      return ok_status();  // the same page once more
    COFFER_TRY(end_named(txn, published, arena, named, job.at, job.force));
  }
  progress.at = page.next;
  return page.next.empty() ? erase_job(txn, job) : ok_status();
}

Status JobRunner::step(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                       Progress& progress) {
  // What was committed before the job is meant, whenever its request began: the time is that of the first step, which
  // no such request's time is behind.
  const bool timed = job.kind == Job::Kind::kDeleteMount || job.kind == Job::Kind::kEndLeases ||
                     job.kind == Job::Kind::kMoveMount;
  if (timed && job.at == WallTime{}) {
    Job begun = job;
    begun.at = txn.now();
    return txn.put(layout::core_key(std::string(layout::kJobPrefix) + job.id), encode(begun));
  }
  if (job.kind == Job::Kind::kDeleteMount) {
    const Route* route = published.router->by_id(job.ns, job.mount);
    if (route != nullptr && !mutant(Mutant::kMountRemovedBeforeLeases))
      return end_leases(txn, published, arena, job, *route, progress);
    if (route != nullptr)
      COFFER_TRY(erase_mount(txn, job.mount, job.ns));
    return step_delete_mount(txn, arena, job);
  }
  if (job.kind == Job::Kind::kDeleteNamespace)
    return step_delete_namespace(txn, job);
  if (job.kind == Job::Kind::kEndLeases)
    return end_prefix(txn, published, arena, job, progress);
  if (job.kind == Job::Kind::kMoveMount)
    return move(txn, published, arena, job, progress);
  if (job.kind == Job::Kind::kTidy) {
    COFFER_ASSIGN(const bool over, tidy_step(txn, published, arena, job, progress.tidy));
    return over ? erase_job(txn, job) : ok_status();
  }
  COFFER_ASSIGN(const bool finished, TokenStore(txn, published, arena).step_tree(job.token_hash));
  return finished ? erase_job(txn, job) : ok_status();
}

Status add_job(TxnImpl& txn, const Job& job) {
  COFFER_TRY(txn.put(layout::core_key(layout::kJobMark), job.id));
  return txn.put(layout::core_key(std::string(layout::kJobPrefix) + job.id), encode(job));
}

Status disable_mount(TxnImpl& txn, MountRecord& record) {
  record.disabled = true;
  COFFER_TRY(put_mount(txn, record));
  Job job;
  job.id = "mount-";
  layout::append_hex(job.id, record.info.id.get(), 8);
  if (record.info.id < kFirstMountId)
    layout::append_hex(job.id.append("-"), record.info.namespace_id.get(), 8);
  job.kind = Job::Kind::kDeleteMount;
  job.mount = record.info.id;
  job.ns = record.info.namespace_id;
  if (mutant(Mutant::kJobSparesLateCommits))
    job.at = txn.now();
  return add_job(txn, job);
}

Status start_move(TxnImpl& txn, MountRecord& record, std::string_view id) {
  COFFER_CHECK(record.moving.has_value());
  record.disabled = true;
  COFFER_TRY(put_mount(txn, record));
  Job job;
  job.id = std::string(kMoveJobHead).append(id);
  job.kind = Job::Kind::kMoveMount;
  job.mount = record.info.id;
  job.ns = record.info.namespace_id;
  job.prefix = id;
  return add_job(txn, job);
}

Result<bool> moved_just_now(TxnImpl& txn, const MountRecord& record) {
  COFFER_ASSIGN(const auto job,
                txn.get(layout::core_key(std::string(layout::kJobPrefix) + old_place_job(record.info.id))));
  return job.has_value();
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
  arena_.reset();
  TxnImpl txn(*view, *published->barrier, arena_, services_.committer.cluster_now(), buffers_);
  COFFER_TRY(work_(txn, *published, arena_));
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
  if (outcome == CommitOutcome::kCommitted) {
    publish_changes(services_, buffers_.changes);
    return finish(ok_status());
  }
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
  std::erase_if(state->progress, [&](const auto& entry) {
    return std::ranges::none_of(*published->jobs, [&](const Job& one) { return one.id == entry.first; });
  });
  const auto progress = std::make_shared<Progress>();
  Logger* log = services_.log;
  SystemTask::start(
      services_,
      [job, state, progress](TxnImpl& txn, const Published& now, json::Arena& arena) {
        *progress = state->progress[job.id];
        return state->stopped ? ok_status() : step(txn, now, arena, job, *progress);
      },
      [job, state, progress, log](const Status& status) {
        if (status.ok())
          state->progress[job.id] = *progress;
        if (status.ok() && progress->tidy.report.finished && log != nullptr)
          log->info("expiration", tidy_summary(job, progress->tidy.report));
        state->busy = false;
      });
  return true;
}

}  // namespace coffer::core
