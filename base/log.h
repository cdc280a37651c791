// The operational log: one line an event, as text or JSON in the shape that operators of such servers know. Fields are
// names and values that are safe to show; there is no way to pass a SecretBytes. Any thread.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace coffer {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };

// "trace", "debug", "info" (or "notice"), "warn" (or "warning"), "error" (or "err"), whatever the case; else kInvalid.
// The caller names the setting.
Result<LogLevel> parse_log_level(std::string_view text);

struct LogField {
  LogField(std::string_view name, std::string_view value) : name(name), value(value) {}
  LogField(std::string_view name, const char* value) : name(name), value(value) {}
  LogField(std::string_view name, const std::string& value) : name(name), value(value) {}
  LogField(std::string_view name, std::uint64_t number) : name(name), value(std::to_string(number)) {}
  LogField(std::string_view name, int number) : name(name), value(std::to_string(number)) {}
  std::string_view name;
  std::string value;
};

class Logger {
 public:
  struct Options {
    LogLevel level = LogLevel::kInfo;
    bool json = false;
    std::string file;  // empty: standard output
  };

  // kIo naming the file when it cannot be opened.
  static Result<std::unique_ptr<Logger>> open(const Options& options);
  ~Logger();

  void log(LogLevel level, std::string_view module, std::string_view message,
           std::initializer_list<LogField> fields = {});
  void info(std::string_view module, std::string_view message, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::kInfo, module, message, fields);
  }
  void warn(std::string_view module, std::string_view message, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::kWarn, module, message, fields);
  }
  void error(std::string_view module, std::string_view message, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::kError, module, message, fields);
  }

  void set_level(LogLevel level);
  bool enabled(LogLevel level) const;
  // Opens the file anew, for rotation by rename and SIGHUP. The old one stays in use when that fails.
  Status reopen();

 private:
  struct Impl;
  explicit Logger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer
