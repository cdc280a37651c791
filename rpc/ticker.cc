#include "rpc/ticker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace coffer::rpc {

Ticker::Ticker(Nanos interval) : interval_(interval), thread_([this] { run(); }) {}

Ticker::~Ticker() { stop(); }

Ticker::Wait Ticker::wait(Client& client) {
  {
    const std::lock_guard lock(mutex_);
    if (client.cancelled_)
      return Wait::kCancelled;
    if (stopping_)
      return Wait::kStopped;
    const bool now = std::exchange(client.hurried_, false);
    (now ? hurried_ : waiting_).push_back(&client);
    if (!now && waiting_.size() > 1)
      return Wait::kWaiting;
  }
  changed_.notify_one();
  return Wait::kWaiting;
}

void Ticker::hurry(Client& client) {
  const std::lock_guard lock(mutex_);
  if (std::erase(waiting_, &client) == 0) {
    client.hurried_ = std::find(hurried_.begin(), hurried_.end(), &client) == hurried_.end();
    return;
  }
  hurried_.push_back(&client);
  changed_.notify_one();
}

bool Ticker::cancel(Client& client) {
  const std::lock_guard lock(mutex_);
  client.cancelled_ = true;
  return std::erase(waiting_, &client) + std::erase(hurried_, &client) != 0;
}

void Ticker::stop() {
  std::vector<Client*> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(waiting_);
    left.insert(left.end(), hurried_.begin(), hurried_.end());
    hurried_.clear();
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
  for (Client* client : left)
    client->stopped();
}

void Ticker::run() {
  using SteadyClock = std::chrono::steady_clock;
  std::vector<Client*> due;
  SteadyClock::time_point next{};
  std::unique_lock lock(mutex_);
  for (;;) {
    if (waiting_.empty() && hurried_.empty()) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty() || !hurried_.empty(); });
      next = SteadyClock::now() + interval_;
    }
    // Who comes meanwhile is woken with the others, a little early.
    changed_.wait_until(lock, next, [this] { return stopping_ || !hurried_.empty(); });
    if (stopping_)
      return;
    due.swap(hurried_);
    if (SteadyClock::now() >= next) {
      due.insert(due.end(), waiting_.begin(), waiting_.end());
      waiting_.clear();
      next = SteadyClock::now() + interval_;
    }
    lock.unlock();
    for (Client* client : due)
      client->tick();
    due.clear();
    lock.lock();
  }
}

}  // namespace coffer::rpc
