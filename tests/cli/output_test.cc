#include <boost/test/unit_test.hpp>

#include "cli/hcl_format.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"
#include "cli/yaml.h"

namespace coffer::cli {
namespace {

std::string yaml_of(std::string_view json_text) {
  auto document = json::Document::parse(json_text);
  BOOST_REQUIRE(document.ok());
  return yaml(document->root);
}

std::string text_of(std::string_view json_text) {
  auto document = json::Document::parse(json_text);
  BOOST_REQUIRE(document.ok());
  return value_text(document->root);
}

BOOST_AUTO_TEST_SUITE(output)

BOOST_AUTO_TEST_CASE(tables) {
  BOOST_TEST(table({"Key", "Value"}, {{"a", "1"}, {"z\xc3\xa9", " 2 "}, {"longer", ""}}) ==
             "Key       Value\n---       -----\na         1\nz\xc3\xa9        2\nlonger    n/a");
  BOOST_TEST(columns({{"Key Term", "2"}, {"Install Time", "x"}}) == "Key Term        2\nInstall Time    x");
  BOOST_TEST(columns({}).empty());
}

BOOST_AUTO_TEST_CASE(banners) {
  BOOST_TEST(banner("Secret Path", 13) == "== Secret Path ==");
  BOOST_TEST(banner("Secret Path", 27) == "======= Secret Path =======");
  BOOST_TEST(banner("Data", 17) == "====== Data ======");
  BOOST_TEST(banner("Metadata Path", 17) == "= Metadata Path =");
}

BOOST_AUTO_TEST_CASE(values_as_go_prints_them) {
  BOOST_TEST(text_of(R"({"b":[1,"a",{"x":[]},null],"a":{"k":true}})") == "map[a:map[k:true] b:[1 a map[x:[]] <nil>]]");
  BOOST_TEST(text_of("1.10") == "1.10");
  BOOST_TEST(text_of("123456789012345678901234567890") == "123456789012345678901234567890");
  auto number = json::Document::parse("90061");
  BOOST_TEST(field_text("ttl", number->root) == "25h1m1s");
  BOOST_TEST(field_text("max_ttl", number->root) == "25h1m1s");
  BOOST_TEST(field_text("throttle", number->root) == "90061");
  BOOST_TEST(long_time("2026-11-22T02:35:02.600081850Z") == "2026-11-22 02:35:02.60008185 +0000 UTC");
  BOOST_TEST(long_time("2026-11-22T02:35:02Z") == "2026-11-22 02:35:02 +0000 UTC");
  BOOST_TEST(short_time("2026-11-22T02:35:02.6Z") == "22 Nov 26 02:35 UTC");
  BOOST_TEST(short_time("yesterday") == "yesterday");
  BOOST_TEST(quoted("a\"b\\\n\x01") == "\"a\\\"b\\\\\\n\\x01\"");
}

// Expectations are what Go's library prints for the same input.
BOOST_AUTO_TEST_CASE(yaml_scalars) {
  BOOST_TEST(yaml_of(R"({"k":"hello world"})") == "k: hello world");
  for (const char* text : {"1.5", "0x1F", "true", "yes", "", "null", "~", "2020-01-01", "12:30", "1_000", ".5", "+1",
                           "0o7", "010", "1e3", ".inf", "2020-01-01T00:00:00Z", "0b11", "n"})
    BOOST_TEST(yaml_of("{\"k\":\"" + std::string(text) + "\"}") == "k: \"" + std::string(text) + "\"");
  for (const char* text :
       {"=", ".", "?a", "a,b", "-a", "it's", "x:y", "1,000", "<<", "0x", "1e", "=m", "a]", "2001-12-14 21:59:43.10 -5"})
    BOOST_TEST(yaml_of("{\"k\":\"" + std::string(text) + "\"}") == "k: " + std::string(text));
  for (const char* text : {" lead", "trail ", "#x", "a: b", "- x", "@", "a #b", "*a", "%a", "[a]", "!t", "&r", "|x",
                           "{", "ends:", "-", "---", "`x", "? x"})
    BOOST_TEST(yaml_of("{\"k\":\"" + std::string(text) + "\"}") == "k: '" + std::string(text) + "'");
  BOOST_TEST(yaml_of(R"({"k":"'a"})") == "k: '''a'");
  BOOST_TEST(yaml_of(R"({"k":"tab\tx"})") == "k: \"tab\\tx\"");
  BOOST_TEST(yaml_of(R"({"k":"\ud83c\udf88"})") == "k: \"\\U0001F388\"");
  BOOST_TEST(yaml_of(R"({"k":"a\nb"})") == "k: |-\n  a\n  b");
  BOOST_TEST(yaml_of(R"({"k":"a\n\n"})") == "k: |+\n  a\n");
  BOOST_TEST(yaml_of(R"({"k":"\nx"})") == "k: |2-\n\n  x");
  BOOST_TEST(yaml_of(R"({"k":"a \nb"})") == "k: \"a \\nb\"");
  BOOST_TEST(yaml_of(R"({"n":1,"y":2})") == "\"n\": 1\n\"y\": 2");
}

BOOST_AUTO_TEST_CASE(yaml_structure) {
  BOOST_TEST(yaml_of(R"({"l":[1,"a",{"x":[],"y":{}},[2,[3]]],"m":{"10":1,"9":2},"z":null})") ==
             "l:\n- 1\n- a\n- x: []\n  \"y\": {}\n- - 2\n  - - 3\nm:\n  \"9\": 2\n  \"10\": 1\nz: null");
  BOOST_TEST(yaml_of("[1e21,1.0,0.1,100,1e5,1e-7,3.14e10,12345678901234567890,0.00001,1234567.5]") ==
             "- 1e+21\n- 1\n- 0.1\n- 100\n- 100000\n- 1e-07\n- 3.14e+10\n- 12345678901234567890\n- 1e-05\n"
             "- 1.2345675e+06");
  std::string words;
  for (int i = 0; i < 22; ++i)
    words += i == 0 ? "long" : " long";
  std::string folded = yaml_of("{\"aa\":\"" + words + "\"}");
  BOOST_TEST(folded.find('\n') == 83u);  // the first space behind column 80
}

BOOST_AUTO_TEST_CASE(paths) {
  BOOST_TEST(sanitize_path(" /secret/foo/ ") == "secret/foo");
  BOOST_TEST(with_trailing_slash("a") == "a/");
  BOOST_TEST(with_trailing_slash("") == "");
  BOOST_TEST(join_path({"/v1", "a//b/./c/../d/"}) == "/v1/a/b/d");
  BOOST_TEST(escape_path("/v1/a b/\xc3\xa9?x") == "/v1/a%20b/%C3%A9%3Fx");
  BOOST_TEST(escape_query("a b&c/d") == "a+b%26c%2Fd");
}

BOOST_AUTO_TEST_CASE(wrapping_balances_lines) {
  BOOST_TEST(wrap("aaa bb cc ddddd", 0, 6) == "aaa\nbb cc\nddddd");
  BOOST_TEST(wrap("one two", 2, 78) == "  one two");
  BOOST_TEST(wrap("averyveryverylongword x", 0, 5) == "averyveryverylongword\nx");
}

BOOST_AUTO_TEST_CASE(hcl_layout) {
  auto formatted = format_hcl("path \"a\" { policy = \"read\"\ncapabilities=[\"read\",\"list\"] } # c\npath \"b\" {\n"
                              "# in\n  l = [\n\"x\", # one\n\"y\"]\n"
                              "  m = { \"a\"=1\n\"bcd\" = 2 }\n}\npath \"e\" {}\n");
  BOOST_REQUIRE(formatted.ok());
  BOOST_TEST(*formatted ==
             "path \"a\" {\n  policy       = \"read\"\n  capabilities = [\"read\", \"list\"]\n} # c\n\npath \"b\" {\n"
             "  # in\n  l = [\n    \"x\", # one\n"
             "    \"y\",\n  ]\n\n  m = {\n    \"a\"   = 1\n    \"bcd\" = 2\n  }\n}\n\npath \"e\" {}\n");
  BOOST_TEST(*format_hcl(*formatted) == *formatted);
  BOOST_TEST(!format_hcl("path \"a\" {").ok());
  BOOST_TEST(!format_hcl("{\"path\": {}}").ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
