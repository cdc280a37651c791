#include "base/time_text.h"

#include <charconv>
#include <cstdint>
#include <limits>

namespace coffer {
namespace {

// Room for any sum of durations before it is checked.
__extension__ typedef __int128 Wide;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDaySeconds = 86400;

struct Date {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

// Days since 1970-01-01 of the proleptic Gregorian calendar, and back; years are counted from March, so that the leap
// day comes last.
std::int64_t days_of(const Date& date) noexcept {
  const std::int64_t year = date.month <= 2 ? date.year - 1 : date.year;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

Date date_of(std::int64_t days) noexcept {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * day_of_year + 2) / 153;
  const unsigned month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          static_cast<unsigned>(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

void put_digits(char* to, std::uint64_t value, int digits) noexcept {
  for (int i = digits - 1; i >= 0; --i) {
    to[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

Status bad_time() { return Status(Code::kInvalid, "time: expected RFC 3339, such as 2006-01-02T15:04:05Z"); }

// Reads exactly `digits` decimal digits, or fails.
bool take(std::string_view& text, std::size_t digits, std::int64_t& value) noexcept {
  if (text.size() < digits)
    return false;
  value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) noexcept {
  if (text.empty() || text.front() != c)
    return false;
  text.remove_prefix(1);
  return true;
}

bool take_fraction(std::string_view& text, std::int64_t& nanos) noexcept {
  nanos = 0;
  if (!take(text, '.'))
    return true;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
    ++digits;
  if (digits == 0 || digits > 9 || !take(text, digits, nanos))
    return false;
  for (; digits < 9; ++digits)
    nanos *= 10;
  return true;
}

bool take_offset(std::string_view& text, std::int64_t& seconds) noexcept {
  seconds = 0;
  if (take(text, 'Z') || take(text, 'z'))
    return true;
  const bool west = !text.empty() && text.front() == '-';
  std::int64_t hours = 0, minutes = 0;
  if (!(take(text, '+') || take(text, '-')) || !take(text, 2, hours) || !take(text, ':') || !take(text, 2, minutes) ||
      hours > 23 || minutes > 59)
    return false;
  seconds = (hours * 60 + minutes) * (west ? -60 : 60);
  return true;
}

Status bad_duration() {
  return Status(Code::kInvalid, "duration: expected seconds or a text such as 90s, 1h30m or 30d");
}

// Length of the unit at the start of `text`, and its nanoseconds; 0 when there is none.
std::size_t unit_of(std::string_view text, std::int64_t& nanos) noexcept {
  struct Unit {
    std::string_view name;
    std::int64_t nanos;
  };
  // Two letters before one, so that "ms" is not read as minutes.
  static constexpr Unit kUnits[] = {{"ns", 1},           {"us", 1000},          {"\xc2\xb5s", 1000},
                                    {"\xce\xbcs", 1000}, {"ms", 1'000'000},     {"s", kSecond},
                                    {"m", 60 * kSecond}, {"h", 3600 * kSecond}, {"d", kDaySeconds * kSecond}};
  for (const Unit& unit : kUnits) {
    if (text.starts_with(unit.name)) {
      nanos = unit.nanos;
      return unit.name.size();
    }
  }
  return 0;
}

// One number with its unit, in nanoseconds; the fraction is cut to whole nanoseconds.
bool take_part(std::string_view& text, Wide& nanos) noexcept {
  Wide whole = 0;
  Wide fraction = 0;
  Wide scale = 1;
  std::size_t digits = 0;
  std::size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, ++digits) {
    whole = whole * 10 + (text[i] - '0');
    if (whole > std::numeric_limits<std::int64_t>::max())
      return false;
  }
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, ++digits) {
      if (scale < 1'000'000'000'000'000) {
        fraction = fraction * 10 + (text[i] - '0');
        scale *= 10;
      }
    }
  }
  std::int64_t unit = 0;
  const std::size_t length = digits == 0 ? 0 : unit_of(text.substr(i), unit);
  if (length == 0)
    return false;
  text.remove_prefix(i + length);
  nanos = whole * unit + fraction * unit / scale;
  return true;
}

}  // namespace

void append_time(WallTime time, std::string& out) {
  const std::int64_t nanos = time.time_since_epoch().count();
  std::int64_t seconds = nanos / kSecond;
  std::int64_t fraction = nanos % kSecond;
  if (fraction < 0) {
    fraction += kSecond;
    --seconds;
  }
  std::int64_t days = seconds / kDaySeconds;
  std::int64_t second = seconds % kDaySeconds;
  if (second < 0) {
    second += kDaySeconds;
    --days;
  }
  const Date date = date_of(days);
  char text[] = "0000-00-00T00:00:00.000000000Z";
  put_digits(text, static_cast<std::uint64_t>(date.year), 4);
  put_digits(text + 5, date.month, 2);
  put_digits(text + 8, date.day, 2);
  put_digits(text + 11, static_cast<std::uint64_t>(second / 3600), 2);
  put_digits(text + 14, static_cast<std::uint64_t>(second / 60 % 60), 2);
  put_digits(text + 17, static_cast<std::uint64_t>(second % 60), 2);
  std::size_t length = 19;
  if (fraction != 0) {
    put_digits(text + 20, static_cast<std::uint64_t>(fraction), 9);
    length = 29;
    while (text[length - 1] == '0')
      --length;
  }
  text[length++] = 'Z';
  out.append(text, length);
}

std::string format_time(WallTime time) {
  std::string out;
  append_time(time, out);
  return out;
}

Result<WallTime> parse_time(std::string_view text) {
  std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, nanos = 0, offset = 0;
  if (!take(text, 4, year) || !take(text, '-') || !take(text, 2, month) || !take(text, '-') || !take(text, 2, day) ||
      !(take(text, 'T') || take(text, 't')) || !take(text, 2, hour) || !take(text, ':') || !take(text, 2, minute) ||
      !take(text, ':') || !take(text, 2, second) || !take_fraction(text, nanos) || !take_offset(text, offset) ||
      !text.empty())
    return bad_time();
  if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
    return bad_time();
  const std::int64_t days = days_of({year, static_cast<unsigned>(month), static_cast<unsigned>(day)});
  // A day past the month's end lands in the next month.
  if (date_of(days).day != day)
    return bad_time();
  const std::int64_t seconds = days * kDaySeconds + hour * 3600 + minute * 60 + second - offset;
  return WallTime(Nanos(seconds * kSecond + nanos));
}

Result<Nanos> parse_duration(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+'))
    text.remove_prefix(1);
  else if (text.empty())
    return Nanos(0);
  Wide total = 0;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (end == text.data() + text.size() && error == std::errc() && seconds >= 0) {
    total = static_cast<Wide>(seconds) * kSecond;
  } else {
    if (text.empty())
      return bad_duration();
    while (!text.empty()) {
      Wide part = 0;
      if (!take_part(text, part))
        return bad_duration();
      total += part;
      if (total > std::numeric_limits<std::int64_t>::max())
        return Status(Code::kInvalid, "duration: too long");
    }
  }
  if (total > std::numeric_limits<std::int64_t>::max())
    return Status(Code::kInvalid, "duration: too long");
  const auto count = static_cast<std::int64_t>(total);
  return Nanos(negative ? -count : count);
}

Result<Nanos> parse_duration(const json::Value& value) {
  if (value.is_string())
    return parse_duration(value.as_string());
  // Through the text: 1.5 and 1e9 are no integers and are refused as such.
  if (value.is_number() && value.as_int64().ok())
    return parse_duration(value.number_text());
  return bad_duration();
}

std::string format_duration(Nanos duration) {
  const std::int64_t count = duration.count();
  if (count == 0)
    return "0s";
  std::uint64_t left = count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  std::string out = count < 0 ? "-" : "";
  const auto with_fraction = [&out](std::uint64_t value, std::uint64_t unit, std::string_view name) {
    out += std::to_string(value / unit);
    if (std::uint64_t fraction = value % unit; fraction != 0) {
      std::string digits;
      for (std::uint64_t place = unit / 10; fraction != 0; place /= 10) {
        digits.push_back(static_cast<char>('0' + fraction / place));
        fraction %= place;
      }
      out += "." + digits;
    }
    out += name;
  };
  if (left < 1000) {
    with_fraction(left, 1, "ns");
  } else if (left < 1'000'000) {
    with_fraction(left, 1000, "\xc2\xb5s");
  } else if (left < 1'000'000'000) {
    with_fraction(left, 1'000'000, "ms");
  } else {
    const std::uint64_t minutes = left / (60 * static_cast<std::uint64_t>(kSecond));
    left -= minutes * 60 * static_cast<std::uint64_t>(kSecond);
    if (minutes >= 60)
      out += std::to_string(minutes / 60) + "h";
    if (minutes > 0)
      out += std::to_string(minutes % 60) + "m";
    with_fraction(left, static_cast<std::uint64_t>(kSecond), "s");
  }
  return out;
}

std::string format_duration_short(Nanos duration) {
  std::string text = format_duration(duration);
  if (text.ends_with("m0s"))
    text.resize(text.size() - 2);
  if (text.ends_with("h0m"))
    text.resize(text.size() - 2);
  return text;
}

}  // namespace coffer
