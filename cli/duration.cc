#include "cli/duration.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "cli/text.h"

namespace coffer::cli {
namespace {

Status invalid(std::string_view text) { return Status(Code::kInvalid, "time: invalid duration " + quoted(text)); }

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  if (!text.empty() && text.front() == '+')
    text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<double> unit_nanos(std::string_view unit) {
  if (unit == "ns")
    return 1;
  if (unit == "us" || unit == "\xc2\xb5s" || unit == "\xce\xbcs")
    return 1e3;
  if (unit == "ms")
    return 1e6;
  if (unit == "s")
    return 1e9;
  if (unit == "m")
    return 60e9;
  if (unit == "h")
    return 3600e9;
  return std::nullopt;
}

bool is_number_char(char c) { return (c >= '0' && c <= '9') || c == '.'; }

Result<std::int64_t> parse_units(std::string_view whole) {
  std::string_view text = whole;
  bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+'))
    text.remove_prefix(1);
  if (text.empty())
    return invalid(whole);
  double total = 0;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && is_number_char(text[digits]))
      ++digits;
    double number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (digits == 0 || error != std::errc() || end != text.data() + digits)
      return invalid(whole);
    std::size_t unit_end = digits;
    while (unit_end < text.size() && !is_number_char(text[unit_end]))
      ++unit_end;
    std::string_view unit = text.substr(digits, unit_end - digits);
    if (unit.empty())
      return Status(Code::kInvalid, "time: missing unit in duration " + quoted(whole));
    std::optional<double> nanos = unit_nanos(unit);
    if (!nanos)
      return Status(Code::kInvalid, "time: unknown unit " + quoted(unit) + " in duration " + quoted(whole));
    total += number * *nanos;
    text.remove_prefix(unit_end);
  }
  if (total > 9.2e18)
    return invalid(whole);
  return static_cast<std::int64_t>(std::llround(negative ? -total : total));
}

// `value` in units of `scale` nanoseconds, without zeros at the end of the fraction.
std::string with_fraction(std::uint64_t nanos, std::uint64_t scale) {
  std::string out = std::to_string(nanos / scale);
  std::uint64_t rest = nanos % scale;
  if (rest == 0)
    return out;
  std::string digits = std::to_string(rest + scale).substr(1);
  while (digits.back() == '0')
    digits.pop_back();
  return out + "." + digits;
}

}  // namespace

Result<std::int64_t> parse_duration(std::string_view text) {
  constexpr std::int64_t kSecondsMax = INT64_MAX / kSecondNanos;
  if (text.empty())
    return std::int64_t{0};
  std::optional<std::int64_t> seconds = integer(text);
  if (!seconds && text.back() == 'd') {
    seconds = integer(text.substr(0, text.size() - 1));
    if (seconds && (*seconds > kSecondsMax / 86400 || *seconds < -kSecondsMax / 86400))
      return invalid(text);
    if (seconds)
      *seconds *= 86400;
  }
  if (!seconds && text.back() == 'd')
    return Status(Code::kInvalid,
                  "strconv.ParseInt: parsing " + quoted(text.substr(0, text.size() - 1)) + ": invalid syntax");
  if (!seconds)
    return parse_units(text);
  if (*seconds > kSecondsMax || *seconds < -kSecondsMax)
    return invalid(text);
  return *seconds * kSecondNanos;
}

std::string format_duration(std::int64_t nanos) {
  if (nanos == 0)
    return "0s";
  std::string sign = nanos < 0 ? "-" : "";
  std::uint64_t size = nanos < 0 ? 0 - static_cast<std::uint64_t>(nanos) : static_cast<std::uint64_t>(nanos);
  if (size < 1'000)
    return sign + std::to_string(size) + "ns";
  if (size < 1'000'000)
    return sign + with_fraction(size, 1'000) + "\xc2\xb5s";
  if (size < 1'000'000'000)
    return sign + with_fraction(size, 1'000'000) + "ms";
  std::uint64_t minutes = size / (60 * kSecondNanos);
  std::string seconds = with_fraction(size % (60 * kSecondNanos), kSecondNanos) + "s";
  if (minutes == 0)
    return sign + seconds;
  if (minutes < 60)
    return sign + std::to_string(minutes) + "m" + seconds;
  return sign + std::to_string(minutes / 60) + "h" + std::to_string(minutes % 60) + "m" + seconds;
}

std::string human_duration(std::int64_t nanos) {
  if (nanos == 0)
    return "0s";
  std::string text = format_duration(nanos);
  if (text.ends_with("m0s"))
    text.resize(text.size() - 2);
  std::size_t at = text.find("h0m");
  if (at != std::string::npos && at > 0)
    text.erase(at + 1, 2);
  return text;
}

}  // namespace coffer::cli
