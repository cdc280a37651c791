#include "tests/raft/memory_log.h"

#include <algorithm>

namespace coffer::testing {

void MemoryLog::apply(Image& image, const Write& write) {
  if (const auto* record = std::get_if<store::LogRecord>(&write)) {
    COFFER_CHECK(record->index.get() == image.base.get() + image.records.size() + 1);
    image.records.push_back(*record);
  } else if (const auto* truncate = std::get_if<Truncate>(&write)) {
    COFFER_CHECK(truncate->from > image.base);
    image.records.resize(truncate->from.get() - image.base.get() - 1);
  } else if (const auto* hard = std::get_if<store::HardState>(&write)) {
    image.hard = *hard;
  } else {
    const auto& reset = std::get<Reset>(write);
    image.records.clear();
    image.base = reset.index;
    image.base_term = reset.term;
  }
}

Status MemoryLog::append(std::span<const store::LogRecord> records) {
  for (const store::LogRecord& record : records) {
    journal_.push_back(record);
    apply(now_, journal_.back());
  }
  return Status();
}

Status MemoryLog::truncate_from(Index from) {
  journal_.push_back(Truncate{from});
  apply(now_, journal_.back());
  return Status();
}

Status MemoryLog::save_hard_state(const store::HardState& state) {
  journal_.push_back(state);
  apply(now_, journal_.back());
  return Status();
}

Status MemoryLog::sync() {
  if (broken_)
    return Status(Code::kIo, "the log's sync failed");
  sync_to(journal_.size());
  return Status();
}

void MemoryLog::sync_to(std::size_t mark) {
  COFFER_CHECK(mark <= journal_.size());
  if (broken_)
    return;
  for (std::size_t i = 0; i < mark; ++i)
    apply(durable_, journal_[i]);
  journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(mark));
  cut(durable_);
}

Result<Term> MemoryLog::term_at(Index index) const {
  if (index == now_.base)
    return now_.base_term;
  if (index < now_.base || index > last_index())
    return Status(Code::kNotFound, "no such entry");
  return now_.records[index.get() - now_.base.get() - 1].term;
}

Result<std::vector<store::LogRecord>> MemoryLog::read(Index from, Index to, std::size_t bytes_max) const {
  COFFER_CHECK(from > now_.base && from <= to && to <= last_index());
  std::vector<store::LogRecord> out;
  std::size_t bytes = 0;
  for (std::size_t i = from.get() - now_.base.get() - 1; i < to.get() - now_.base.get(); ++i) {
    bytes += now_.records[i].payload->size();
    if (bytes > bytes_max && !out.empty())
      break;
    out.push_back(now_.records[i]);
  }
  return out;
}

void MemoryLog::cut(Image& image) {
  if (cut_ <= image.base.next() || image.records.empty())
    return;
  const std::size_t count = std::min<std::size_t>(cut_.get() - image.base.get() - 1, image.records.size());
  if (count == 0)
    return;
  image.base_term = image.records[count - 1].term;
  image.base = Index(image.base.get() + count);
  image.records.erase(image.records.begin(), image.records.begin() + static_cast<std::ptrdiff_t>(count));
}

// The durable image follows with the next sync: what is still in the journal may concern entries below the cut.
Status MemoryLog::cut_below(Index index) {
  cut_ = std::max(cut_, index);
  cut(now_);
  return Status();
}

Status MemoryLog::reset_to(Index index, Term term) {
  journal_.push_back(Reset{index, term});
  apply(now_, journal_.back());
  return Status();
}

void MemoryLog::crash(std::size_t keep) {
  sync_to(std::min(keep, journal_.size()));
  journal_.clear();
  now_ = durable_;
}

void MemoryLog::wipe() {
  journal_.clear();
  now_ = durable_ = Image();
  cut_ = Index(0);
}

}  // namespace coffer::testing
