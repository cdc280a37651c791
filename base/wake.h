// Wake-ups of other threads, put off while the thread that wants them has more for the same sleeper: whoever hands out
// a batch, item by item, wakes each of those who sleep once, when all of it is there. A sleeper that is woken at the
// first item finds little, contends for the queue's lock while it is filled, and sleeps again.
#pragma once

#include <memory>

namespace coffer {

// Somebody who sleeps until there is work. Its owner asks to have it woken at most once until it has looked for work.
class Sleeper {
 public:
  virtual ~Sleeper() = default;
  // Any thread, with no lock held that the sleeper takes.
  virtual void wake() noexcept = 0;
};

// While one lives, wake-ups that its thread asks for wait for its end. They nest: the outermost decides. Whoever is
// about to wait for another thread, or to take long, calls `now` first, or those may wait for it in turn.
class WakeScope {
 public:
  WakeScope() noexcept;
  ~WakeScope();
  WakeScope(const WakeScope&) = delete;
  WakeScope& operator=(const WakeScope&) = delete;

  // At once when the thread is in no scope. `sleeper` lives until it was woken.
  static void wake(const std::shared_ptr<Sleeper>& sleeper);
  // What this thread has put off.
  static void now() noexcept;
};

}  // namespace coffer
