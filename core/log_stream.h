// The server's log as a body that does not end (sys/monitor).
#pragma once

#include <memory>

#include "base/log.h"
#include "core/request.h"

namespace coffer::core {

class LogStream final : public ByteStream {
 public:
  // Null when as many watch as may.
  static std::shared_ptr<LogStream> open(Logger& logger, LogLevel level, bool json);
  bool next(std::string& out) override;

 private:
  explicit LogStream(std::shared_ptr<LogTap> tap) : tap_(std::move(tap)) {}
  std::shared_ptr<LogTap> tap_;
};

}  // namespace coffer::core
