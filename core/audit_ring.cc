#include "core/audit_ring.h"

#include <utility>

#include "base/check.h"

namespace coffer::core {

void AuditVote::device_says(const Status& status) {
  if (status.ok()) {
    if (!answered_.exchange(true))
      sink_.audited(std::move(exchange_), status);
    left_.fetch_sub(1);
    return;
  }
  // Only the last device may refuse for all: an earlier refusal leaves the others their chance.
  if (left_.fetch_sub(1) == 1 && !answered_.exchange(true))
    sink_.audited(std::move(exchange_), status);
}

bool AuditRing::offer(std::string_view lines, AuditTicket& ticket, BootTime deadline) {
  COFFER_CHECK(!lines.empty());
  COFFER_DEBUG_CHECK(lines.back() == '\n');
  if (queued_lines_ >= limits_.lines || (queued_bytes_ != 0 && queued_bytes_ + lines.size() > limits_.bytes))
    return false;
  if (queue_.empty() || queue_.back().bytes.size() + lines.size() > limits_.batch_bytes)
    queue_.push_back(std::exchange(spare_, Batch{}));
  Batch& batch = queue_.back();
  batch.bytes.append(lines);
  batch.waiters.push_back(Waiter{std::move(ticket), deadline});
  ++batch.lines;
  queued_bytes_ += lines.size();
  ++queued_lines_;
  return true;
}

std::string_view AuditRing::take() {
  COFFER_CHECK(!out_);
  if (queue_.empty())
    return {};
  current_ = std::move(queue_.front());
  queue_.pop_front();
  out_ = true;
  COFFER_CHECK(!current_.empty());
  COFFER_CHECK(queued_bytes_ >= current_.bytes.size());
  queued_bytes_ -= current_.bytes.size();
  queued_lines_ -= current_.lines;
  return current_.bytes;
}

void AuditRing::finish_batch(std::vector<Waiter>& waiters) {
  COFFER_CHECK(out_);
  out_ = false;
  waiters.clear();
  waiters.swap(current_.waiters);
  current_.bytes.clear();
  current_.lines = 0;
  if (current_.bytes.capacity() <= 2 * limits_.batch_bytes)
    spare_ = std::move(current_);
  current_ = Batch{};
}

void AuditRing::collect_due(std::vector<Waiter>& from, BootTime now, std::vector<Waiter>& into) {
  // Deadlines grow in submission order but for clock ties, so a prefix is due.
  std::size_t due = 0;
  while (due < from.size() && from[due].deadline <= now)
    ++due;
  for (std::size_t i = 0; i < due; ++i)
    into.push_back(std::move(from[i]));
  from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(due));
}

std::vector<AuditRing::Waiter> AuditRing::give_up(BootTime now) {
  std::vector<Waiter> due;
  if (out_)
    collect_due(current_.waiters, now, due);
  for (Batch& batch : queue_)
    collect_due(batch.waiters, now, due);
  return due;
}

std::vector<AuditRing::Waiter> AuditRing::drain() {
  std::vector<Waiter> all;
  if (out_) {
    for (Waiter& waiter : current_.waiters)
      all.push_back(std::move(waiter));
    current_.waiters.clear();
  }
  for (Batch& batch : queue_)
    for (Waiter& waiter : batch.waiters)
      all.push_back(std::move(waiter));
  queue_.clear();
  queued_bytes_ = 0;
  queued_lines_ = 0;
  return all;
}

}  // namespace coffer::core
