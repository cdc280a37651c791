// What waits for one audit device: lines in submission order, cut into batches, and who is to be told about each. Pure:
// no clock, no thread, no I/O; whoever shares one between threads holds a lock around every call and calls tickets back
// outside of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/status.h"
#include "core/audit.h"

namespace coffer::core {

// One exchange that several devices were asked to log: answered by the first that accepts, or by the last that does
// not.
class AuditVote {
 public:
  AuditVote(std::unique_ptr<Exchange> exchange, AuditSink& sink, std::uint32_t devices)
      : exchange_(std::move(exchange)), sink_(sink), left_(devices) {}
  // Exactly once a device. Any thread.
  void device_says(const Status& status);

 private:
  std::unique_ptr<Exchange> exchange_;
  AuditSink& sink_;
  std::atomic<std::uint32_t> left_;
  std::atomic<bool> answered_{false};
};

// Who hears that a line was accepted or not. Finished exactly once; one that was never filled finishes in silence.
class AuditTicket {
 public:
  AuditTicket() = default;
  AuditTicket(std::unique_ptr<Exchange> exchange, AuditSink& sink) : exchange_(std::move(exchange)), sink_(&sink) {}
  explicit AuditTicket(std::shared_ptr<AuditVote> vote) : vote_(std::move(vote)) {}
  AuditTicket(AuditTicket&&) noexcept = default;
  AuditTicket& operator=(AuditTicket&&) noexcept = default;

  void finish(const Status& status) {
    if (vote_)
      std::exchange(vote_, nullptr)->device_says(status);
    else if (exchange_)
      sink_->audited(std::move(exchange_), status);
  }

 private:
  std::unique_ptr<Exchange> exchange_;
  AuditSink* sink_ = nullptr;
  std::shared_ptr<AuditVote> vote_;
};

class AuditRing {
 public:
  struct Limits {
    std::size_t lines = limits::kAuditRingLinesMax;    // submissions, of one or two lines each
    std::size_t bytes = limits::kAuditRingBytesMax;
    std::size_t batch_bytes = limits::kAuditBatchBytesMax;
  };
  struct Waiter {
    AuditTicket ticket;
    BootTime deadline;
  };
  struct Batch {
    std::string bytes;
    std::vector<Waiter> waiters;
    std::size_t lines = 0;  // submissions, given up or not
    bool empty() const noexcept { return bytes.empty(); }
  };

  AuditRing() = default;
  explicit AuditRing(Limits limits) : limits_(limits) {}

  // Queues whole lines. False when full: `ticket` is untouched. One submission may be larger than the byte limit when
  // nothing waits.
  bool offer(std::string_view lines, AuditTicket& ticket, BootTime deadline);

  // The next batch to write, empty when nothing waits. Its waiters stay here (give_up reaches them) until finish_batch.
  // There is at most one batch out at a time. The view stays valid until finish_batch.
  std::string_view take();
  // The batch that take() gave is done with: `waiters` becomes those of it who have not been given up.
  void finish_batch(std::vector<Waiter>& waiters);

  // Everyone whose deadline is over, in order; their lines stay queued and are written if the device comes back.
  std::vector<Waiter> give_up(BootTime now);
  // Everyone who waits, and nothing stays queued but the batch that is out.
  std::vector<Waiter> drain();

  bool idle() const noexcept { return queue_.empty() && !out_; }
  bool anything_queued() const noexcept { return !queue_.empty(); }
  std::size_t queued_bytes() const noexcept { return queued_bytes_; }
  std::size_t queued_lines() const noexcept { return queued_lines_; }

 private:
  static void collect_due(std::vector<Waiter>& from, BootTime now, std::vector<Waiter>& into);

  Limits limits_;
  std::deque<Batch> queue_;
  Batch current_;              // the batch that is out
  Batch spare_;                // an emptied one, for its memory
  bool out_ = false;
  std::size_t queued_bytes_ = 0;
  std::size_t queued_lines_ = 0;
};

}  // namespace coffer::core
