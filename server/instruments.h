// What sys/metrics and its kind tell of a running server (core/instruments.h), gathered from its storeys.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "core/instruments.h"
#include "server/usage_counter.h"

namespace coffer::server {

struct TelemetryOptions {
  bool enabled = true;                // prometheus_retention_time is not 0
  std::string prefix = "vault";       // metrics_prefix
  std::vector<metrics::Label> labels; // added to every line of the Prometheus text
};

class ServerInstruments final : public core::Instruments {
 public:
  struct Ports {
    Logger& logger;
    const Clock& clock;
    std::function<void(metrics::Reading&)> gauges;          // of the storeys; any thread
    std::function<std::vector<InFlight>()> in_flight;
    const UsageCounter* usage = nullptr;                    // may be null
  };

  ServerInstruments(TelemetryOptions options, std::string sanitized_config, Ports ports);

  std::string prometheus() const override;
  std::string metrics_json() const override;
  std::vector<InFlight> in_flight() const override { return ports_.in_flight(); }
  std::string host_info() const override;
  std::string sanitized_config() const override { return sanitized_config_; }
  Logger& logger() const override { return ports_.logger; }
  std::uint64_t tokens_counted() const override { return ports_.usage == nullptr ? 0 : ports_.usage->tokens(); }

 private:
  metrics::Reading read() const;

  const TelemetryOptions options_;
  const std::string sanitized_config_;
  const Ports ports_;
  const std::int64_t started_ns_;
};

// The host's processors, memory, disks and kernel as a JSON object. Reads files of the system.
std::string host_info_json(const Clock& clock);

}  // namespace coffer::server
