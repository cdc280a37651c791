#include "base/wake.h"

#include <cstddef>
#include <vector>

namespace coffer {
namespace {

constexpr std::size_t kPutOffMax = 16;  // sleepers of one thread; a node has fewer, and one more is woken at once

struct PutOff {
  unsigned depth = 0;
  std::vector<std::shared_ptr<Sleeper>> sleepers;
};

thread_local PutOff put_off;

}  // namespace

WakeScope::WakeScope() noexcept { ++put_off.depth; }

WakeScope::~WakeScope() {
  if (put_off.depth == 1)
    now();
  --put_off.depth;
}

void WakeScope::wake(const std::shared_ptr<Sleeper>& sleeper) {
  if (put_off.depth == 0 || put_off.sleepers.size() >= kPutOffMax)
    return sleeper->wake();
  if (put_off.sleepers.capacity() == 0)
    put_off.sleepers.reserve(kPutOffMax);
  put_off.sleepers.push_back(sleeper);
}

void WakeScope::now() noexcept {
  for (const std::shared_ptr<Sleeper>& sleeper : put_off.sleepers)
    sleeper->wake();
  put_off.sleepers.clear();
}

}  // namespace coffer
