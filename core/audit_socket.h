// Audit lines to another process: syslog's datagram socket, and sockets of TCP, UDP and the Unix domain.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "core/audit_file.h"
#include "core/audit_options.h"

namespace coffer::core {

// A line that is longer is refused by the device before it is queued: datagrams have an end, and what does not fit must
// not take the lines of others with it.
inline constexpr std::size_t kAuditUdpLineBytesMax = 60'000;
inline constexpr std::size_t kAuditSyslogLineBytesMax = 128u << 10;

// `options.remote()` holds. Takes as long as write_timeout says, plus what the resolver takes. The write() of what it
// returns takes one line of its text for each datagram. A Unix socket must not stand in one of `forbidden_folders`.
Result<std::unique_ptr<AuditFile>> open_audit_socket(const AuditOptions& options,
                                                     std::span<const std::string> forbidden_folders);

// What syslog gets for a line: "<86>Nov 22 11:40:13 vault[123]: {…}". The time is the line's own, in UTC.
std::string syslog_message(const AuditOptions& options, int process, std::string_view line);

}  // namespace coffer::core
