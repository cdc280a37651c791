// The port between the Raft group and its log: a segmented write-ahead log on disk, or memory.
//
// Threads: append(), truncate_from(), save_hard_state(), cut_below() and reads belong to one thread at a time (the
// node's); sync() may run on another thread while the first appends on; it covers what was appended before it began.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong.h"

namespace coffer::store {

struct LogRecord {
  Index index;
  Term term;
  std::uint8_t kind = 0;                       // meaning is the Raft core's
  std::shared_ptr<const std::string> payload;  // never null; may be empty; shared so that no layer copies it
};

// What a voter promised. Durable before any message that depends on it is sent.
struct HardState {
  Term term;
  std::uint64_t voted_for = 0;    // node number, 0 is nobody
  Index commit;                   // a hint: how far replay may apply at once
  std::uint64_t incarnation = 0;  // grows by one at each start
};

class Log {
 public:
  virtual ~Log() = default;

  virtual Index first_index() const = 0;  // of the oldest record held; last_index().next() when empty
  virtual Index last_index() const = 0;   // 0 when nothing was ever appended or installed
  virtual Term last_term() const = 0;
  virtual HardState hard_state() const = 0;

  // Buffers records; indexes are contiguous and follow last_index(). Durable after the next sync() that succeeds. A
  // failure is final: the log must be reopened.
  virtual Status append(std::span<const LogRecord> records) = 0;
  // Drops `from` and everything after it. Never below the commit index (the core's invariant).
  virtual Status truncate_from(Index from) = 0;
  virtual Status save_hard_state(const HardState& state) = 0;
  // Everything appended or saved before the call is on disk when it returns. After a failure every later call fails: a
  // sync is never retried on the same descriptor.
  virtual Status sync() = 0;

  virtual Result<Term> term_at(Index index) const = 0;  // also for first_index()-1
  // Records from `from` on, at most `bytes_max` of payload but at least one. kDataLoss when a record is damaged.
  virtual Result<std::vector<LogRecord>> read(Index from, Index to_inclusive, std::size_t bytes_max) const = 0;

  // Frees whole segments that lie below `index`.
  virtual Status cut_below(Index index) = 0;
  // Forgets everything and goes on after a snapshot that ends at (index, term).
  virtual Status reset_to(Index index, Term term) = 0;
};

}  // namespace coffer::store
