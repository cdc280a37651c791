// How many tokens, leases, entities and secrets there are: counted again and again by a thread of its own, as often as
// costs next to nothing, so that neither requests nor the unseal pay for a number that only people look at.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "store/backend.h"
#include "store/key.h"

namespace coffer::server {

// Thread-safe.
class UsageCounter {
 public:
  // Counts every second, or less often: what it takes is at most one part in a hundred of the time. `ready`: whether
  // there is anything to count. Both outlive it.
  UsageCounter(const store::Backend& backend, std::function<bool()> ready);
  ~UsageCounter();  // as stop()
  UsageCounter(const UsageCounter&) = delete;
  UsageCounter& operator=(const UsageCounter&) = delete;

  void start();

  std::uint64_t tokens() const noexcept { return tokens_.load(std::memory_order_relaxed); }
  std::uint64_t irrevocable() const noexcept { return irrevocable_.load(std::memory_order_relaxed); }
  std::uint64_t leases() const noexcept { return leases_.load(std::memory_order_relaxed); }
  // Entities by namespace, secrets by mount, and what quotas of leases count.
  std::vector<metrics::Reading::Gauge> gauges() const;
  void stop();

 private:
  void run();
  std::uint64_t count(const store::StoreKey& prefix) const;
  std::vector<metrics::Reading::Gauge> count_by_place() const;

  const store::Backend& backend_;
  const std::function<bool()> ready_;
  std::atomic<std::uint64_t> tokens_{0};
  std::atomic<std::uint64_t> leases_{0};
  std::atomic<std::uint64_t> irrevocable_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<metrics::Reading::Gauge> gauges_;  // guarded by mutex_
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace coffer::server
