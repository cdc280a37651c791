// What the core tells the listeners of its settings: which headers to keep, which other sites may speak to it from a
// browser, and whether somebody is to be asked before a body is read. Written when settings change, read for each
// request.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace coffer::core {

class Exchange;

// Asked when a request's head is known, with path, namespace, token and address, and before its body is looked at.
// Any thread.
class Gate {
 public:
  virtual ~Gate() = default;
  // False: the request exceeds a rate quota. Its body need not be read; dispatching it gives the answer. Asked at most
  // once for a request, which counts.
  virtual bool admit(Exchange& exchange) = 0;
  // Whether the request shows a token that is alive now: a guess earns nobody the room for large bodies. A node that is
  // sealed knows none.
  virtual bool knows_token(Exchange& exchange) = 0;
};

struct DoorSettings {
  bool keep_headers = false;              // somebody audits or traces them, or may by the time of the answer
  bool cors = false;
  bool cors_credentials = false;
  std::vector<std::string> cors_origins;  // "*" allows all
  std::vector<std::string> cors_headers;
};

// Thread-safe.
class DoorBoard {
 public:
  // Nothing is asked of the listeners, as nearly always.
  bool quiet() const noexcept { return quiet_.load(std::memory_order_relaxed); }
  std::shared_ptr<const DoorSettings> get() const { return settings_.load(); }
  void put(std::shared_ptr<const DoorSettings> settings) {
    quiet_.store(!settings->keep_headers && !settings->cors, std::memory_order_relaxed);
    settings_.store(std::move(settings));
  }
  // Null: nobody is to be asked, as nearly always. It outlives the listeners.
  Gate* gate() const noexcept { return gate_.load(std::memory_order_acquire); }
  void put_gate(Gate* gate) noexcept { gate_.store(gate, std::memory_order_release); }
  // Who tells a live token from other texts, whether or not there is a gate. Null: any text counts as one.
  Gate* token_judge() const noexcept { return judge_.load(std::memory_order_acquire); }
  void put_token_judge(Gate* judge) noexcept { judge_.store(judge, std::memory_order_release); }

 private:
  std::atomic<Gate*> gate_{nullptr};
  std::atomic<Gate*> judge_{nullptr};
  std::atomic<bool> quiet_{true};
  std::atomic<std::shared_ptr<const DoorSettings>> settings_{std::make_shared<const DoorSettings>()};
};

}  // namespace coffer::core
