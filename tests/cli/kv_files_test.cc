// The formats that secrets come in from outside: YAML as people write it, and dotenv.
#include <boost/test/unit_test.hpp>

#include <random>

#include "cli/dotenv.h"
#include "cli/yaml.h"
#include "cli/yaml_reader.h"

namespace coffer::cli {
namespace {

std::string read(std::string_view text) {
  Arena arena;
  const Result<json::Value> value = read_yaml(arena, text);
  if (!value.ok())
    return value.status().message();
  std::string out;
  json::write(*value, out);
  return out;
}

BOOST_AUTO_TEST_SUITE(kv_files)

BOOST_AUTO_TEST_CASE(yaml_of_people_is_read) {
  BOOST_TEST(read("") == "null");
  BOOST_TEST(read("---\n# a comment\na: 1\nb: text # more\nc: 'it''s #1'\nd: \"x\\ny\"\n") ==
             R"({"a":1,"b":"text","c":"it's #1","d":"x\ny"})");
  BOOST_TEST(read("app:\n  db:\n    user: web\n    port: 5432\n  on: true\n  off: false\n  none: ~\n  empty:\n") ==
             R"({"app":{"db":{"user":"web","port":5432},"on":true,"off":false,"none":null,"empty":null}})");
  BOOST_TEST(read("l:\n- a\n- b: 1\n  c: 2\n- - x\n  - y\nm:\n  - z\n") ==
             R"({"l":["a",{"b":1,"c":2},["x","y"]],"m":["z"]})");
  BOOST_TEST(read("k: |\n  line 1\n    line 2\n\n  line 3\nn: >-\n  one\n  two\no: |+\n  z\n\n") ==
             R"({"k":"line 1\n  line 2\n\nline 3\n","n":"one two","o":"z\n\n"})");
  BOOST_TEST(read("a: one\n  two\n  three\nb: {\"x\": [1, 2]}\nc: []\nd: {}\n") ==
             R"({"a":"one two three","b":{"x":[1,2]},"c":[],"d":{}})");
  BOOST_TEST(read("u: http://x:1/y#z\nv: a:b\nw: 1.10\nx: 007\ny: -\nz: 12:30\n").find("\"http://x:1/y#z\"") !=
             std::string::npos);
  BOOST_TEST(read("a: \"\\x41\\u00e9\\U0001F600\\t\\e\"\n") == "{\"a\":\"Aé😀\\t\\u001b\"}");
  BOOST_TEST(read("a: \"\\ud800\"\n") == "yaml: line 1 is not understood");
  BOOST_TEST(read("a: 1\r\nb: 2\r\n") == R"({"a":1,"b":2})");
}

BOOST_AUTO_TEST_CASE(yaml_that_is_not_understood_is_refused_by_its_line) {
  for (const auto& [text, line] : std::initializer_list<std::pair<std::string_view, int>>{{"a: 1\nb\n", 2},
                                                                                        {"a: 1\n   b: 2\n", 2},
                                                                                        {"a: &x 1\n", 1},
                                                                                        {"a: *x\n", 1},
                                                                                        {"a: !!str 1\n", 1},
                                                                                        {"a: \"open\n", 1},
                                                                                        {"a: 1\na: 2\n", 2},
                                                                                        {"a: |x\n  b\n", 1}})
    BOOST_TEST(read(text) == "yaml: line " + std::to_string(line) + " is not understood");
  const std::string secret = read("password: {hunter2\n");
  BOOST_TEST(secret.find("hunter2") == std::string::npos);
  std::string deep;
  for (int i = 0; i < 500; ++i)
    deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  BOOST_TEST(read(deep).starts_with("yaml: line "));
}

// What export prints, import reads.
BOOST_AUTO_TEST_CASE(yaml_comes_back) {
  for (const std::string_view text :
       {R"({"a":{"b":"c"},"d":["e",{"f":"g"}]})", R"({"a":"line 1\nline 2\n","b":" x ","c":"","d":"# no comment"})",
        R"({"a":"true","b":"12","c":"null","d":"- x","e":"k: v","f":"'q'","g":"\"q\"","h":"~"})",
        R"({"a":[],"b":{},"c":null,"d":true,"e":1.5,"f":[[1,2],[]]})",
        R"({".":{"bell":"","cr":"a\r\nb","tab":"a\tb","uni":"é😀"}})",
        R"({"long":"Lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor inv"})",
        R"({"long":"Lorem 'ipsum': dolor sit amet consetetur sadipscing elitr sed diam # nonumy eirmod t"})"}) {
    Arena arena;
    const Result<json::Value> value = json::parse_copy(arena, text);
    BOOST_REQUIRE(value.ok());
    BOOST_TEST(read(yaml(*value) + "\n") == text);
  }
}

// Whatever the text is, reading it ends.
BOOST_AUTO_TEST_CASE(any_text_is_read_or_refused) {
  std::mt19937 random(5);
  constexpr std::string_view kPieces[] = {"a", ":", " ", "\n", "- ", "\"", "'", "#", "|", ">", "{", "}", "[", "]",
                                          "\\", "  ", "\t", "k: ", "\r", "---", "~", "\xc3", "x1", ",", "&"};
  std::size_t understood = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (unsigned n = random() % 24; n > 0; --n)
      text += kPieces[random() % std::size(kPieces)];
    Arena arena;
    understood += read_yaml(arena, text).ok();
    understood += read_dotenv(text).ok();
  }
  BOOST_TEST(understood > 100u);
}

BOOST_AUTO_TEST_CASE(dotenv_comes_back) {
  const std::map<std::string, std::string> values = {
      {"A", "plain"}, {"B", "a \"quoted\" $HOME `id` \\ text"}, {"C", ""}, {"D", "two\nlines # no comment"}};
  const Result<std::string> text = write_dotenv(values);
  BOOST_REQUIRE(text.ok());
  const auto read = read_dotenv(*text);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((*read == values));
  BOOST_TEST(!write_dotenv({{"no name", "x"}}).ok());
}

BOOST_AUTO_TEST_CASE(dotenv_of_people_is_read) {
  const auto read =
      read_dotenv("# comment\n\nexport A=1\nB = two words # comment\nC='single $x'\nD=\"a\\nb\" # c\nE=\n");
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((*read == std::map<std::string, std::string>{
                           {"A", "1"}, {"B", "two words"}, {"C", "single $x"}, {"D", "a\nb"}, {"E", ""}}));
  for (const std::string_view bad : {"A\n", "=x\n", "1A=x\n", "A=\"open\n", "A='x' y\n"})
    BOOST_TEST(read_dotenv(bad).status().message() == "dotenv: line 1 is not NAME=value");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
