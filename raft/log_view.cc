#include "raft/log_view.h"

#include <algorithm>

#include "base/check.h"

namespace coffer::raft {

LogView::LogView(const store::Log& log, std::size_t tail_bytes_max)
    : log_(log), tail_bytes_max_(tail_bytes_max), last_(log.last_index()), last_term_(log.last_term()) {}

Index LogView::first_index() const { return std::max(log_.first_index(), base_.next()); }

Result<Term> LogView::term_at(Index index) const {
  if (index == last_)
    return last_term_;
  if (index == Index(0))
    return Term(0);
  if (index > last_ || index < base_)
    return Status(Code::kNotFound, "the log does not reach that entry");
  if (index == base_)
    return base_term_;
  if (index >= tail_first())
    return tail_[index.get() - tail_first().get()].term;
  if (index.next() < log_.first_index())
    return Status(Code::kNotFound, "the log was cut above that entry");
  return log_.term_at(index);
}

Result<std::vector<store::LogRecord>> LogView::read(Index from, Index to, std::size_t bytes_max) const {
  COFFER_CHECK(from >= first_index() && from <= to && to <= last_);
  if (from < tail_first()) {
    const Index stored_to = std::min(to, Index(tail_first().get() - 1));
    return log_.read(from, stored_to, bytes_max);
  }
  std::vector<store::LogRecord> out;
  std::size_t bytes = 0;
  for (std::size_t i = from.get() - tail_first().get(); i < tail_.size() && tail_[i].index <= to; ++i) {
    bytes += tail_[i].payload->size();
    if (bytes > bytes_max && !out.empty())
      break;
    out.push_back(tail_[i]);
  }
  return out;
}

bool LogView::matches(Index index, Term term) const {
  const Result<Term> held = term_at(index);
  return held.ok() && *held == term;
}

Index LogView::last_at_most(Index index, Term term) const {
  Index at = std::min(index, last_);
  while (at > Index(0)) {
    const Result<Term> held = term_at(at);
    if (!held.ok() || *held <= term)
      break;
    at = Index(at.get() - 1);
  }
  return at;
}

void LogView::append(store::LogRecord record) {
  COFFER_CHECK(record.payload != nullptr);
  COFFER_CHECK(record.index == last_.next());
  COFFER_CHECK(record.term >= last_term_);
  last_ = record.index;
  last_term_ = record.term;
  tail_bytes_ += record.payload->size();
  tail_.push_back(std::move(record));
}

void LogView::truncate_from(Index from) {
  COFFER_CHECK(from > base_ && from <= last_);
  const Result<Term> term = term_at(Index(from.get() - 1));
  COFFER_CHECK(term.ok());  // the caller has just compared that entry
  while (!tail_.empty() && tail_.back().index >= from) {
    tail_bytes_ -= tail_.back().payload->size();
    tail_.pop_back();
  }
  last_ = Index(from.get() - 1);
  last_term_ = *term;
}

void LogView::reset_to(Index index, Term term) {
  COFFER_CHECK(index >= base_);
  tail_.clear();
  tail_bytes_ = 0;
  last_ = base_ = index;
  last_term_ = base_term_ = term;
}

void LogView::synced(Index index) {
  while (tail_bytes_ > tail_bytes_max_ && tail_.size() > 1 && tail_.front().index <= index)
    drop_front();
}

void LogView::drop_front() {
  tail_bytes_ -= tail_.front().payload->size();
  tail_.pop_front();
}

}  // namespace coffer::raft
