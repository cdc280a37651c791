// Reads at a node that does not lead: each waits until the leader has said which index it has to show, and until this
// node shows it. Then it runs here, and sees all that was acknowledged anywhere before it came.
//
// Those that come while a question is under way go with the next one together: a question that was asked before a
// request came says nothing of what was acknowledged in between.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/group.h"
#include "core/request.h"

namespace coffer::core {

// Thread-safe. Outlives the exchanges that it was given, and the group's answers to its questions.
class StandbyReader {
 public:
  static constexpr std::size_t kRequestsMax = 16'384;  // that wait for the next question
  static constexpr unsigned kRoundsMax = 2;            // questions under way at once

  // `group` outlives this.
  explicit StandbyReader(Group& group) : group_(group) {}
  ~StandbyReader();
  StandbyReader(const StandbyReader&) = delete;
  StandbyReader& operator=(const StandbyReader&) = delete;

  // Any thread. True: it took the exchange, and Home::resume_later() follows, with PipelineState::read saying whether a
  // view taken then shows what it must. False: no leader is known or too many wait, and the exchange is as it was.
  // Whoever waits hears within the time that the group takes for one question.
  bool ask(std::unique_ptr<Exchange>& exchange);

  struct Counts {
    std::uint64_t questions = 0;
    std::uint64_t confirmed = 0;    // reads
    std::uint64_t unconfirmed = 0;  // likewise
  };
  Counts counts() const;

 private:
  using Round = std::vector<std::unique_ptr<Exchange>>;

  void begin(Round round);
  void end(Round round, bool confirmed);

  Group& group_;
  mutable std::mutex mutex_;
  Counts counts_;        // guarded by mutex_
  Round waiting_;        // guarded by mutex_
  unsigned rounds_ = 0;  // guarded by mutex_; under way
};

}  // namespace coffer::core
