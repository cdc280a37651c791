// The server's log as a body that does not end (sys/monitor).
#pragma once

#include <functional>
#include <memory>

#include "base/log.h"
#include "core/request.h"

namespace coffer::core {

class LogStream final : public ByteStream {
 public:
  // Null when as many watch as may. `may_watch` is asked each time before lines are given; the stream ends when it says
  // no.
  static std::shared_ptr<LogStream> open(Logger& logger, LogLevel level, bool json, std::function<bool()> may_watch);
  Next next(std::string& out) override;

 private:
  LogStream(std::shared_ptr<LogTap> tap, std::function<bool()> may_watch)
      : tap_(std::move(tap)), may_watch_(std::move(may_watch)) {}
  std::shared_ptr<LogTap> tap_;
  std::function<bool()> may_watch_;
};

}  // namespace coffer::core
