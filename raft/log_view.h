// The core's picture of its log: all that it appended, whether or not the shell has written it yet. Holds the newest
// entries in memory, within a bound once they are synced, and reads older ones through the log port.
//
// Threads: one (the node's).
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "base/status.h"
#include "store/log.h"

namespace coffer::raft {

class LogView {
 public:
  // `log` must outlive this object. Nothing is kept in memory at first.
  LogView(const store::Log& log, std::size_t tail_bytes_max);

  Index first_index() const;
  Index last_index() const noexcept { return last_; }
  Term last_term() const noexcept { return last_term_; }

  // kNotFound below first_index()-1 (cut away) and above last_index(); kDataLoss when the record is damaged.
  Result<Term> term_at(Index index) const;
  // Entries [from, to], at most `bytes_max` of payload but at least one. `from` must be in the log.
  Result<std::vector<store::LogRecord>> read(Index from, Index to, std::size_t bytes_max) const;
  bool matches(Index index, Term term) const;

  // The last entry at or below `index` whose term is at most `term`: where another log that rejected us may match.
  Index last_at_most(Index index, Term term) const;

  void append(store::LogRecord record);
  void truncate_from(Index from);
  // A snapshot replaces everything.
  void reset_to(Index index, Term term);
  // What is synced may be forgotten, beyond the bound.
  void synced(Index index);

  std::size_t tail_bytes() const noexcept { return tail_bytes_; }

 private:
  Index tail_first() const noexcept { return Index(last_.get() + 1 - tail_.size()); }
  void drop_front();

  const store::Log& log_;
  const std::size_t tail_bytes_max_;
  std::deque<store::LogRecord> tail_;  // ends at last_
  std::size_t tail_bytes_ = 0;
  Index last_;
  Term last_term_;
  Index base_;      // where the last snapshot ended; nothing older is read, whatever the port still holds
  Term base_term_;
};

}  // namespace coffer::raft
