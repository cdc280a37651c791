// Times and durations as Go programs read and print them.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace coffer {

// RFC 3339 in UTC with nanoseconds, trailing zeros trimmed: 2024-05-06T07:08:09.12Z.
std::string format_time(WallTime time);
void append_time(WallTime time, std::string& out);
// RFC 3339 with any offset and up to nine digits of a second. Refuses days that do not exist and years outside
// 1678-2261.
Result<WallTime> parse_time(std::string_view text);

// `1h30m`, `1.5s`, `-2ms`, `30d` and sums of these; a plain integer is seconds; the empty text is 0. Units: ns, us, ms,
// s, m, h, d. kInvalid for anything else and for what does not fit.
Result<Nanos> parse_duration(std::string_view text);
// A string as above or an integer number of seconds.
Result<Nanos> parse_duration(const json::Value& value);

// As Go prints a duration: 1h30m0s, 1.5s, 0s.
std::string format_duration(Nanos duration);
// As Vault's command line prints one: 768h, 1h30m, 45s, 0s.
std::string format_duration_short(Nanos duration);

}  // namespace coffer
