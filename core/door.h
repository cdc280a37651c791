// What the core tells the listeners of its settings: which headers to keep, and which other sites may speak to it from
// a browser. Written when settings change, read for each request.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>


namespace coffer::core {

struct DoorSettings {
  bool keep_headers = false;              // somebody audits or traces them
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

 private:
  std::atomic<bool> quiet_{true};
  std::atomic<std::shared_ptr<const DoorSettings>> settings_{std::make_shared<const DoorSettings>()};
};

}  // namespace coffer::core
