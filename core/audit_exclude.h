// Takes fields out of an audit line for devices that must not have them.
#pragma once

#include <span>
#include <string>

#include "core/audit_options.h"

namespace coffer::core {

// The last line of `text` begins at `from` and ends in a line feed. A line that cannot be read stays as it is.
void exclude_fields(std::span<const AuditExclusion> exclusions, std::size_t from, std::string& text);

}  // namespace coffer::core
