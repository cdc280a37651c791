// A log without a disk, for `inmem` and dev mode. Nothing survives the process; sync() does nothing.
#pragma once

#include <deque>
#include <mutex>

#include "store/log.h"

namespace coffer::store {

class MemoryLog final : public Log {
 public:
  Index first_index() const override;
  Index last_index() const override;
  Term last_term() const override;
  HardState hard_state() const override;
  Status append(std::span<const LogRecord> records) override;
  Status truncate_from(Index from) override;
  Status save_hard_state(const HardState& state) override;
  Status sync() override { return ok_status(); }
  Result<Term> term_at(Index index) const override;
  Result<std::vector<LogRecord>> read(Index from, Index to_inclusive, std::size_t bytes_max) const override;
  // Frees records one by one, unlike the log on disk.
  Status cut_below(Index index) override;
  Status reset_to(Index index, Term term) override;

 private:
  Index last_locked() const { return Index(base_index_.get() + records_.size()); }

  mutable std::mutex mutex_;
  Index base_index_;  // of the record before the first one held
  Term base_term_;
  std::deque<LogRecord> records_;
  HardState hard_state_;
};

}  // namespace coffer::store
