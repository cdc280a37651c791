// One thread that wakes the streams that watch something, all of them a bounded time apart, and lets them go when the
// server stops.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace coffer::rpc {

class Ticker {
 public:
  // Of one stream. After a wait() that returned kWaiting exactly one of these follows: tick(), stopped(), or a cancel()
  // that returns true.
  class Client {
   public:
    virtual ~Client() = default;
    virtual void tick() = 0;     // the ticker's thread: must not block
    virtual void stopped() = 0;  // the thread of stop()

   private:
    friend class Ticker;
    bool cancelled_ = false;  // guarded by the ticker's mutex
    bool hurried_ = false;    // likewise: the next wait is none
  };

  enum class Wait : std::uint8_t { kWaiting, kCancelled, kStopped };

  explicit Ticker(Nanos interval);
  ~Ticker();  // as stop()
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  // Any thread. Not again before the client was woken.
  Wait wait(Client& client);
  // Any thread, as long as the client is there: its tick comes now, if it waits, or as soon as it does.
  void hurry(Client& client);
  // Any thread: no tick() follows, now or after a later wait(). True when the client was waiting and will not hear of
  // it otherwise.
  bool cancel(Client& client);
  // Everyone who waits hears stopped(); later waits are refused. One thread.
  void stop();

 private:
  void run();

  const Nanos interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Client*> waiting_;  // guarded by mutex_, as is all below
  std::vector<Client*> hurried_;  // these wait no longer
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace coffer::rpc
