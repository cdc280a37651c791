#include "core/expiry_driver.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "core/layout.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr std::size_t kTimeDigits = 16;

struct Due {
  WallTime at;
  std::string hash;
};

// The first `limit` records in order of expiry that end at or before `now`; `next` is when the one after them ends.
Result<std::vector<Due>> read_due(const store::View& view, WallTime now, std::size_t limit, std::optional<WallTime>& next) {
  const store::StoreKey folder = layout::token_key(layout::kExpiryPrefix);
  const std::string begin = store::full_key(folder.cls, folder.ns, folder.mount, folder.rest);
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view.cursor());
  COFFER_ASSIGN(bool more, cursor->seek(begin));
  std::vector<Due> due;
  while (more && cursor->key().starts_with(begin)) {
    const std::string_view name = cursor->key().substr(begin.size());
    std::uint64_t nanos = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + std::min(name.size(), kTimeDigits), nanos, 16);
    if (error != std::errc() || name.size() <= kTimeDigits || name[kTimeDigits] != '/')
      return Status(Code::kDataLoss, "an expiry record's name has no time");
    const WallTime at{Nanos(static_cast<std::int64_t>(nanos))};
    if (at > now || due.size() >= limit) {
      next = at;
      break;
    }
    due.push_back({at, std::string(name.substr(kTimeDigits + 1))});
    COFFER_ASSIGN(more, cursor->next());
  }
  return due;
}

// Revokes those whose time is over as of this transaction: one that was renewed meanwhile is left alone. What cannot be revoked is
// named in `failed` and does not hold up the others.
Status revoke_due(TxnImpl& txn, const Published& published, json::Arena& arena, const std::vector<std::string>& hashes,
                  std::vector<std::string>& failed) {
  TokenStore tokens(txn, published, arena);
  failed.clear();
  for (const std::string& hash : hashes) {
    const TxnImpl::Savepoint before = txn.savepoint();
    const Result<std::optional<StoredToken>> token = tokens.stored(hash);
    Status status = token.status();
    if (token.ok() && *token && (*token)->record.expired(txn.now()))
      status = tokens.revoke_tree(arena.copy(hash));
    if (!status.ok()) {
      txn.rollback(before);
      failed.push_back(hash);
    }
    if (txn.ops() > limits::kEntryOpsMax / 4)
      break;
  }
  return ok_status();
}

}  // namespace

struct ExpiryDriver::State {
  std::mutex mutex;
  Expiry queue{Expiry::Options{.step_leases_max = limits::kExpiryBatchTokensMax}};  // guarded by mutex
  std::atomic<bool> busy{false};
  std::atomic<bool> stopped{false};
};

ExpiryDriver::ExpiryDriver(const Services& services) : services_(services), state_(std::make_shared<State>()) {}
ExpiryDriver::~ExpiryDriver() { state_->stopped = true; }

bool ExpiryDriver::idle() const { return !state_->busy; }

std::size_t ExpiryDriver::irrevocable_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.irrevocable_count();
}

std::optional<WallTime> ExpiryDriver::tick() {
  if (state_->busy || !services_.committer.is_leader())
    return std::nullopt;
  Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (published == nullptr || published->sealed)
    return std::nullopt;
  const WallTime now = services_.committer.cluster_now();
  std::optional<WallTime> next;
  std::size_t known = 0;
  {
    const std::lock_guard lock(state_->mutex);
    known = state_->queue.size();
  }
  // Those that wait for another try stand in front: one reads past them.
  const Result<std::vector<Due>> due = read_due(**view, now, limits::kExpiryBatchTokensMax + known, next);
  view->reset();
  if (!due.ok())
    return std::nullopt;
  std::vector<std::string> hashes;
  {
    const std::lock_guard lock(state_->mutex);
    for (const Due& one : *due)
      state_->queue.put(one.hash, one.at);
    Expiry::Step step = state_->queue.step(now);
    hashes = std::move(step.revoke);
    if (step.wake_at && (!next || *step.wake_at < *next))
      next = step.wake_at;
  }
  if (hashes.empty())
    return next;
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  const auto failed = std::make_shared<std::vector<std::string>>();
  SystemTask::start(
      services_,
      [state, hashes, failed](TxnImpl& txn, const Published& current, json::Arena& arena) {
        return state->stopped ? ok_status() : revoke_due(txn, current, arena, hashes, *failed);
      },
      [state, hashes, failed, now](const Status& status) {
        const std::lock_guard lock(state->mutex);
        for (const std::string& hash : hashes) {
          const bool is_bad = std::find(failed->begin(), failed->end(), hash) != failed->end();
          status.ok() && !is_bad ? state->queue.revoked(hash) : state->queue.failed(hash, now);
        }
        state->busy = false;
      });
  return std::nullopt;
}

}  // namespace coffer::core
