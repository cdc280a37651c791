#include "core/lease_revoker.h"

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/limits.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/lease_revoke.h"

namespace coffer::core {
namespace {

struct Planned {
  std::string key;
  MountId mount;
  OutsideCall call;
};

struct Outcome {
  std::string key;
  MountId mount;
  Status status;
};

std::string row_name(const LeaseRevoker::Due& due) {
  std::string name(layout::kExpiryPrefix);
  layout::append_hex(name, static_cast<std::uint64_t>(due.at.time_since_epoch().count()), 16);
  name += "/l";
  layout::append_hex(name, due.mount.get(), 8);
  return name + due.key;
}

// One lease. What fails here is damage; what the engine says is in the record.
Status plan_one(TxnImpl& txn, const Published& published, json::Arena& arena, const LeaseRevoker::Due& due,
                std::vector<Planned>& planned) {
  COFFER_ASSIGN(const auto lease, LeaseStore(txn, arena).stored(due.key));
  if (!lease || lease->due != due.at || lease->mount != due.mount)
    return txn.erase(layout::token_key(row_name(due)));
  COFFER_ASSIGN(std::optional<OutsideCall> call, plan_revocation(txn, published, arena, *lease));
  if (call)
    planned.push_back({due.key, due.mount, std::move(*call)});
  return ok_status();
}

}  // namespace

struct LeaseRevoker::State {
  State(const Services& services_in, Warn warn_in) : services(services_in), warn(std::move(warn_in)) {}

  const Services& services;
  const Warn warn;
  mutable std::mutex mutex;  // guards what follows
  std::map<std::string, MountId, std::less<>> under_way;
  std::map<MountId, std::size_t> per_mount;  // calls under way; a mount that ever made one stays
  std::vector<Outcome> results;
  bool planning = false;
  bool settling = false;
  bool stopped = false;
  std::set<std::string, std::less<>> warned;

  void complain(const std::string& what, const Status& status) {
    if (warn && warned.size() < 1024 && warned.insert(what).second)
      warn(what + ": " + status.message());
  }
  // Under mutex.
  void forget(const std::string& key, MountId mount) {
    under_way.erase(key);
    if (const auto it = per_mount.find(mount); it != per_mount.end() && it->second > 0)
      --it->second;
  }
  bool may_call(Term term) const {
    const std::lock_guard lock(mutex);
    return !stopped && services.committer.leader_term() == term && services.committer.lease_valid();
  }
  // On the pool's thread. What this node may not call any more is the next leader's.
  void call(const Planned& planned, Term term) {
    if (!may_call(term)) {
      const std::lock_guard lock(mutex);
      return forget(planned.key, planned.mount);
    }
    Status status = planned.call(limits::kOutsideTimeMax);
    const std::lock_guard lock(mutex);
    if (stopped)
      return forget(planned.key, planned.mount);
    results.push_back({planned.key, planned.mount, std::move(status)});
  }
};

LeaseRevoker::LeaseRevoker(const Services& services, Warn warn)
    : services_(services), state_(std::make_shared<State>(services, std::move(warn))) {}

LeaseRevoker::~LeaseRevoker() {
  const std::lock_guard lock(state_->mutex);
  state_->stopped = true;
}

bool LeaseRevoker::wants(const Due& due) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->under_way.contains(due.key))
    return false;
  const auto it = state_->per_mount.find(due.mount);
  return it == state_->per_mount.end() || it->second < limits::kRevocationsPerMountMax;
}

bool LeaseRevoker::planning() const {
  const std::lock_guard lock(state_->mutex);
  return state_->planning;
}

bool LeaseRevoker::idle() const {
  const std::lock_guard lock(state_->mutex);
  return !state_->planning && !state_->settling && state_->under_way.empty();
}

void LeaseRevoker::revoke(std::vector<Due> due) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->planning = true;
  }
  const std::shared_ptr<State> state = state_;
  const auto planned = std::make_shared<std::vector<Planned>>();
  const Term term = services_.committer.leader_term();
  SystemTask::start(
      services_,
      [state, planned, due = std::move(due)](TxnImpl& txn, const Published& published, json::Arena& arena) {
        planned->clear();
        for (const Due& one : due) {
          const TxnImpl::Savepoint before = txn.savepoint();
          if (const Status status = plan_one(txn, published, arena, one, *planned); !status.ok()) {
            txn.rollback(before);
            const std::lock_guard lock(state->mutex);
            state->complain("a lease that is due cannot be read", status);
          }
          if (txn.ops() > limits::kEntryOpsMax / 4 || txn.bytes() > limits::kEntryBytesMax / 2)
            break;
        }
        return ok_status();
      },
      [state, planned, term](const Status& status) {
        std::vector<Planned> calls;
        {
          const std::lock_guard lock(state->mutex);
          state->planning = false;
          if (!status.ok() || state->stopped)
            return;
          for (Planned& one : *planned) {
            std::size_t& count = state->per_mount[one.mount];
            if (count >= limits::kRevocationsPerMountMax || state->under_way.contains(one.key))
              continue;  // it stays due
            ++count;
            state->under_way.emplace(one.key, one.mount);
            calls.push_back(std::move(one));
          }
        }
        for (Planned& one : calls) {
          const auto shared = std::make_shared<Planned>(std::move(one));
          const auto work = [state, shared, term] { state->call(*shared, term); };
          if (state->services.calls != nullptr && state->services.calls->submit(work))
            continue;
          const std::lock_guard lock(state->mutex);
          state->forget(shared->key, shared->mount);
        }
      });
}

bool LeaseRevoker::settle() {
  std::vector<Outcome> results;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->settling || state_->results.empty())
      return false;
    state_->settling = true;
    const std::size_t count = std::min(state_->results.size(), limits::kExpiryBatchLeasesMax);
    results.assign(std::make_move_iterator(state_->results.begin()),
                   std::make_move_iterator(state_->results.begin() + static_cast<std::ptrdiff_t>(count)));
    state_->results.erase(state_->results.begin(), state_->results.begin() + static_cast<std::ptrdiff_t>(count));
  }
  const std::shared_ptr<State> state = state_;
  const auto shared = std::make_shared<const std::vector<Outcome>>(std::move(results));
  SystemTask::start(
      services_,
      [shared](TxnImpl& txn, const Published& published, json::Arena& arena) {
        for (const Outcome& one : *shared) {
          if (txn.bytes() > limits::kEntryBytesMax / 2)
            break;  // the others are found due again
          COFFER_TRY(conclude_revocation(txn, published, arena, arena.copy(one.key), one.status));
        }
        return ok_status();
      },
      [state, shared](const Status& status) {
        const std::lock_guard lock(state->mutex);
        state->settling = false;
        if (!status.ok() && status.code() != Code::kUnavailable && status.code() != Code::kSealed)
          state->complain("the outcome of a revocation could not be written", status);
        for (const Outcome& one : *shared)
          state->forget(one.key, one.mount);
      });
  return true;
}

}  // namespace coffer::core
