// The operational log: one line an event, as text or JSON in the shape that operators of such servers know. Fields are
// names and values that are safe to show; there is no way to pass a SecretBytes. Any thread.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// Lines that somebody watches, as they are written. What the watcher does not fetch in time is dropped, and the next
// line says so. Thread-safe.
class LogTap {
 public:
  static constexpr std::size_t kBytesMax = 256u << 10;

  LogTap(LogLevel level, bool json) : level_(level), json_(json) {}
  // Appends what has come since the last call.
  void take(std::string& out);

 private:
  friend class Logger;
  void put(std::string_view line);

  const LogLevel level_;
  const bool json_;
  std::mutex mutex_;
  std::string lines_;           // guarded by mutex_
  std::uint64_t dropped_ = 0;   // guarded by mutex_
};

class Logger {
 public:
  static constexpr std::size_t kTapsMax = 16;

  struct Options {
    LogLevel level = LogLevel::kInfo;
    bool json = false;
    std::string file;  // empty: standard output
    // A file is put aside (base/log_archive.h) when it is larger or was written to for longer; 0: not for that reason.
    std::size_t rotate_bytes = 0;
    std::chrono::nanoseconds rotate_after{0};
    int archives_max = 0;  // 0: all are kept; -1: none
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
  // Of one module, or of all; until revert_level() goes back to what was configured (of all when `module` is empty).
  void set_level(std::string_view module, LogLevel level);
  void set_level_of_all(LogLevel level);
  void revert_level(std::string_view module);
  // Every module and its level, by name.
  std::vector<std::pair<std::string, LogLevel>> levels() const;
  // Lines of `level` and above, whatever the modules' own levels are. Null when there are kTapsMax already. It ends
  // with its last holder.
  std::shared_ptr<LogTap> tap(LogLevel level, bool json);
  bool enabled(LogLevel level) const;
  // Opens the file anew, for rotation by rename and SIGHUP. The old one stays in use when that fails.
  Status reopen();

 private:
  struct Impl;
  explicit Logger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer
