#include "core/activity.h"

#include <algorithm>
#include <chrono>

#include "base/codec.h"
#include "base/encoding.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "crypto/sha256.h"

namespace coffer::core {
namespace {

constexpr std::size_t kEntryClientsMax = 256;
constexpr Nanos kPause = std::chrono::seconds(5);

std::chrono::year_month civil(WallTime at) {
  const auto day = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<Nanos>(at.time_since_epoch()));
  const std::chrono::year_month_day date(day);
  return date.year() / date.month();
}

Month number(std::chrono::year_month month) {
  return static_cast<Month>(static_cast<int>(month.year())) * 100 + static_cast<unsigned>(month.month());
}

std::chrono::year_month parts(Month month) {
  return std::chrono::year(static_cast<int>(month / 100)) / std::chrono::month(month % 100);
}

std::string record_name(const SeenClient& client) {
  std::string name(layout::kActivityPrefix);
  name.append(std::to_string(month_of(client.at))).append(client.entity ? "/e/" : "/n/");
  layout::append_hex(name, client.ns.get(), 8);
  return name.append("/").append(client.accessor).append("/").append(client.id);
}

// A client that is there already stays as it was.
Status write_clients(TxnImpl& txn, json::Arena& arena, const std::vector<SeenClient>& clients) {
  for (const SeenClient& client : clients) {
    const store::StoreKey key = layout::token_key(arena.copy(record_name(client)));
    COFFER_ASSIGN(const auto there, txn.get(key));
    if (there)
      continue;
    std::string value;
    ByteWriter(value).u8(1).u64(static_cast<std::uint64_t>(client.at.time_since_epoch().count()));
    COFFER_TRY(txn.put(key, value));
  }
  return ok_status();
}

// The oldest stand first.
Status prune(TxnImpl& txn, Month oldest) {
  COFFER_ASSIGN(const TxnImpl::NamePage page,
                txn.names(layout::token_key(layout::kActivityPrefix), {}, kEntryClientsMax, false));
  for (const std::string_view name : page.names) {
    const std::string_view month = name.substr(layout::kActivityPrefix.size(), 6);
    if (month >= std::to_string(oldest))
      break;
    COFFER_TRY(txn.erase(layout::token_key(name)));
  }
  return ok_status();
}

}  // namespace

Month month_of(WallTime at) { return number(civil(at)); }
Month month_after(Month month, int by) { return number(parts(month) + std::chrono::months(by)); }
WallTime month_begins(Month month) {
  const std::chrono::sys_days day(parts(month) / std::chrono::day(1));
  return WallTime(std::chrono::duration_cast<Nanos>(day.time_since_epoch()));
}

std::string client_of_policies(std::string_view policies, NamespaceId ns) {
  std::string text(policies);
  text.append(1, kPolicySeparator).append(std::to_string(ns.get()));
  const auto digest = crypto::sha256(std::string_view(text));
  return base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string encode(const ActivityConfig& config) {
  std::string out;
  ByteWriter(out).u8(1).u8(config.enabled ? 1 : 0).u32(config.retention_months).u32(config.report_months);
  return out;
}

Result<ActivityConfig> read_activity_config(TxnImpl& txn) {
  ActivityConfig config;
  COFFER_ASSIGN(const auto stored, txn.get(layout::token_key(layout::kActivityConfig)));
  if (!stored)
    return config;
  ByteReader reader(*stored);
  const std::uint8_t format = reader.u8();
  config.enabled = reader.u8() != 0;
  config.retention_months = reader.u32();
  config.report_months = reader.u32();
  COFFER_TRY(reader.finish().with_context("the configuration of client counts"));
  if (format != 1)
    return Status(Code::kDataLoss, "the configuration of client counts has an unknown form");
  return config;
}

ActivityLog::Seen& ActivityLog::of_this_thread() noexcept {
  thread_local Seen seen;
  return seen;
}

// mutex_ is held.
void ActivityLog::begin_month(WallTime at) {
  if (at.time_since_epoch().count() < month_ends_.load(std::memory_order_relaxed))
    return;
  month_.clear();
  month_ends_ = month_begins(month_after(month_of(at))).time_since_epoch().count();
  ++epoch_;
}

// mutex_ is held.
void ActivityLog::remember(std::uint64_t mark) {
  Seen& seen = of_this_thread();
  if (seen.epoch == epoch_)
    seen.marks[mark % kMarks] = mark;
}

bool ActivityLog::is_unknown(std::uint64_t mark, WallTime now) {
  if (!is_new(mark, now))
    return false;
  const std::lock_guard lock(mutex_);
  begin_month(now);
  if (!month_.contains(mark))
    return true;
  remember(mark);
  return false;
}

void ActivityLog::note_counted(std::uint64_t mark, WallTime now) {
  const std::lock_guard lock(mutex_);
  begin_month(now);
  if (month_.size() < kClientsMax)
    month_.insert(mark);
}

void ActivityLog::add(std::uint64_t mark, SeenClient client) {
  const std::lock_guard lock(mutex_);
  begin_month(client.at);
  // Another thread has said so already: this one learns it.
  const bool known = month_.contains(mark);
  if (!known && pending_.size() >= kPendingMax)
    return;
  if (!known) {
    if (month_.size() < kClientsMax)
      month_.insert(mark);
    pending_.push_back(std::move(client));
  }
  remember(mark);
}

void ActivityLog::forget() {
  const std::lock_guard lock(mutex_);
  month_.clear();
  pending_.clear();
  ++epoch_;
}

std::vector<SeenClient> ActivityLog::take(std::size_t clients_max) {
  const std::lock_guard lock(mutex_);
  std::vector<SeenClient> out;
  const std::size_t count = std::min(clients_max, pending_.size());
  out.assign(std::make_move_iterator(pending_.end() - static_cast<std::ptrdiff_t>(count)),
             std::make_move_iterator(pending_.end()));
  pending_.resize(pending_.size() - count);
  return out;
}

void ActivityLog::put_back(std::vector<SeenClient> clients) {
  const std::lock_guard lock(mutex_);
  for (SeenClient& client : clients)
    if (pending_.size() < kPendingMax)
      pending_.push_back(std::move(client));
}

std::size_t ActivityLog::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_.size();
}

struct ActivityWriter::State {
  std::atomic<bool> busy{false};
  std::atomic<bool> stopped{false};
};

ActivityWriter::ActivityWriter(const Services& services, ActivityLog& log)
    : services_(services), log_(log), state_(std::make_shared<State>()) {}
ActivityWriter::~ActivityWriter() { state_->stopped = true; }
bool ActivityWriter::idle() const { return !state_->busy; }

bool ActivityWriter::tick(BootTime now) {
  if (state_->busy || now < due_ || !services_.committer.is_leader())
    return false;
  due_ = now + kPause;
  const auto clients = std::make_shared<std::vector<SeenClient>>(log_.take(kEntryClientsMax));
  // Without any it still looks what is configured and what is too old.
  state_->busy = true;
  const std::shared_ptr<State> state = state_;
  ActivityLog* log = &log_;
  SystemTask::start(
      services_,
      [state, clients, log](TxnImpl& txn, const Published&, json::Arena& arena) -> Status {
        if (state->stopped)
          return ok_status();
        COFFER_ASSIGN(const ActivityConfig config, read_activity_config(txn));
        log->enable(config.enabled);
        COFFER_TRY(prune(txn, month_after(month_of(txn.now()), -static_cast<int>(config.retention_months))));
        return config.enabled ? write_clients(txn, arena, *clients) : ok_status();
      },
      [state, clients, log](const Status& status) {
        if (!status.ok() && !state->stopped)
          log->put_back(std::move(*clients));
        state->busy = false;
      });
  return true;
}

}  // namespace coffer::core
