// What may be said when an audit device is enabled: parsed and checked in one place, for the API, the configuration and
// stored records alike (advisories I1-I3, rule R7). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace coffer::core {

enum class AuditTarget : std::uint8_t { kFile, kStdout, kDiscard };

struct AuditOptions {
  AuditTarget target = AuditTarget::kFile;
  std::string file_path;        // as given; only for kFile
  std::uint32_t mode = 0600;    // 0: leave an existing file's mode alone
  bool sync = false;            // a line counts as accepted when it is on disk, not when write(2) has returned
  bool hmac_accessor = true;
  bool log_raw = false;         // nothing is hashed
  bool elide_list_responses = false;
  bool skip_test = false;
};

using OptionPairs = std::span<const std::pair<std::string, std::string>>;

// kInvalid names the option and the rule that it breaks, never its value. Every spelling of an option (`path` is the
// old name of `file_path`) goes through the same checks; both at once are refused.
Result<AuditOptions> parse_audit_options(std::string_view type, OptionPairs options);

}  // namespace coffer::core
