// From configuration and flags to what a node is made of.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "server/app.h"
#include "server/dev_tls.h"
#include "server/run.h"

namespace coffer::server {

struct StartOptions {
  AppOptions app;
  core::Lifecycle::Info app_info;  // for the banner
  std::string seal_kind;
  Logger::Options log;
  bool disable_mlock = false;
  std::string pid_file;  // empty: none
  std::unique_ptr<DevTls> dev_tls;    // with -dev-tls: its files live as long as this
  std::vector<std::string> derived;   // settings that were left out, and what stands for them: for the log
  std::vector<std::string> warnings;  // settings that are read and have no effect yet, or none at all
};

// What SIGHUP reads anew of the configuration.
struct LogLevels {
  LogLevel level = LogLevel::kInfo;
  std::optional<LogLevel> requests;
};
// As start_options() would have them now. kInvalid: the configuration is not good any more.
Result<LogLevels> log_levels(const RunOptions& options);

// Reads files, so call it before anything depends on the result. kInvalid names file, line and setting, never a key's
// content.
Result<StartOptions> start_options(const RunOptions& options);

// "127.0.0.1:8200", "[::1]:8200", ":8200"; a missing port is `port`. kInvalid names `setting`.
Result<std::pair<std::string, std::uint16_t>> parse_address(std::string_view text, std::uint16_t port,
                                                            std::string_view setting);

}  // namespace coffer::server
