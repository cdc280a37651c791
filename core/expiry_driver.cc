#include "core/expiry_driver.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/limits.h"
#include "core/layout.h"
#include "core/lease_record.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr std::size_t kTimeDigits = 16;
constexpr std::size_t kNamesWarnedMax = 4096;  // kept, so that nobody is told twice
constexpr Nanos kPauseNotTried = std::chrono::seconds(10);  // after the node took no write

// A row of the order of expiry: its time in hex, a slash, and the hash of the token that ends then.
struct Due {
  WallTime at;
  std::string row;
};

std::optional<WallTime> time_of(std::string_view row) {
  std::uint64_t nanos = 0;
  const auto [end, error] = std::from_chars(row.data(), row.data() + std::min(row.size(), kTimeDigits), nanos, 16);
  if (error != std::errc() || end != row.data() + kTimeDigits || row.size() <= kTimeDigits || row[kTimeDigits] != '/')
    return std::nullopt;
  return WallTime{Nanos(static_cast<std::int64_t>(nanos))};
}

// As an operator can read it: what is damaged may hold any bytes.
std::string shown(std::string_view row) {
  std::string out(layout::kExpiryPrefix);
  for (const char c : row) {
    if (c > 0x20 && c < 0x7f)
      out += c;
    else
      layout::append_hex(out.append("\\x"), static_cast<unsigned char>(c), 2);
  }
  return out;
}

// What a step found wrong, by row.
struct Complaint {
  std::string row;
  std::string what;
};

constexpr std::size_t kRowsLookedAtMax = 8192;  // in one tick

// "l", 8 hex digits of the mount, the key: a lease; else the hash of a token.
std::optional<LeaseRevoker::Due> lease_of(std::string_view row, WallTime at) {
  const std::string_view name = row.substr(kTimeDigits + 1);
  if (name.size() != 1 + 8 + kLeaseKeyText || name.front() != 'l')
    return std::nullopt;
  std::uint32_t mount = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + 9, mount, 16);
  if (error != std::errc() || end != name.data() + 9)
    return std::nullopt;
  return LeaseRevoker::Due{at, MountId(mount), std::string(name.substr(9))};
}

// Revokes the token of this row if its time is over as of this transaction: one that was renewed meanwhile is left
// alone. True when the row itself leads nowhere and was removed.
Result<bool> revoke_row(TxnImpl& txn, TokenStore& tokens, json::Arena& arena, const std::string& row) {
  const std::string_view hash = arena.copy(std::string_view(row).substr(kTimeDigits + 1));
  COFFER_ASSIGN(const std::optional<StoredToken> token, tokens.stored(hash));
  if (token && token->record.expires == time_of(row)) {
    if (token->record.expired(txn.now()))
      COFFER_TRY(tokens.revoke_tree(hash));
    return false;
  }
  const store::StoreKey key = layout::token_key(arena.copy(std::string(layout::kExpiryPrefix) + row));
  COFFER_ASSIGN(const auto there, txn.get(key));
  if (!there)
    return false;
  COFFER_TRY(txn.erase(key));
  return true;
}

struct Outcome {
  std::vector<std::string> failed;
  std::vector<Complaint> complaints;
};

// What cannot be revoked is named in `out` and does not hold up the others.
Status revoke_due(TxnImpl& txn, const Published& published, json::Arena& arena, const std::vector<std::string>& rows,
                  Outcome& out) {
  TokenStore tokens(txn, published, arena);
  out = Outcome();
  for (const std::string& row : rows) {
    const TxnImpl::Savepoint before = txn.savepoint();
    const Result<bool> stray = revoke_row(txn, tokens, arena, row);
    if (!stray.ok()) {
      txn.rollback(before);
      out.failed.push_back(row);
      out.complaints.push_back({row, "cannot be carried out and will be tried again: " + stray.status().message()});
    } else if (*stray) {
      out.complaints.push_back({row, "belongs to no token that ends then and is removed"});
    }
    if (txn.ops() > limits::kEntryOpsMax / 4)
      break;
  }
  return ok_status();
}

// The node takes no writes at present; the token is not at fault.
bool not_tried(Code code) {
  return code == Code::kUnavailable || code == Code::kExhausted || code == Code::kSealed ||
         code == Code::kOutcomeUnknown;
}

}  // namespace

struct ExpiryDriver::State {
  explicit State(Warn warn_in) : warn(std::move(warn_in)) {}

  // Under mutex.
  void complain(const std::vector<Complaint>& complaints) {
    for (const Complaint& complaint : complaints) {
      if (warned.size() >= kNamesWarnedMax || !warned.insert(complaint.row).second || !warn)
        continue;
      warn("the record " + shown(complaint.row) + " " + complaint.what);
    }
  }
  void finish(const std::vector<std::string>& rows, const Outcome& outcome, const Status& status, WallTime now) {
    const std::lock_guard lock(mutex);
    if (status.ok())
      complain(outcome.complaints);
    else if (!not_tried(status.code()) && warn)
      warn("expired tokens were not revoked and will be tried again: " + status.message());
    for (const std::string& row : rows) {
      const bool is_bad = std::find(outcome.failed.begin(), outcome.failed.end(), row) != outcome.failed.end();
      // Forgotten when not tried: the store still has it, and it is read again after the pause.
      if (not_tried(status.code()) || (status.ok() && !is_bad))
        queue.revoked(row);
      else
        queue.failed(row, now);
    }
    if (not_tried(status.code()))
      resume_at = now + kPauseNotTried;
    busy = false;
  }

