// What the io threads of one server have in common.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "core/request.h"
#include "http/body.h"
#include "http/config.h"
#include "http/tls.h"

namespace coffer::http {

class IoThread;

// A connection that was accepted and has no thread yet. Whoever holds it closes `fd`.
struct NewConnection {
  int fd = -1;
  TlsContext* tls = nullptr;  // null: plain
  const Listener* listener = nullptr;  // of the configuration
  std::string address;
  std::uint16_t port = 0;
};

// Of one thread, which alone writes them.
struct alignas(64) Counters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> in_flight{0};
  std::atomic<std::uint64_t> handshakes_failed{0};
};

inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

struct Shared {
  // Constructor and destructor are in io_thread.cc: there an IoThread is complete.
  Shared(Config c, core::Dispatcher& d, RandomSource& r, const Clock& k, std::function<void(std::string_view)> l);
  ~Shared();

  const Config config;
  core::Dispatcher& dispatcher;
  RandomSource& random;
  const Clock& clock;
  const std::function<void(std::string_view)> log;
  BodyBudget bodies;
  std::vector<std::unique_ptr<TlsContext>> tls;     // one a listener, null for plain
  std::vector<std::unique_ptr<IoThread>> threads;   // fixed before the first one runs
};

}  // namespace coffer::http
