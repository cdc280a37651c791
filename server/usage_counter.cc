#include "server/usage_counter.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

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

std::uint64_t UsageCounter::count(const store::View& view, std::string_view prefix) const {
  const std::string begin = stored_prefix(prefix);
  const std::string end = store::prefix_end(begin);
  const auto cursor = view.cursor();
  if (!cursor.ok())
    return 0;
  std::uint64_t found = 0;
  Result<bool> more = (*cursor)->seek(begin);
  while (more.ok() && *more && (*cursor)->key() < end && !stopping_) {
    ++found;
    more = (*cursor)->next();
  }
  return found;
}

void UsageCounter::run() {
  for (;;) {
    std::chrono::nanoseconds pause = kPauseMin;
    if (ready_()) {
      const std::int64_t begun = metrics::now_ns();
      if (const auto view = backend_.view(); view.ok()) {
        tokens_ = count(**view, core::layout::kTokenPrefix);
        // A token that expires counts as a lease, as it does for the peer.
        leases_ = count(**view, core::layout::kExpiryPrefix);
        irrevocable_ = count(**view, core::layout::kLeaseBadPrefix);
      }
      pause = std::max(pause, std::chrono::nanoseconds(kPauseForEach * (metrics::now_ns() - begun)));
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pause, [this] { return stopping_.load(); }))
      return;
  }
}

}  // namespace coffer::server
