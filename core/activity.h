// Which clients used this cluster, by month: entities, and tokens without one by what they may do (their policies and
// their namespace), as Vault counts them. Clients wait in memory and are written in batches (docs/formats/activity.md).
//
// A request of a client that its thread has seen this month costs one look at a small table of the thread's own.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::core {

struct Services;
class TxnImpl;

// Stands for tokens without an entity that may do the same.
std::string client_of_policies(std::string_view policies, NamespaceId ns);

// A month of cluster time, as its records are named: 202611.
using Month = std::uint32_t;
Month month_of(WallTime at);
Month month_after(Month month, int by = 1);
WallTime month_begins(Month month);

struct SeenClient {
  std::string id;        // an entity's, or the hash that stands for policies and namespace
  bool entity = false;
  NamespaceId ns{0};
  std::string accessor;  // of the mount that the token came from; empty: it is gone
  WallTime at{};
};

struct ActivityConfig {
  bool enabled = true;
  std::uint32_t retention_months = 48;
  std::uint32_t report_months = 12;
};
std::string encode(const ActivityConfig& config);
Result<ActivityConfig> read_activity_config(TxnImpl& txn);

// Any thread. One a node.
class ActivityLog {
 public:
  static constexpr std::size_t kClientsMax = 1u << 20;   // remembered of a month; others are written more than once
  static constexpr std::size_t kPendingMax = 1u << 16;   // not yet written; more are noted when they come again

  // False: known, and nothing is to be done. True: describe it to add(). `mark` is a hash of what tells clients apart.
  bool is_new(std::uint64_t mark, WallTime now) noexcept {
    if (!enabled_.load(std::memory_order_relaxed))
      return false;
    Seen& seen = of_this_thread();
    const std::uint64_t epoch = epoch_.load(std::memory_order_relaxed);
    if (seen.epoch != epoch || now.time_since_epoch().count() >= month_ends_.load(std::memory_order_relaxed)) {
      seen.marks.fill(0);
      seen.epoch = epoch;
      return true;
    }
    return seen.marks[mark % kMarks] != mark;
  }
  void add(std::uint64_t mark, SeenClient client);
  // At a node that writes no counts: whether no thread of it knows the client, so that the request goes to the node
  // that does; and that this one has counted it.
  bool is_unknown(std::uint64_t mark, WallTime now);
  void note_counted(std::uint64_t mark, WallTime now);

  // What is not yet written, at most `clients_max`; put back what could not be.
  std::vector<SeenClient> take(std::size_t clients_max);
  void put_back(std::vector<SeenClient> clients);
  // The state is another one: it may lack whom this one counted, and must not get those who came before it.
  void forget();
  void enable(bool on) { enabled_.store(on, std::memory_order_relaxed); }
  std::size_t pending() const;

 private:
  static constexpr std::size_t kMarks = 4096;
  struct Seen {
    std::uint64_t epoch = UINT64_MAX;
    std::array<std::uint64_t, kMarks> marks{};
  };
  static Seen& of_this_thread() noexcept;
  void begin_month(WallTime at);
  void remember(std::uint64_t mark);

  std::atomic<bool> enabled_{true};
  std::atomic<std::uint64_t> epoch_{0};       // another month: what threads remember counts no longer
  std::atomic<std::int64_t> month_ends_{0};
  mutable std::mutex mutex_;
  std::unordered_set<std::uint64_t> month_;   // marks; guarded by mutex_
  std::vector<SeenClient> pending_;           // guarded by mutex_
};

// Writes what was seen, in steps; removes months that are older than they are kept. tick() from one thread, the shell's
// timer.
class ActivityWriter {
 public:
  // Both outlive it.
  ActivityWriter(const Services& services, ActivityLog& log);
  ~ActivityWriter();
  bool tick(BootTime now);
  bool idle() const;

 private:
  struct State;
  const Services& services_;
  ActivityLog& log_;
  std::shared_ptr<State> state_;
  BootTime due_{};
};

}  // namespace coffer::core
