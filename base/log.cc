#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <mutex>

#include "base/log_archive.h"

namespace coffer {
namespace {

constexpr std::size_t kLineOverheadBytes = 33;  // time, level and line end

constexpr std::array<std::string_view, 5> kNames = {"trace", "debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 5> kTags = {"[TRACE]", "[DEBUG]", "[INFO] ", "[WARN] ", "[ERROR]"};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level));
}

void append_time(spdlog::log_clock::time_point when, spdlog::memory_buf_t& out) {
  const std::time_t seconds = spdlog::log_clock::to_time_t(when);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

// The line's own text is complete when it comes here; only time and level are added. For JSON the text is the object's
// inside.
class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(bool json) : json_(json) {}

  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
    const auto level = static_cast<std::size_t>(msg.level);
    if (json_) {
      fmt::format_to(std::back_inserter(out), "{{\"@level\":\"{}\",", kNames[level]);
      out.append(msg.payload.begin(), msg.payload.end());
      fmt::format_to(std::back_inserter(out), ",\"@timestamp\":\"");
      append_time(msg.time, out);
      fmt::format_to(std::back_inserter(out), "\"}}\n");
      return;
    }
    append_time(msg.time, out);
    out.push_back(' ');
    out.append(kTags[level].begin(), kTags[level].end());
    out.push_back(' ');
    out.append(msg.payload.begin(), msg.payload.end());
    out.push_back('\n');
  }

  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(json_); }

 private:
  const bool json_;
};

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  out += '"';
}

// A value with a space, a quote or a control byte is quoted, so that no value can look like another field or another
// line.
void append_text_value(std::string_view text, std::string& out) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != '"' && c != '=' && c != 0x7f;
  });
  if (plain)
    out += text;
  else
    append_json_string(text, out);
}

std::string text_line(std::string_view module, std::string_view message, std::initializer_list<LogField> fields) {
  std::string line;
  line.append(module).append(": ");
  for (const char c : message)  // one event is one line
    line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  if (fields.size() != 0)
    line += ':';
  for (const LogField& field : fields) {
    line += ' ';
    line.append(field.name) += '=';
    append_text_value(field.value, line);
  }
  return line;
}

std::string json_line(std::string_view module, std::string_view message, std::initializer_list<LogField> fields) {
  std::string line = "\"@message\":";
  append_json_string(message, line);
  line += ",\"@module\":";
  append_json_string(module, line);
  for (const LogField& field : fields) {
    line += ',';
    append_json_string(field.name, line);
    line += ':';
    append_json_string(field.value, line);
  }
  return line;
}

}  // namespace

namespace {

// The modules that the server's lines name.
constexpr std::array<std::string_view, 8> kModules = {"audit", "core",    "expiration", "grpc",
                                                      "http",  "raft", "server",     "storage"};

std::string tap_line(bool json, LogLevel level, std::string_view text) {
  spdlog::memory_buf_t out;
  LineFormatter formatter(json);
  const spdlog::string_view_t view(text.data(), text.size());
  formatter.format(spdlog::details::log_msg("coffer", to_spdlog(level), view), out);
  return std::string(out.data(), out.size());
}

}  // namespace

void LogTap::put(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (lines_.size() + line.size() > kBytesMax) {
    ++dropped_;
    return;
  }
  lines_.append(line);
}

void LogTap::take(std::string& out) {
  const std::lock_guard lock(mutex_);
  out.append(lines_);
  lines_.clear();
  if (dropped_ != 0)
    out.append(tap_line(json_, LogLevel::kWarn,
                        json_ ? json_line("server", "lines were dropped", {{"lines", dropped_}})
                              : text_line("server", "lines were dropped", {{"lines", dropped_}})));
  dropped_ = 0;
}

struct Logger::Impl {
  void rotate_if_due();
  void note_open();

  Options options;
  mutable std::mutex swap;  // guards all that follows
  std::shared_ptr<spdlog::logger> sink;
  std::array<LogLevel, kModules.size()> levels{};
  std::vector<std::weak_ptr<LogTap>> taps;
  std::size_t bytes = 0;  // of the file, about
  std::chrono::system_clock::time_point opened;

  LogLevel level_of(std::string_view module) const {
    const auto at = std::find(kModules.begin(), kModules.end(), module);
    return at == kModules.end() ? options.level : levels[static_cast<std::size_t>(at - kModules.begin())];
  }
};

Result<LogLevel> parse_log_level(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "notice")
    lower = "info";
  if (lower == "warning")
    lower = "warn";
  if (lower == "err")
    lower = "error";
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (lower == kNames[i])
      return static_cast<LogLevel>(i);
  }
  return Status(Code::kInvalid, "expected trace, debug, info, warn or error");
}

