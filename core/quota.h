// Quotas (docs/formats/quota.md): how often requests of a path may come, and how many leases a path may have. Rules are
// derived from the state and travel with each view; what is counted stands beside them, per node. Nobody pays for a
// quota where none is set.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

enum class QuotaKind : std::uint8_t { kRate = 1, kLeases = 2 };
enum class QuotaGroup : std::uint8_t { kIp = 1, kNone = 2, kEntityThenIp = 3, kEntityThenNone = 4 };

struct QuotaRecord {
  QuotaKind kind = QuotaKind::kRate;
  std::string name;
  std::string path;    // with its namespace; empty: every request
  std::string ns;      // path of the namespace that `path` lies in, or is: "" of the root, "team/alpha/"
  std::string role;    // of logins; empty: any
  bool inheritable = false;  // of a namespace's: it holds in those below as well
  bool of_namespace() const noexcept { return path == ns; }
  // Of requests.
  std::uint64_t rate_thousandths = 0;  // requests an interval, times 1000
  std::uint64_t secondary_thousandths = 0;  // of those without an entity; 0: the same
  Nanos interval{std::chrono::seconds(1)};
  Nanos block_interval{0};
  QuotaGroup group = QuotaGroup::kIp;
  // Of leases.
  std::uint64_t max_leases = 0;
};

std::string encode(const QuotaRecord& record);
Result<QuotaRecord> decode_quota(std::string_view plaintext);

struct QuotaConfig {
  bool audit_logging = false;
  bool response_headers = false;
  std::vector<std::string> exempt_paths;
  std::vector<std::string> absolute_exempt_paths;
};

std::string encode(const QuotaConfig& config);
Result<QuotaConfig> decode_quota_config(std::string_view plaintext);

// What one client did in the current interval. Thread-safe.
class RateCounter {
 public:
  struct Taken {
    bool allowed = true;
    std::uint64_t limit = 0;
    std::uint64_t remaining = 0;
    Nanos reset{0};  // until it may come again, or until the interval ends
  };
  Taken take(std::string_view client, const QuotaRecord& rule, std::uint64_t thousandths, WallTime now);

 private:
  struct Window {
    std::int64_t number = 0;
    std::uint64_t taken = 0;
    WallTime blocked_until{};
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Window> clients_;  // at most limits::kQuotaClientsMax; guarded by mutex_
};

// How many leases there were when they were counted, less what had changed by then: with what has changed by a view,
// the number as of that view. Thread-safe.
struct LeaseCount {
  std::atomic<bool> counted{false};
  std::atomic<std::int64_t> base{0};
};

// Immutable but for its counters. Any thread.
class QuotaSet {
 public:
  struct Rule {
    QuotaRecord record;
    std::shared_ptr<RateCounter> rate;
    std::shared_ptr<LeaseCount> leases;
    std::int64_t changed = 0;  // leases added less leases removed since this node began to look
  };
  QuotaSet(std::vector<Rule> rules, QuotaConfig config);

  // The most specific rule of its kind: exact path before pattern before prefix, the longer before the shorter,
  // with the role before without; so a mount's before its namespace's, and that before one that is inherited from
  // above. `path` is absolute, in the namespace at `ns`. Null when there is none.
  const Rule* find(QuotaKind kind, std::string_view ns, std::string_view path, std::string_view role) const;
  const Rule* named(QuotaKind kind, std::string_view name) const;
  bool exempt(std::string_view path) const;
  // Counts one request of an absolute path, in the namespace at `ns`, against the rule that it falls under; nothing
  // when there is none. `entity` tells who asks, empty for callers without one; it is asked only by a rule that wants
  // to know.
  std::optional<RateCounter::Taken> take(std::string_view ns, std::string_view path, std::string_view role,
                                         const std::function<std::string_view()>& entity, std::string_view address,
                                         WallTime now) const;
  // A rule whose key is somebody's entity can only be looked at when it is known who asks.
  static bool by_entity(const QuotaRecord& record) {
    return record.group == QuotaGroup::kEntityThenIp || record.group == QuotaGroup::kEntityThenNone;
  }
  bool any(QuotaKind kind) const { return kind == QuotaKind::kRate ? any_rate_ : any_leases_; }
  // Whether any rule of the kind asks for a role.
  bool by_role(QuotaKind kind) const noexcept { return kind == QuotaKind::kRate ? rate_by_role_ : leases_by_role_; }
  const std::vector<Rule>& rules() const noexcept { return rules_; }
  const QuotaConfig& config() const noexcept { return config_; }

 private:
  std::vector<Rule> rules_;
  QuotaConfig config_;
  bool any_rate_ = false;
  bool any_leases_ = false;
  bool rate_by_role_ = false;
  bool leases_by_role_ = false;
};

// Whether a quota holds for a request of the namespace at `ns`, by its absolute path.
bool quota_covers(const QuotaRecord& record, std::string_view ns, std::string_view path);
// Whether a quota's path covers a request's. "kv/" and "kv/*" cover what is below, "kv/data/x" itself alone.
bool quota_covers(std::string_view quota_path, std::string_view path);

}  // namespace coffer::core
