#include "core/log_stream.h"

namespace coffer::core {

std::shared_ptr<LogStream> LogStream::open(Logger& logger, LogLevel level, bool json) {
  std::shared_ptr<LogTap> tap = logger.tap(level, json);
  return tap ? std::shared_ptr<LogStream>(new LogStream(std::move(tap))) : nullptr;
}

bool LogStream::next(std::string& out) {
  tap_->take(out);
  return true;
}

}  // namespace coffer::core
