#include <boost/test/unit_test.hpp>

#include <string>

#include "base/time_text.h"

namespace coffer {
namespace {

using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(time_text)

BOOST_AUTO_TEST_CASE(times) {
  BOOST_TEST(format_time(WallTime(Nanos(0))) == "1970-01-01T00:00:00Z");
  BOOST_TEST(format_time(WallTime(Nanos(1'136'214'245'120'000'000))) == "2006-01-02T15:04:05.12Z");
  BOOST_TEST(format_time(WallTime(Nanos(-1))) == "1969-12-31T23:59:59.999999999Z");
  BOOST_TEST(format_time(WallTime(Nanos(951'782'400'000'000'001))) == "2000-02-29T00:00:00.000000001Z");
  for (const char* text :
       {"1970-01-01T00:00:00Z", "2024-02-29T23:59:59.000000001Z", "2100-02-28T12:00:00.5Z", "1900-03-01T00:00:00Z"})
    BOOST_TEST(format_time(*parse_time(text)) == text);
  BOOST_TEST(format_time(*parse_time("2006-01-02t15:04:05+02:30")) == "2006-01-02T12:34:05Z");
  BOOST_TEST(format_time(*parse_time("2006-01-02T23:04:05-01:00")) == "2006-01-03T00:04:05Z");
  for (const char* text :
       {"", "2006-01-02", "2006-01-02T15:04:05", "2006-1-02T15:04:05Z", "2006-13-02T15:04:05Z", "2006-02-30T15:04:05Z",
        "2023-02-29T00:00:00Z", "2006-01-02T24:00:00Z", "2006-01-02T15:60:05Z", "2006-01-02T15:04:60Z",
        "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05.1234567890Z", "2006-01-02T15:04:05Zx", "2006-01-02T15:04:05+0100",
        "0001-01-01T00:00:00Z", "2006-00-02T15:04:05Z", "2006-01-00T15:04:05Z"})
    BOOST_TEST(!parse_time(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(every_day_round_trips) {
  for (std::int64_t day = -100000; day < 100000; ++day) {
    const WallTime time(Nanos(day * 86'400'000'000'000 + 1));
    BOOST_REQUIRE((*parse_time(format_time(time)) == time));
  }
}

BOOST_AUTO_TEST_CASE(durations_are_read) {
  const std::pair<const char*, Nanos> pairs[] = {
      {"", 0s},         {"0", 0s},     {"90", 90s},         {"90s", 90s},    {"1h30m", 90min},
      {"24h", 24h},     {"30d", 720h}, {"1d12h", 36h},      {"1.5h", 90min}, {".5s", 500ms},
      {"100ms", 100ms}, {"2us", 2us},  {"2\xc2\xb5s", 2us}, {"3ns", 3ns},    {"-5s", -5s},
      {"-5", -5s},      {"+5s", 5s},   {"768h", 768h}};
  for (const auto& [text, value] : pairs)
    BOOST_TEST((*parse_duration(text) == value), text);
  for (const char* text : {"x", "1x", "s", "-", "+", "--1", "-+1", ".", ".s", "1h30", " 1s", "1 s", "1e9",
                           "9223372036854775807", "9999999h", "99999999999999999999s", "1.5", "NaN", "1h-5m"})
    BOOST_TEST(!parse_duration(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(durations_come_as_json) {
  const auto of = [](const char* text) { return parse_duration(json::Document::parse(text)->root); };
  BOOST_TEST((*of("90") == 90s));
  BOOST_TEST((*of("\"1h\"") == 1h));
  for (const char* text : {"1.5", "1e3", "true", "null", "[1]", "9223372036854775807", "-9223372036854775808"})
    BOOST_TEST(!of(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(durations_are_printed) {
  const std::pair<Nanos, const char*> go[] = {
      {0s, "0s"},          {1ns, "1ns"},   {1100ns, "1.1\xc2\xb5s"}, {2200us, "2.2ms"},
      {3300ms, "3.3s"},    {245s, "4m5s"}, {1h + 1ms, "1h0m0.001s"}, {768h, "768h0m0s"},
      {-90min, "-1h30m0s"}};
  for (const auto& [value, text] : go)
    BOOST_TEST(format_duration(value) == text);
  BOOST_TEST(format_duration(Nanos::min()) == "-2562047h47m16.854775808s");
  const std::pair<Nanos, const char*> cli[] = {{0s, "0s"},       {45s, "45s"},   {60s, "1m"},
                                               {90min, "1h30m"}, {768h, "768h"}, {1h + 5s, "1h0m5s"}};
  for (const auto& [value, text] : cli)
    BOOST_TEST(format_duration_short(value) == text);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
