// Durations as Go reads and prints them, in nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::cli {

inline constexpr std::int64_t kSecondNanos = 1'000'000'000;

// "90s", "1h30m", "1.5h", "7d"; a bare integer counts seconds; empty is 0. The message of a failure is Go's.
Result<std::int64_t> parse_duration(std::string_view text);

// "1h30m0s", "1.5s", "250ms", "0s".
std::string format_duration(std::int64_t nanos);

// The same without zero minutes and seconds at the end: "24h", "1h30m", "0s".
std::string human_duration(std::int64_t nanos);

}  // namespace coffer::cli
