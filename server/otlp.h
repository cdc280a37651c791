// Spans of finished requests to a collector, by OTLP over HTTP with JSON (docs/observability.md). A bounded queue and a
// thread: a collector that is slow or gone costs spans, never a request.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "core/tracing.h"

namespace coffer::server {

struct TracingOptions {
  std::string endpoint;                 // as configured: http://host:port/path
  std::string host;
  std::string port;
  std::string path = "/v1/traces";
  std::string service_name = "coffer";
  double sample_ratio = 1.0;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Fills host, port and path from endpoint. kInvalid for what is no URL of plain HTTP.
Status split_endpoint(TracingOptions& options);

// The body of one export. `wall_offset`: what added to metrics::now_ns() gives nanoseconds since 1970.
std::string otlp_json(const std::vector<core::FinishedRequest>& requests, std::int64_t wall_offset,
                      const TracingOptions& options);

// Thread-safe.
class OtlpExporter final : public core::TraceSink {
 public:
  static constexpr std::size_t kRequestsQueuedMax = 4096;
  static constexpr std::size_t kRequestsPerExportMax = 512;

  // Clock and logger outlive it.
  OtlpExporter(TracingOptions options, const Clock& clock, Logger& logger);
  ~OtlpExporter() override;  // sends what is queued, once

  bool wants(const std::array<std::uint8_t, 16>& trace_id, const bool* sampled) const override;
  void finished(core::FinishedRequest request) override;

 private:
  void run();
  Status send(const std::string& body) const;

  const TracingOptions options_;
  const Clock& clock_;
  Logger& logger_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<core::FinishedRequest> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::server
