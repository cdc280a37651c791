#include "server/usage_counter.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "base/metrics.h"
#include "core/layout.h"

namespace coffer::server {
namespace {

constexpr std::chrono::nanoseconds kPauseMin = std::chrono::seconds(1);
constexpr int kPauseForEach = 100;  // of the time that counting took

std::string stored_prefix(std::string_view rest) {
  const store::StoreKey key = core::layout::token_key(rest);
  return store::make_key(key.cls, key.ns, key.mount, key.rest);
}

}  // namespace

UsageCounter::UsageCounter(const store::Backend& backend, std::function<bool()> ready)
    : backend_(backend), ready_(std::move(ready)) {}

void UsageCounter::start() {
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "usage");
}

UsageCounter::~UsageCounter() { stop(); }

void UsageCounter::stop() {
  if (!thread_.joinable())
    return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// In steps, each with a view of its own: one that lasts holds up the store, which must not wait for a number.
std::uint64_t UsageCounter::count(std::string_view prefix) const {
  std::string from = stored_prefix(prefix);
  const std::string end = store::prefix_end(from);
  std::uint64_t found = 0;
  while (!stopping_) {
    const auto view = backend_.view();
    if (!view.ok())
      return found;
    const auto cursor = (*view)->cursor();
    if (!cursor.ok())
      return found;
    Result<bool> more = (*cursor)->seek(from);
    std::size_t left = limits::kScrubStepRecordsMax;
    for (; more.ok() && *more && (*cursor)->key() < end && left > 0; --left) {
      ++found;
      more = (*cursor)->next();
    }
    if (!more.ok() || !*more || (*cursor)->key() >= end)
      return found;
    from.assign((*cursor)->key());
  }
  return found;
}

void UsageCounter::run() {
  for (;;) {
    std::chrono::nanoseconds pause = kPauseMin;
    if (ready_()) {
      const std::int64_t begun = metrics::now_ns();
      tokens_ = count(core::layout::kTokenPrefix);
      // A token that expires counts as a lease, as it does for the peer.
      leases_ = count(core::layout::kExpiryPrefix);
      irrevocable_ = count(core::layout::kLeaseBadPrefix);
      pause = std::max(pause, std::chrono::nanoseconds(kPauseForEach * (metrics::now_ns() - begun)));
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pause, [this] { return stopping_.load(); }))
      return;
  }
}

}  // namespace coffer::server