  const Warn warn;
  std::mutex mutex;
  Expiry queue{Expiry::Options{.step_leases_max = limits::kExpiryBatchTokensMax}};  // guarded by mutex
  std::set<std::string, std::less<>> warned;                                        // guarded by mutex
  WallTime resume_at;  // nothing is read before; guarded by mutex
  std::atomic<bool> busy{false};
  std::atomic<bool> stopped{false};
};

struct ExpiryDriver::Front {
  std::vector<Due> tokens;
  std::vector<LeaseRevoker::Due> leases;
  std::optional<WallTime> next;  // when the one after them ends
  std::vector<Complaint> complaints;
};

ExpiryDriver::ExpiryDriver(const Services& services, Warn warn)
    : services_(services), state_(std::make_shared<State>(warn)), leases_(services, warn) {}
ExpiryDriver::~ExpiryDriver() { state_->stopped = true; }

bool ExpiryDriver::idle() const { return !state_->busy && leases_.idle(); }

// What ends at or before `now`, from the front of the order; those that wait for another try stand there too, and one
// reads past `known` of them. Bounded: where a look was cut off, the next one begins.
Result<ExpiryDriver::Front> ExpiryDriver::read_front(const store::View& view, WallTime now, std::size_t known) {
  const store::StoreKey folder = layout::token_key(layout::kExpiryPrefix);
  const std::string begin = store::full_key(folder.cls, folder.ns, folder.mount, folder.rest);
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view.cursor());
  COFFER_ASSIGN(bool more, cursor->seek(from_.empty() ? begin : from_));
  from_.clear();
  Front front;
  const std::size_t tokens_max = state_->busy ? 0 : limits::kExpiryBatchTokensMax + known;
  const std::size_t leases_max = leases_.planning() ? 0 : limits::kExpiryBatchLeasesMax;
  bool passed_over = false;
  for (std::size_t looked = 0; more && cursor->key().starts_with(begin); ++looked) {
    const std::string_view row = cursor->key().substr(begin.size());
    const std::optional<WallTime> at = time_of(row);
    const bool full = (tokens_max > 0 && front.tokens.size() >= tokens_max) ||
                      (leases_max > 0 && front.leases.size() >= leases_max);
    if (at && (*at > now || full || looked >= kRowsLookedAtMax)) {
      front.next = passed_over ? std::min(*at, now) : *at;
      if (*at <= now && !full)
        from_ = cursor->key();
      break;
    }
    if (!at) {
      if (front.complaints.size() < kNamesWarnedMax)
        front.complaints.push_back({std::string(row), "has no time in its name and is passed over"});
    } else if (auto lease = lease_of(row, *at)) {
      if (leases_max > 0 && leases_.wants(*lease))
        front.leases.push_back(std::move(*lease));
      else
        passed_over = true;
    } else if (tokens_max > 0) {
      front.tokens.push_back({*at, std::string(row)});
    } else {
      passed_over = true;
    }
    COFFER_ASSIGN(more, cursor->next());
  }
  if (!front.next && passed_over)
    front.next = now;
  return front;
}

std::size_t ExpiryDriver::irrevocable_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.irrevocable_count();
}

std::optional<WallTime> ExpiryDriver::tick() {
  if (!services_.committer.is_leader())
    return std::nullopt;
  const WallTime now = services_.committer.cluster_now();
  leases_.settle();
  if (state_->busy && leases_.planning())
    return std::nullopt;
  std::size_t known = 0;
  {
    const std::lock_guard lock(state_->mutex);
    if (now < state_->resume_at)
      return state_->resume_at;
    known = state_->queue.size();
  }
  Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (published == nullptr || published->sealed)
    return std::nullopt;
  Result<Front> front = read_front(**view, now, known);
  view->reset();
  std::vector<std::string> rows;
  {
    const std::lock_guard lock(state_->mutex);
    if (!front.ok()) {
      state_->complain({{"", "cannot be read: " + front.status().message()}});
      return std::nullopt;
    }
    state_->complain(front->complaints);
    for (const Due& one : front->tokens)
      state_->queue.put(one.row, one.at);
    if (!state_->busy) {
      Expiry::Step step = state_->queue.step(now);
      rows = std::move(step.revoke);
      if (step.wake_at && (!front->next || *step.wake_at < *front->next))
        front->next = step.wake_at;
    }
  }
  const bool started = !rows.empty() || !front->leases.empty();
  if (!front->leases.empty())
    leases_.revoke(std::move(front->leases));
  if (!rows.empty())
    revoke_tokens(std::move(rows), now);
  return started ? std::nullopt : front->next;
}

void ExpiryDriver::revoke_tokens(std::vector<std::string> rows, WallTime now) {
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  const auto outcome = std::make_shared<Outcome>();
  SystemTask::start(
      services_,
      [state, rows, outcome](TxnImpl& txn, const Published& current, json::Arena& arena) {
        return state->stopped ? ok_status() : revoke_due(txn, current, arena, rows, *outcome);
      },
      [state, rows, outcome, now](const Status& status) { state->finish(rows, *outcome, status, now); });
}

}  // namespace coffer::core
