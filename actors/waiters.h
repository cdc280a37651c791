// Those who wait for the node: for an index to be visible, or for the leader's word on which index a read needs. Pure
// but for the calls of those who wait; the node moves it.
//
// Threads: one (the node's), but an OwedAnswer may be made and dropped by any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::actors {

// Told once; when nobody tells it, that the node has stopped.
class OwedAnswer {
 public:
  using Tell = std::function<void(Status, Index)>;
  explicit OwedAnswer(Tell tell) : tell_(std::move(tell)) {}
  ~OwedAnswer() {
    if (tell_)
      tell_(Status(Code::kUnavailable, "the node has stopped"), Index(0));
  }
  OwedAnswer(const OwedAnswer&) = delete;
  OwedAnswer& operator=(const OwedAnswer&) = delete;
  void tell(Status status, Index index = Index(0)) {
    if (const Tell tell = std::exchange(tell_, nullptr))
      tell(std::move(status), index);
  }

 private:
  Tell tell_;
};
using Owed = std::shared_ptr<OwedAnswer>;

struct Waiter {
  Owed owed;
  BootTime deadline;
};

// Who waits for an index to be applied and published.
class IndexWaiters {
 public:
  explicit IndexWaiters(std::size_t waiters_max) : waiters_max_(waiters_max) {}

  // Tells it at once when there are too many.
  void add(Index index, Waiter waiter);
  // Everything up to `applied` is visible.
  void reached(Index applied);
  void expire(BootTime now);
  // All of them.
  void refuse_all(const Status& status);

 private:
  const std::size_t waiters_max_;
  std::multimap<Index, Waiter> waiting_;
};

// Batches read-index requests: whoever comes while a question is under way goes with the next one.
class ReadRounds {
 public:
  struct Options {
    std::size_t waiters_max = 8192;
    std::size_t rounds_max = 2;                     // under way at once
    Nanos repeat_after{std::chrono::milliseconds(200)};  // a question or its answer may be lost
  };
  explicit ReadRounds(const Options& options) : options_(options) {}

  // Tells it at once when there are too many.
  void ask(Waiter waiter);
  // The number of a question to be asked now for all who wait, if there is one.
  std::optional<std::uint64_t> next(BootTime now);
  // It could not be asked, or the one asked does not lead: who waited for it asks again, a little later.
  void failed(std::uint64_t round, BootTime now);
  // Who waited for it. Empty for a round that is not known any more.
  std::vector<Waiter> answered(std::uint64_t round);
  // Questions without an answer are asked again; who has waited too long is refused.
  void expire(BootTime now);
  // All of them.
  void refuse_all(const Status& status);

 private:
  struct Round {
    BootTime asked;
    std::vector<Waiter> waiters;
  };
  void put_back(std::vector<Waiter> waiters);

  const Options options_;
  std::vector<Waiter> waiting_;
  std::map<std::uint64_t, Round> rounds_;
  std::size_t waiters_ = 0;  // of all
  std::uint64_t last_round_ = 0;
  BootTime not_before_{};
};

}  // namespace coffer::actors
