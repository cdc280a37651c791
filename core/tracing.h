// Spans of finished requests, for whoever exports them. What a span tells is of the request's shape and never of its
// content: no path below the mount, no field, no token.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "core/request.h"

namespace coffer::core {

// When the stages of a request ended, by metrics::now_ns(); 0: it was not reached.
struct StageTimes {
  std::int64_t began = 0;
  std::int64_t token = 0;
  std::int64_t policy = 0;
  std::int64_t handled = 0;
  std::int64_t audit_asked = 0;
  std::int64_t request_audited = 0;
  std::int64_t proposed = 0;
  std::int64_t committed = 0;
  std::int64_t response_asked = 0;
  std::int64_t ended = 0;
};

// One request that was answered.
struct FinishedRequest {
  std::array<std::uint8_t, 16> trace_id{};  // the request's own id, or what the client sent
  std::uint64_t parent_span = 0;            // of the client; 0: none
  Operation operation = Operation::kRead;
  Surface surface = Surface::kHttp;
  int status = 0;
  bool token_known = false;
  std::string mount_point;
  std::string mount_type;
  std::string request_id;
  StageTimes times;
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // Whether spans of this trace are wanted. `sampled`: what the client's header says, if it sent one.
  virtual bool wants(const std::array<std::uint8_t, 16>& trace_id, const bool* sampled) const = 0;
  // Any thread; never waits. What does not fit is dropped and counted.
  virtual void finished(FinishedRequest request) = 0;
};

}  // namespace coffer::core
