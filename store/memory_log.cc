#include "store/memory_log.h"

namespace coffer::store {

Index MemoryLog::first_index() const {
  const std::lock_guard lock(mutex_);
  return base_index_.next();
}

Index MemoryLog::last_index() const {
  const std::lock_guard lock(mutex_);
  return last_locked();
}

Term MemoryLog::last_term() const {
  const std::lock_guard lock(mutex_);
  return records_.empty() ? base_term_ : records_.back().term;
}

HardState MemoryLog::hard_state() const {
  const std::lock_guard lock(mutex_);
  return hard_state_;
}

Status MemoryLog::append(std::span<const LogRecord> records) {
  const std::lock_guard lock(mutex_);
  for (const LogRecord& record : records) {
    COFFER_CHECK(record.index == last_locked().next());
    COFFER_CHECK(record.payload != nullptr);
    records_.push_back(record);
  }
  return ok_status();
}

Status MemoryLog::truncate_from(Index from) {
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(from > base_index_);
  while (!records_.empty() && records_.back().index >= from)
    records_.pop_back();
  return ok_status();
}

Status MemoryLog::save_hard_state(const HardState& state) {
  const std::lock_guard lock(mutex_);
  hard_state_ = state;
  return ok_status();
}

Result<Term> MemoryLog::term_at(Index index) const {
  const std::lock_guard lock(mutex_);
  if (index == base_index_)
    return base_term_;
  if (index < base_index_ || index > last_locked())
    return Status(Code::kNotFound, "the log does not hold record " + std::to_string(index.get()));
  return records_[index.get() - base_index_.get() - 1].term;
}

Result<std::vector<LogRecord>> MemoryLog::read(Index from, Index to_inclusive, std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  if (from <= base_index_ || to_inclusive > last_locked())
    return Status(Code::kNotFound, "the log does not hold records " + std::to_string(from.get()) + " to " +
                                       std::to_string(to_inclusive.get()));
  std::vector<LogRecord> found;
  std::size_t bytes = 0;
  for (Index at = from; at <= to_inclusive; at = at.next()) {
    const LogRecord& record = records_[at.get() - base_index_.get() - 1];
    bytes += record.payload->size();
    if (!found.empty() && bytes > bytes_max)
      break;
    found.push_back(record);
  }
  return found;
}

Status MemoryLog::cut_below(Index index) {
  const std::lock_guard lock(mutex_);
  while (!records_.empty() && records_.front().index < index) {
    base_index_ = records_.front().index;
    base_term_ = records_.front().term;
    records_.pop_front();
  }
  return ok_status();
}

Status MemoryLog::reset_to(Index index, Term term) {
  const std::lock_guard lock(mutex_);
  records_.clear();
  base_index_ = index;
  base_term_ = term;
  return ok_status();
}

}  // namespace coffer::store
