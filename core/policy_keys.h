// The keys of a path block whose values have a form of their own. Part of core/policy.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/hcl.h"
#include "base/status.h"
#include "core/policy.h"

namespace coffer::core {

// An RFC 3339 text, or seconds since 1970.
Result<WallTime> expiration_of(const hcl::Node& value);
// False, and nothing changed, when it is none from `min` to `max`.
bool whole_number(const hcl::Node& value, std::int64_t min, std::int64_t max, std::int64_t& out);

// A `list_scan_response_keys_filter_path`: text in which {{ .path }} and {{ .key }} stand, the second at least once.
Status check_keys_filter(std::string_view text);
// `text` passed check_keys_filter.
std::string filled_keys_filter(std::string_view text, std::string_view path, std::string_view key);

// A `control_group` with its factors. What it names wrongly is in the error.
Status parse_approval(const hcl::Node& value, Approval& out);

}  // namespace coffer::core
