#include "core/log_stream.h"

namespace coffer::core {

std::shared_ptr<LogStream> LogStream::open(Logger& logger, LogLevel level, bool json,
                                           std::function<bool()> may_watch) {
  std::shared_ptr<LogTap> tap = logger.tap(level, json);
  return tap ? std::shared_ptr<LogStream>(new LogStream(std::move(tap), std::move(may_watch))) : nullptr;
}

ByteStream::Next LogStream::next(std::string& out) {
  if (!may_watch_())
    return Next::kEnd;
  tap_->take(out);
  return Next::kLater;
}

}  // namespace coffer::core
