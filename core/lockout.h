// Locks a name out of an auth method for a while after too many failed logins (advisories B4, C1). Counted by the
// mount and the name as the method normalises it, whether or not there is such a user. Counters are this node's own and
// are forgotten when it stops.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace coffer::core {

struct LockoutRule {
  bool disabled = false;
  std::uint64_t threshold = 5;                   // failures
  Nanos duration{std::chrono::minutes(15)};      // for which the name is locked out
  Nanos counter_reset{std::chrono::minutes(15)};  // after which failures are forgotten
};

struct MountTuning;

// What the configuration says: by the method's type, with "all" for every other.
using LockoutRules = std::map<std::string, LockoutRule, std::less<>>;

// Thread-safe.
class Lockouts {
 public:
  static constexpr std::size_t kNamesMax = 1u << 16;     // counted at once; those that failed longest ago go first
  static constexpr std::size_t kNameBytesMax = 512;      // longer names count as one

  explicit Lockouts(LockoutRules rules = {}) : rules_(std::move(rules)) {}

  // What holds for a mount of `type` that is tuned like this.
  LockoutRule rule(std::string_view type, const MountTuning& tuning) const;

  bool locked(std::string_view accessor, std::string_view name, const LockoutRule& rule, WallTime now);
  void failed(std::string_view accessor, std::string_view name, const LockoutRule& rule, WallTime now);
  // A login that succeeded, or an operator who lets the name in again.
  void forget(std::string_view accessor, std::string_view name);
  // Names that are locked out of the mount now, sorted.
  std::vector<std::string> names(std::string_view accessor, const LockoutRule& rule, WallTime now);

 private:
  struct Entry {
    std::string key;  // accessor, a zero byte, name
    std::uint64_t failures = 0;
    WallTime last{};
  };
  using Order = std::list<Entry>;

  static std::string key_of(std::string_view accessor, std::string_view name);
  // Of an entry that is there; false when it was forgotten, because its time is over.
  bool keep(Order::iterator at, const LockoutRule& rule, WallTime now);

  const LockoutRules rules_;
  std::atomic<std::size_t> count_{0};  // entries_.size(), so that nobody who succeeds waits while nobody fails
  std::mutex mutex_;
  Order entries_;  // guarded by mutex_; who failed last is first
  std::unordered_map<std::string_view, Order::iterator> index_;  // guarded by mutex_
};

}  // namespace coffer::core
