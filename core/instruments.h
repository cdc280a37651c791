// What the server tells of itself beside its state: metrics, requests in flight, its log, its host and configuration.
// The composition implements it; handlers of sys/ ask.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace coffer::core {

// Any thread.
class Instruments {
 public:
  struct InFlight {
    std::string id;
    WallTime started{};
    std::string remote_address;  // with its port
    std::string path;            // "/v1/sys/mounts"
    std::string method;
  };

  virtual ~Instruments() = default;

  // Metrics as text; empty when the configuration has switched them off.
  virtual std::string prometheus() const = 0;
  virtual std::string metrics_json() const = 0;
  // Waits for the listeners' threads, so it is called on none of them.
  virtual std::vector<InFlight> in_flight() const = 0;
  // JSON objects. The host's reads files of the system.
  virtual std::string host_info() const = 0;
  virtual std::string sanitized_config() const = 0;
  virtual Logger& logger() const = 0;
  virtual std::uint64_t tokens_counted() const = 0;
};

}  // namespace coffer::core
