// The actor system of one process: starts and stops the actors of actors/interfaces.h. The one door to CAF for the
// composition.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"

namespace coffer::actors {

class Node;

// What the expiry actor moves (core/expiry_driver.h): a tick that returns how long it may sleep.
using ExpiryStep = std::function<Nanos()>;

// One thread (the composition's), but for node_wake()'s function and wake_expiry(), which any may call.
class Host {
 public:
  Host();
  // Ends what still runs.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Given to a Node before it exists; does nothing before start_node(). Any thread.
  std::function<void()> node_wake();
  // The node's own thread begins: first tick at once. The node outlives stop_node().
  void start_node(Node& node, Nanos tick_interval);
  // Runs Node::stop() on its thread and waits for it. Nothing touches the node afterwards.
  void stop_node();

  // Ends with the host or by stop_expiry(), which waits for a step under way.
  void start_expiry(ExpiryStep step);
  void wake_expiry();
  void stop_expiry();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::actors