static Result<std::shared_ptr<spdlog::logger>> make_sink(const Logger::Options& options) {
  try {
    spdlog::sink_ptr sink;
    if (options.file.empty())
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file, false);
    sink->set_formatter(std::make_unique<LineFormatter>(options.json));
    auto logger = std::make_shared<spdlog::logger>("coffer", std::move(sink));
    logger->set_level(spdlog::level::trace);  // filtered before
    logger->flush_on(spdlog::level::trace);
    return logger;
  } catch (const spdlog::spdlog_ex&) {
    return Status(Code::kIo, "cannot open log file " + options.file);
  }
}

Result<std::unique_ptr<Logger>> Logger::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  COFFER_ASSIGN(impl->sink, make_sink(options));
  impl->note_open();
  return std::unique_ptr<Logger>(new Logger(std::move(impl)));
}

void Logger::Impl::note_open() {
  opened = std::chrono::system_clock::now();
  bytes = options.file.empty() ? 0 : file_bytes(options.file);
}

// A file that cannot be put aside is written to further, and tried again a whole share later: no line is ever lost.
void Logger::Impl::rotate_if_due() {
  const auto now = std::chrono::system_clock::now();
  const bool large = options.rotate_bytes != 0 && bytes >= options.rotate_bytes;
  const bool old = options.rotate_after.count() > 0 && now - opened >= options.rotate_after;
  if (options.file.empty() || (!large && !old))
    return;
  const std::int64_t nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  const bool aside = archive_log(options.file, nanos, options.archives_max).ok();
  auto fresh = aside ? make_sink(options) : Status(Code::kIo, "not put aside");
  if (fresh.ok())
    sink = std::move(*fresh);
  note_open();
  bytes = aside ? bytes : 0;
}

Logger::Logger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->levels.fill(impl_->options.level); }
Logger::~Logger() = default;

void Logger::log(LogLevel level, std::string_view module, std::string_view message,
                 std::initializer_list<LogField> fields) {
  const std::lock_guard lock(impl_->swap);
  const bool wanted = level >= impl_->level_of(module);
  if (!wanted && impl_->taps.empty())
    return;
  std::erase_if(impl_->taps, [](const auto& tap) { return tap.expired(); });
  for (const auto& weak : impl_->taps) {
    const std::shared_ptr<LogTap> tap = weak.lock();
    if (tap && level >= tap->level_)
      tap->put(tap_line(tap->json_, level,
                        tap->json_ ? json_line(module, message, fields) : text_line(module, message, fields)));
  }
  if (!wanted)
    return;
  const std::string line =
      impl_->options.json ? json_line(module, message, fields) : text_line(module, message, fields);
  impl_->rotate_if_due();
  impl_->sink->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
  impl_->bytes += line.size() + kLineOverheadBytes;
}

void Logger::set_level(LogLevel level) {
  const std::lock_guard lock(impl_->swap);
  impl_->options.level = level;
  impl_->levels.fill(level);
}

void Logger::set_level(std::string_view module, LogLevel level) {
  const std::lock_guard lock(impl_->swap);
  const auto at = std::find(kModules.begin(), kModules.end(), module);
  if (at != kModules.end())
    impl_->levels[static_cast<std::size_t>(at - kModules.begin())] = level;
}

void Logger::set_level_of_all(LogLevel level) {
  const std::lock_guard lock(impl_->swap);
  impl_->levels.fill(level);
}

void Logger::revert_level(std::string_view module) {
  const std::lock_guard lock(impl_->swap);
  for (std::size_t i = 0; i < kModules.size(); ++i)
    if (module.empty() || module == kModules[i])
      impl_->levels[i] = impl_->options.level;
}

std::vector<std::pair<std::string, LogLevel>> Logger::levels() const {
  const std::lock_guard lock(impl_->swap);
  std::vector<std::pair<std::string, LogLevel>> out;
  for (std::size_t i = 0; i < kModules.size(); ++i)
    out.emplace_back(kModules[i], impl_->levels[i]);
  return out;
}

std::shared_ptr<LogTap> Logger::tap(LogLevel level, bool json) {
  const std::lock_guard lock(impl_->swap);
  std::erase_if(impl_->taps, [](const auto& tap) { return tap.expired(); });
  if (impl_->taps.size() >= kTapsMax)
    return nullptr;
  auto made = std::make_shared<LogTap>(level, json);
  impl_->taps.push_back(made);
  return made;
}

bool Logger::enabled(LogLevel level) const {
  const std::lock_guard lock(impl_->swap);
  return level >= impl_->options.level;
}

Status Logger::reopen() {
  const std::lock_guard lock(impl_->swap);
  COFFER_ASSIGN(impl_->sink, make_sink(impl_->options));
  impl_->note_open();
  return Status();
}

}  // namespace coffer
