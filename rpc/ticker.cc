#include "rpc/ticker.h"

#include <algorithm>

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
    waiting_.push_back(&client);
    if (waiting_.size() > 1)
      return Wait::kWaiting;
  }
  changed_.notify_one();
  return Wait::kWaiting;
}

bool Ticker::cancel(Client& client) {
  const std::lock_guard lock(mutex_);
  client.cancelled_ = true;
  const auto found = std::find(waiting_.begin(), waiting_.end(), &client);
  if (found == waiting_.end())
    return false;
  waiting_.erase(found);
  return true;
}

void Ticker::stop() {
  std::vector<Client*> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(waiting_);
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
  for (Client* client : left)
    client->stopped();
}

void Ticker::run() {
  std::vector<Client*> due;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    // Who comes meanwhile is woken with the others, a little early.
    changed_.wait_for(lock, interval_, [this] { return stopping_; });
    if (stopping_)
      return;
    due.swap(waiting_);
    lock.unlock();
    for (Client* client : due)
      client->tick();
    due.clear();
    lock.lock();
  }
}

}  // namespace coffer::rpc
