// One thread for the disk's part of snapshots that come and go, so that a slow disk holds up nothing else of the
// cluster's connections; and a watch over those that stand still. Internal to rpc/.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"

namespace coffer::rpc {

// A snapshot under way.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual void give_up() = 0;  // worker's thread: it stood still for too long

  void moved(BootTime now) { moved_.store(now.time_since_epoch().count(), std::memory_order_relaxed); }
  BootTime last_moved() const { return BootTime(Nanos(moved_.load(std::memory_order_relaxed))); }

 private:
  std::atomic<Nanos::rep> moved_{0};
};

class DiskWorker {
 public:
  // `clock` outlives it.
  DiskWorker(const Clock& clock, Nanos silence_max);
  ~DiskWorker();  // runs what was posted before
  DiskWorker(const DiskWorker&) = delete;
  DiskWorker& operator=(const DiskWorker&) = delete;

  // Any thread. A transfer has one job at most, so there are no more jobs than transfers.
  void post(std::function<void()> job);
  // The transfer is the caller's and lives until forget().
  void watch(Transfer& transfer);
  void forget(Transfer& transfer);

 private:
  void run();

  const Clock& clock_;
  const Nanos silence_max_;
  std::mutex mutex_;  // guards what follows but the thread
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::set<Transfer*> transfers_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace coffer::rpc
