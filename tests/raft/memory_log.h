// A log in memory that tells what is synced from what is not, for unit tests, scenarios and the simulator.
#pragma once

#include <variant>
#include <vector>

#include "store/log.h"

namespace coffer::testing {

// Threads: one. crash() puts it back to what was synced, and a prefix of what was not: a log is one file that is
// written in order.
class MemoryLog final : public store::Log {
 public:
  Index first_index() const override { return Index(now_.base.get() + 1); }
  Index last_index() const override { return Index(now_.base.get() + now_.records.size()); }
  Term last_term() const override { return now_.records.empty() ? now_.base_term : now_.records.back().term; }
  store::HardState hard_state() const override { return now_.hard; }

  Status append(std::span<const store::LogRecord> records) override;
  Status truncate_from(Index from) override;
  Status save_hard_state(const store::HardState& state) override;
  Status sync() override;
  Result<Term> term_at(Index index) const override;
  Result<std::vector<store::LogRecord>> read(Index from, Index to, std::size_t bytes_max) const override;
  Status cut_below(Index index) override;
  Status reset_to(Index index, Term term) override;

  // How many writes since the last sync; a crash keeps the first `keep` of them.
  std::size_t unsynced() const noexcept { return journal_.size(); }
  void crash(std::size_t keep);
  // A sync under way covers what came before it: remember the point, and sync up to it later.
  std::size_t mark() const noexcept { return journal_.size(); }
  void sync_to(std::size_t mark);
  void wipe();
  // From here on syncs fail, and nothing more becomes durable.
  void fail_syncs() { broken_ = true; }

 private:
  struct Image {
    Index base;
    Term base_term;
    std::vector<store::LogRecord> records;
    store::HardState hard;
  };
  struct Truncate {
    Index from;
  };
  struct Reset {
    Index index;
    Term term;
  };
  using Write = std::variant<store::LogRecord, Truncate, store::HardState, Reset>;

  static void apply(Image& image, const Write& write);
  void cut(Image& image);

  Image now_;
  Image durable_;
  std::vector<Write> journal_;  // from durable_ to now_
  Index cut_;
  bool broken_ = false;
};

}  // namespace coffer::testing
