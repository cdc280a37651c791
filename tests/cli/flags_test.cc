#include "cli/flags.h"

#include <boost/test/unit_test.hpp>

#include "cli/duration.h"
#include "tests/cli/fake.h"

namespace coffer::cli {
namespace {

std::vector<FlagGroup> groups() {
  return {{"Options",
           {{.name = "text", .usage = "Some text.", .fallback = "default", .env = "TEXT"},
            {.name = "bool", .kind = FlagKind::kBool, .usage = "A switch.", .alias = "b"},
            {.name = "maybe", .kind = FlagKind::kOptionalBool, .usage = "Perhaps."},
            {.name = "int", .kind = FlagKind::kInt, .usage = "A number.", .env = "INT"},
            {.name = "time", .kind = FlagKind::kDuration, .usage = "A duration."},
            {.name = "list", .kind = FlagKind::kList, .usage = "A list."},
            {.name = "map", .kind = FlagKind::kMap, .usage = "A map."},
            {.name = "secret", .usage = "Not shown.", .hidden = true}}}};
}

Invocation with_env(std::map<std::string, std::string> env) {
  Invocation invocation;
  auto held = std::make_shared<std::map<std::string, std::string>>(std::move(env));
  invocation.env = [held](const char* name) -> const char* {
    auto found = held->find(name);
    return found == held->end() ? nullptr : found->second.c_str();
  };
  return invocation;
}

std::string failure(std::vector<std::string> args) {
  FlagSet flags(groups(), Invocation{});
  return flags.parse(args).message();
}

BOOST_AUTO_TEST_SUITE(flags)

BOOST_AUTO_TEST_CASE(all_spellings) {
  FlagSet flags(groups(), Invocation{});
  BOOST_REQUIRE(flags
                    .parse({"-text=a=b", "--int", "7", "-b", "-time", "90", "-list=x", "-list", " y ", "-map=k=v=w",
                            "rest", "-int=9"})
                    .ok());
  BOOST_TEST(flags.text("text") == "a=b");
  BOOST_TEST(flags.integer("int") == 7);
  BOOST_TEST(flags.boolean("bool"));
  BOOST_TEST(flags.duration_nanos("time") == 90 * kSecondNanos);
  BOOST_TEST(flags.list("list") == (std::vector<std::string>{"x", "y"}), boost::test_tools::per_element());
  BOOST_TEST(flags.map("map").at("k") == "v=w");
  BOOST_TEST(flags.args() == (std::vector<std::string>{"rest", "-int=9"}), boost::test_tools::per_element());
  BOOST_TEST(!flags.given("maybe"));
}

BOOST_AUTO_TEST_CASE(where_flags_end) {
  for (auto args : {std::vector<std::string>{"-b", "--", "-int"}, {"-b", "-"}, {"-b", ""}}) {
    FlagSet flags(groups(), Invocation{});
    BOOST_REQUIRE(flags.parse(args).ok());
    BOOST_TEST(flags.args().size() == 1u);
  }
  FlagSet flags(groups(), Invocation{});
  BOOST_REQUIRE(flags.parse({"-bool=false", "-bool", "true"}).ok());
  BOOST_TEST(flags.boolean("bool"));
  BOOST_TEST(flags.args().front() == "true");  // a boolean takes no separate value
}

BOOST_AUTO_TEST_CASE(messages) {
  BOOST_TEST(failure({"-nope"}) == "flag provided but not defined: -nope");
  BOOST_TEST(failure({"-int"}) == "flag needs an argument: -int");
  BOOST_TEST(failure({"-int=x"}) ==
             "invalid value \"x\" for flag -int: strconv.ParseInt: parsing \"x\": invalid syntax");
  BOOST_TEST(failure({"-int=99999999999999999999"}) ==
             "invalid value \"99999999999999999999\" for flag -int: strconv.ParseInt: parsing "
             "\"99999999999999999999\": value out of range");
  BOOST_TEST(failure({"-bool=maybe"}) ==
             "invalid boolean value \"maybe\" for -bool: strconv.ParseBool: parsing \"maybe\": invalid syntax");
  BOOST_TEST(failure({"-time=x"}) == "invalid value \"x\" for flag -time: time: invalid duration \"x\"");
  BOOST_TEST(failure({"-map=x"}) == "invalid value \"x\" for flag -map: missing = in KV pair: \"x\"");
  BOOST_TEST(failure({"---x"}) == "bad flag syntax: ---x");
  BOOST_TEST(failure({"-=x"}) == "bad flag syntax: -=x");
}

BOOST_AUTO_TEST_CASE(environment) {
  FlagSet flags(groups(), with_env({{"TEXT", "from env"}, {"INT", "no number"}}));
  BOOST_REQUIRE(flags.parse({}).ok());
  BOOST_TEST(flags.text("text") == "from env");
  BOOST_TEST(flags.given_or_env("text"));
  BOOST_TEST(!flags.given("text"));
  BOOST_TEST(flags.integer("int") == 0);
  FlagSet given(groups(), with_env({{"TEXT", "from env"}}));
  BOOST_REQUIRE(given.parse({"-text=line"}).ok());
  BOOST_TEST(given.text("text") == "line");
}

BOOST_AUTO_TEST_CASE(help_lists_what_is_not_hidden) {
  std::string help = FlagSet(groups(), Invocation{}).help();
  BOOST_TEST(help.starts_with("Options:\n\n  -bool\n"
                              "      A switch. This is aliased as \"-b\". The default is false.\n\n  -int=<int>\n"));
  BOOST_TEST(help.find("  -maybe=<*bool>\n      Perhaps.\n") != std::string::npos);
  BOOST_TEST(help.find("Some text. The default is default. This can also be specified via the\n"
                       "      TEXT environment variable.") != std::string::npos);
  BOOST_TEST(help.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(misplaced_flags) {
  BOOST_TEST(misplaced_flags_warning({"a", "-", "-format=json", "b"}).empty());
  BOOST_TEST(misplaced_flags_warning({"a", "-version=1", "--x"}) ==
             "Command flags must be provided before positional arguments. The following arguments will not be parsed "
             "as flags: [-version,--x]");
}

BOOST_AUTO_TEST_CASE(durations) {
  auto text = [](std::string_view in) {
    auto parsed = parse_duration(in);
    return parsed.ok() ? format_duration(*parsed) : parsed.status().message();
  };
  BOOST_TEST(text("") == "0s");
  BOOST_TEST(text("90") == "1m30s");
  BOOST_TEST(text("1.5h") == "1h30m0s");
  BOOST_TEST(text("1h2m3.5s") == "1h2m3.5s");
  BOOST_TEST(text("250ms") == "250ms");
  BOOST_TEST(text("7d") == "168h0m0s");
  BOOST_TEST(text("-1s") == "-1s");
  BOOST_TEST(text("1h2x") == "time: unknown unit \"x\" in duration \"1h2x\"");
  BOOST_TEST(text("1.5") == "time: missing unit in duration \"1.5\"");
  BOOST_TEST(text("h") == "time: invalid duration \"h\"");
  BOOST_TEST(text("9999999999999h") == "time: invalid duration \"9999999999999h\"");
  BOOST_TEST(human_duration(24 * 3600 * kSecondNanos) == "24h");
  BOOST_TEST(human_duration(90061 * kSecondNanos) == "25h1m1s");
  BOOST_TEST(human_duration(5400 * kSecondNanos) == "1h30m");
  BOOST_TEST(human_duration(60 * kSecondNanos) == "1m");
  BOOST_TEST(human_duration(0) == "0s");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
