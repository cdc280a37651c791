#include "actors/host.h"

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <mutex>
#include <utility>

#include "actors/interfaces.h"
#include "actors/node.h"
#include "base/check.h"
#include "base/wake.h"
#include "crypto/library.h"

namespace coffer::actors {
namespace {

node_actor::behavior_type node_behavior(node_actor::pointer self, Node* node, Nanos interval) {
  self->send(self, tick_atom::value);
  return {
      [node](wake_atom) { node->work(); },
      [self, node, interval](tick_atom) {
        node->tick();
        self->delayed_send(self, interval, tick_atom::value);
      },
      [self, node](stop_atom) {
        node->stop();
        crypto::leave_thread();  // CAF joins no detached thread: this one may end while the process does
        self->quit();
      },
  };
}

struct ExpiryState {
  std::uint64_t armed = 0;  // ticks under way; only the newest re-arms, so that wakes do not multiply timers
};

expiry_actor::behavior_type expiry_behavior(expiry_actor::stateful_pointer<ExpiryState> self, ExpiryStep step) {
  self->state.armed = 1;
  self->send(self, tick_atom::value);
  const auto run = [self, step = std::move(step)] {
    const Nanos sleep = step();
    if (self->state.armed == 0) {
      self->state.armed = 1;
      self->delayed_send(self, sleep, tick_atom::value);
    }
  };
  return {
      [self, run](tick_atom) {
        self->state.armed = 0;
        run();
      },
      [run](wake_atom) { run(); },
      [self](stop_atom) { self->quit(); },
  };
}

caf::actor_system_config& configured(caf::actor_system_config& config) {
  config.set("scheduler.max-threads", std::size_t{1});      // the node is detached; what is left are timers
  config.set("scheduler.policy", caf::atom("sharing"));  // waits on a condition; "stealing" polls every 50 us when idle
  config.set("logger.verbosity", caf::atom("quiet"));
  return config;
}

// Waking is on the write path of every thread: a relaxed look at a handle that is set once.
struct WakeCell final : Sleeper {
  void wake() noexcept override {
    if (node_actor* node = target.load(std::memory_order_acquire); node != nullptr)
      caf::anon_send(*node, wake_atom::value);
  }

  std::atomic<node_actor*> target{nullptr};
};

}  // namespace

struct Host::Impl {
  caf::actor_system_config config;
  caf::actor_system system{configured(config)};
  node_actor node;
  std::mutex expiry_mutex;  // the node wakes it while the composition starts or ends it
  expiry_actor expiry;      // guarded by expiry_mutex
  std::shared_ptr<WakeCell> wake = std::make_shared<WakeCell>();
};

Host::Host() : impl_(std::make_unique<Impl>()) {}

Host::~Host() {
  stop_expiry();
  stop_node();
}

std::function<void()> Host::node_wake() {
  return [cell = impl_->wake] { WakeScope::wake(cell); };
}

void Host::start_node(Node& node, Nanos tick_interval) {
  COFFER_CHECK(!impl_->node);
  impl_->node = impl_->system.spawn<caf::detached>(node_behavior, &node, tick_interval);
  impl_->wake->target.store(&impl_->node, std::memory_order_release);
  caf::anon_send(impl_->node, wake_atom::value);  // for what was queued before
}

void Host::stop_node() {
  if (!impl_->node)
    return;
  caf::scoped_actor self{impl_->system};
  self->send(impl_->node, stop_atom::value);
  self->wait_for(impl_->node);
}

void Host::start_expiry(ExpiryStep step) {
  const std::lock_guard lock(impl_->expiry_mutex);
  COFFER_CHECK(!impl_->expiry);
  impl_->expiry = impl_->system.spawn(expiry_behavior, std::move(step));
}

void Host::wake_expiry() {
  const std::lock_guard lock(impl_->expiry_mutex);
  if (impl_->expiry)
    caf::anon_send(impl_->expiry, wake_atom::value);
}

void Host::stop_expiry() {
  expiry_actor ending;
  {
    const std::lock_guard lock(impl_->expiry_mutex);
    ending = std::exchange(impl_->expiry, nullptr);
  }
  if (!ending)
    return;
  caf::scoped_actor self{impl_->system};
  self->send(ending, stop_atom::value);
  self->wait_for(ending);
}

}  // namespace coffer::actors
