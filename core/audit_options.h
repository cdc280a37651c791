// What may be said when an audit device is enabled: parsed and checked in one place, for the API, the configuration and
// stored records alike (advisories I1-I3, rule R7). Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/audit_filter.h"

namespace coffer::core {

enum class AuditTarget : std::uint8_t { kFile, kStdout, kDiscard, kSyslog, kTcp, kUdp, kUnix };

// What of a line a device does not get: fields by JSON pointer, when the condition holds of the line.
struct AuditExclusion {
  std::shared_ptr<const AuditFilter> condition;  // null: of every line
  std::vector<std::string> fields;               // "/response/data"
};

struct AuditOptions {
  AuditTarget target = AuditTarget::kFile;
  std::string file_path;        // as given; only for kFile
  std::uint32_t mode = 0600;    // 0: leave an existing file's mode alone
  bool sync = false;            // a line counts as accepted when it is on disk, not when write(2) has returned
  std::uint64_t rotate_bytes = 0;     // kFile: a larger file is renamed and a new one begun; 0: never
  Nanos rotate_duration{0};           // kFile: the same for one that has been written for so long; 0: never
  std::uint32_t rotate_files_max = 0; // kFile: renamed ones that are kept; 0: all
  bool rotate_compress = false;       // kFile: renamed ones are compressed
  std::uint8_t facility = 4;          // kSyslog: the number of AUTH
  std::string tag = "vault";          // kSyslog
  std::string address;                // kTcp, kUdp: host:port; kUnix: the socket's path
  Nanos write_timeout{std::chrono::seconds(2)};  // kTcp, kUdp, kUnix
  bool hmac_accessor = true;
  bool log_raw = false;         // nothing is hashed
  bool elide_list_responses = false;
  bool skip_test = false;
  bool hash_chain = false;      // each line carries a hash over itself and the one before (base/hash_chain.h)
  bool fallback = false;        // gets what the filters of all others leave
  std::shared_ptr<const AuditFilter> filter;     // null: every line
  std::vector<AuditExclusion> exclude;

  // Sends each line as a message of its own, so there is a longest one.
  bool datagrams() const noexcept { return target == AuditTarget::kSyslog || target == AuditTarget::kUdp; }
  // Opened anew when the other side has gone.
  bool remote() const noexcept {
    return target == AuditTarget::kSyslog || target == AuditTarget::kTcp || target == AuditTarget::kUdp ||
           target == AuditTarget::kUnix;
  }
};

using OptionPairs = std::span<const std::pair<std::string, std::string>>;

// kInvalid names the option and the rule that it breaks, never its value. Every spelling of an option (`path` is the
// old name of `file_path`) goes through the same checks; both at once are refused.
Result<AuditOptions> parse_audit_options(std::string_view type, OptionPairs options);

// What a filter may ask about a request.
inline constexpr std::string_view kAuditFilterNames[] = {"mount_point", "mount_type", "namespace", "operation", "path"};

}  // namespace coffer::core
