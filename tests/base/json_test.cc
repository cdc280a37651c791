#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#define RAPIDJSON_HAS_STDSTRING 1
#include <rapidjson/document.h>

#include "base/json.h"
#include "tests/mutant_on.h"

namespace coffer::json {
namespace {

using coffer::testing::ScopedMutant;

std::string round_trip(std::string_view text, WriteOptions options = {}) {
  auto document = Document::parse(text);
  if (!document.ok())
    return document.status().message();
  std::string out;
  write(document->root, out, options);
  return out;
}

Code code_of(std::string_view text, const Limits& limits = {}) {
  Arena arena;
  return parse(arena, text, limits).code();
}

BOOST_AUTO_TEST_SUITE(json_text)

BOOST_AUTO_TEST_CASE(round_trips) {
  for (const char* text : {"null", "true", "false", "0", "-0", "1.10", "123456789012345678901234567890", "1E+400",
                           "-1.5e-7", "\"\"", "[]", "{}", "[[],{}]", R"({"a":[1,{"b":null}],"c":"x"})",
                           R"("\"\\\b\f\n\r\t")", R"("\u0000\u001f")", "\"caf\xc3\xa9 \xf0\x9f\x94\x91\""})
    BOOST_TEST(round_trip(text) == text);
  BOOST_TEST(round_trip(" { \"a\" : [ 1 , 2 ] } \n") == R"({"a":[1,2]})");
  BOOST_TEST(round_trip(R"("\u0041\/\u00e9\ud83d\udd11")") == "\"A/\xc3\xa9\xf0\x9f\x94\x91\"");
  BOOST_TEST(round_trip(R"("<a href='x'>&")") == R"("<a href='x'>&")");
  BOOST_TEST(round_trip(R"("<a&>")", {.html_escape = true}) == R"("\u003ca\u0026\u003e")");
  BOOST_TEST(round_trip("\"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\"") == "\"\\u2028\\u2029\xe2\x80\xaa\"");
  BOOST_TEST(round_trip(R"({"b":1,"a":2})", {.sort_keys = true}) == R"({"a":2,"b":1})");
}

BOOST_AUTO_TEST_CASE(refuses) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "tru",
                           "True",
                           "01",
                           "+1",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "\"",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           R"("\ud800")",
                           R"("\udc00")",
                           R"("\ud800\u0041")",
                           "\"\x01\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "{,}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\" 1}",
                           "}",
                           "]",
                           "[}",
                           "{]",
                           "1 2",
                           "{}{}",
                           "null x",
                           "\xef\xbb\xbfnull",
                           "NaN",
                           "Infinity",
                           "'a'",
                           "/**/1",
                           "[1}"})
    BOOST_TEST((code_of(text) == Code::kInvalid), text);
  BOOST_TEST((code_of(std::string_view("null\0", 5)) == Code::kInvalid));
  BOOST_TEST((code_of(std::string_view("[\0]", 3)) == Code::kInvalid));
}

BOOST_AUTO_TEST_CASE(errors_name_the_offset_and_no_content) {
  const auto document = Document::parse(R"({"password":"hunter2" "x":1})");
  BOOST_REQUIRE(!document.ok());
  BOOST_TEST(document.status().message() == "JSON, byte 22: expected ',' or '}'");
  // H7: wherever the text is broken, the message holds none of it.
  const std::string text = R"({"canary-key":"canary-value","n":[123454321,"canary"]})";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    for (const char* junk : {"", "\"", "x", ",", "}", "]", "\x01", "\xff", "\\"}) {
      const auto broken = Document::parse(text.substr(0, cut) + junk + text.substr(cut + 1));
      if (broken.ok())
        continue;
      BOOST_TEST(broken.status().message().find("canary") == std::string::npos);
      BOOST_TEST(broken.status().message().find("12345") == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(reads_values) {
  const auto document = Document::parse(R"({"i":-42,"u":18446744073709551615,"f":1.5,"s":"x","a":[1,2,3],"t":true,)"
                                        R"("n":null})");
  BOOST_REQUIRE(document.ok());
  const Value& root = document->root;
  BOOST_TEST(root.size() == 7u);
  BOOST_TEST(*root.find("i")->as_int64() == -42);
  BOOST_TEST(*root.find("u")->as_uint64() == UINT64_MAX);
  BOOST_TEST(!root.find("u")->as_int64().ok());
  BOOST_TEST(!root.find("i")->as_uint64().ok());
  BOOST_TEST(!root.find("f")->as_int64().ok());
  BOOST_TEST(!root.find("s")->as_int64().ok());
  BOOST_TEST(*root.find("f")->as_double() == 1.5);
  BOOST_TEST(root.string_or("s", "-") == "x");
  BOOST_TEST(root.string_or("i", "-") == "-");
  BOOST_TEST(root.find("a")->elements()[2].number_text() == "3");
  BOOST_TEST(root.find("t")->as_bool());
  BOOST_TEST(root.find("n")->is_null());
  BOOST_TEST((root.find("missing") == nullptr));
  BOOST_TEST((root.find("s")->find("x") == nullptr));
}

BOOST_AUTO_TEST_CASE(strings_without_escapes_are_not_copied) {
  Arena arena;
  const std::string text = R"(["plain","es\ncaped"])";
  const auto root = parse(arena, text);
  BOOST_REQUIRE(root.ok());
  BOOST_TEST((root->elements()[0].as_string().data() == text.data() + 2));
  BOOST_TEST(root->elements()[1].as_string() == "es\ncaped");
}

BOOST_AUTO_TEST_CASE(builds_and_prints) {
  Arena arena;
  ObjectBuilder inner(arena, 1);
  for (int i = 0; i < 20; ++i)
    inner.add("k" + std::to_string(i), i);
  ArrayBuilder list(arena, 1);
  list.add("x").add(std::int64_t{7}).add(Value::null());
  const Value root = ObjectBuilder(arena)
                         .add("s", "text")
                         .add("b", true)
                         .add("n", nullptr)
                         .add("u", UINT64_MAX)
                         .add("raw", Value::raw(R"({"x":1.10})"))
                         .add("list", list.build())
                         .add("empty", ArrayBuilder(arena).build())
                         .build();
  std::string out;
  write(root, out);
  BOOST_TEST(out == R"({"s":"text","b":true,"n":null,"u":18446744073709551615,"raw":{"x":1.10},"list":["x",7,null],)"
                    R"("empty":[]})");
  BOOST_TEST(inner.build().size() == 20u);
  BOOST_TEST(*inner.build().find("k19")->as_int64() == 19);
  out.clear();
  write_pretty(*Document::parse(R"({"a":[1,{"b":{}}],"c":[]})").value().root.find("a"), out);
  BOOST_TEST(out == "[\n  1,\n  {\n    \"b\": {}\n  }\n]");
}

BOOST_AUTO_TEST_CASE(k2_limits) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  BOOST_TEST((code_of(nested(limits::kJsonDepthMax)) == Code::kOk));
  BOOST_TEST((code_of(nested(limits::kJsonDepthMax + 1)) == Code::kTooLarge));
  BOOST_TEST((code_of(std::string(10'000'000, '[')) == Code::kTooLarge));
  const auto strings = [](std::size_t n) {
    std::string text = "[";
    for (std::size_t i = 0; i < n; ++i)
      text += i == 0 ? "\"\"" : ",\"\"";
    return text + "]";
  };
  BOOST_TEST((code_of(strings(limits::kJsonStringsMax)) == Code::kOk));
  BOOST_TEST((code_of(strings(limits::kJsonStringsMax + 1)) == Code::kTooLarge));
  BOOST_TEST((code_of("[1,2,3]", {.memory_bytes = 64}) == Code::kOk));
  BOOST_TEST((code_of("[1,2,3]", {.memory_bytes = 63}) == Code::kTooLarge));
  BOOST_TEST((code_of(R"({"a":1,"b":2,"a":3})") == Code::kInvalid));
  BOOST_TEST((code_of(R"({"a":1,"\u0061":3})") == Code::kInvalid));
  BOOST_TEST((code_of(R"({"a":{"a":1},"b":{"a":1}})") == Code::kOk));
}

BOOST_AUTO_TEST_CASE(k2_mutants) {
  {
    ScopedMutant on(Mutant::kJsonDepthUnchecked);
    BOOST_TEST((code_of(std::string(5000, '[') + std::string(5000, ']')) == Code::kOk));
  }
  {
    ScopedMutant on(Mutant::kJsonStringsUnchecked);
    BOOST_TEST((code_of(R"(["a","b"])", {.strings = 1}) == Code::kOk));
  }
  {
    ScopedMutant on(Mutant::kJsonMemoryUnchecked);
    BOOST_TEST((code_of("[1,2,3]", {.memory_bytes = 16}) == Code::kOk));
  }
  ScopedMutant on(Mutant::kJsonDuplicateKeys);
  BOOST_TEST((code_of(R"({"a":1,"a":3})") == Code::kOk));
}

BOOST_AUTO_TEST_CASE(many_keys) {
  std::string text = "{";
  for (int i = 0; i < 200; ++i)
    text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + std::to_string(i);
  BOOST_TEST((code_of(text + "}") == Code::kOk));
  BOOST_TEST((code_of(text + ",\"k57\":0}") == Code::kInvalid));
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)  // which multiply what a byte costs
constexpr double kLargeBodySecondsMax = 20;
#else
constexpr double kLargeBodySecondsMax = 1;
#endif

// K2: a body of the largest size is judged in linear time and never takes more memory than its own size. Processor time
// with a generous bound; bench/json has the figure.
BOOST_AUTO_TEST_CASE(k2_large_bodies) {
  constexpr std::size_t kSize = 30u << 20;
  std::vector<std::string> bodies;
  bodies.push_back("\"" + std::string(kSize, 'a') + "\"");
  std::string accents, escapes, numbers = "[";
  while (accents.size() < kSize)
    accents += "\xc3\xa9";
  while (escapes.size() < kSize)
    escapes += "\\u00e9";
  while (numbers.size() < kSize)
    numbers += "1,";
  bodies.push_back("\"" + accents + "\"");
  bodies.push_back("\"" + escapes + "\"");
  bodies.push_back(numbers + "1]");
  bodies.push_back(std::string(kSize, ' ') + "1");
  bodies.push_back(std::string(kSize, '1'));
  for (const std::string& body : bodies) {
    Arena arena;
    const std::clock_t start = std::clock();
    (void)parse(arena, body);
    BOOST_TEST(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < kLargeBodySecondsMax);
    BOOST_TEST(arena.bytes_used() <= limits::kRequestBodyBytesMax);
  }
}

class Upper final : public ScalarRewriter {
 public:
  void rewrite(const Scalar& scalar, std::string& out) override {
    out += '"';
    out += scalar.top_key;
    out += ':';
    out += scalar.text;
    out += '"';
  }
};

BOOST_AUTO_TEST_CASE(rewrites_scalars_in_trees_and_text) {
  const std::string text = R"({ "a" : [1, "x\u0041", {"deep":true}], "b\n":{"c":null}, "e":[], "o":{} })";
  const std::string expected = "{\"a\":[\"a:1\",\"a:xA\",{\"deep\":\"a:true\"}],\"b\\n\":{\"c\":\"b\n"
                               ":null\"},\"e\":[],\"o\":{}}";
  Upper upper;
  std::string from_text;
  BOOST_TEST(rewrite_scalars(text, from_text, upper).ok());
  BOOST_TEST(from_text == expected);
  const auto document = Document::parse(text);
  std::string from_tree;
  BOOST_TEST(rewrite_scalars(document->root, from_tree, upper).ok());
  BOOST_TEST(from_tree == expected);
  Arena arena;
  const Value mixed = ObjectBuilder(arena).add("top", Value::raw(R"({"x":[1,{"y":2}]})")).add("s", "t").build();
  std::string from_mixed = "kept";
  BOOST_TEST(rewrite_scalars(mixed, from_mixed, upper).ok());
  BOOST_TEST(from_mixed == R"(kept{"top":{"x":["top:1",{"y":"top:2"}]},"s":"s:t"})");
  BOOST_TEST(!rewrite_scalars(ObjectBuilder(arena).add("r", Value::raw("[1,")).build(), from_mixed, upper).ok());
  BOOST_TEST(from_mixed == R"(kept{"top":{"x":["top:1",{"y":"top:2"}]},"s":"s:t"})");
  std::string list;
  BOOST_TEST(rewrite_scalars(R"([{"a":1}])", list, upper).ok());
  BOOST_TEST(list == R"([{"a":":1"}])");
}

// An independent reader judges mutated texts the same way (two cases apart, which it allows).
BOOST_AUTO_TEST_CASE(agrees_with_rapidjson) {
  std::mt19937 random(20240607);
  const std::string seeds[] = {R"({"a":[1,2.50,-3e+5,true,false,null],"b":{"c":"x\n\u00e9\ud83d\ude00"},)"
                               R"("d":"caf)" "\xc3\xa9" R"("})",
                               R"([[[{"x":{"y":[]}}]],"",0,-0,1E9,"\"\\\/\b\f"])"};
  const char bytes[] = "{}[]\",:\\ue0123456789.-+tfnrals \n\x01\xc3\xa9\xed\xff";
  std::size_t valid = 0;
  for (int i = 0; i < 60000; ++i) {
    std::string text = seeds[random() % 2];
    for (unsigned edits = random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      const char byte = bytes[random() % (sizeof bytes - 1)];
      switch (random() % 3) {
        case 0: text[at] = byte; break;
        case 1: text.insert(at, 1, byte); break;
        default: text.erase(at, 1 + random() % 3); break;
      }
      if (text.empty())
        text = "0";
    }
    rapidjson::Document oracle;
    oracle.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag |
                 rapidjson::kParseIterativeFlag>(text.data(), text.size());
    Arena arena;
    const auto ours = parse(arena, text);
    // It lets a lone second half of a surrogate pair pass, and the same key twice.
    const std::string reason = ours.status().message();
    if (reason.find("surrogate") != std::string::npos || reason.find("twice") != std::string::npos)
      continue;
    BOOST_REQUIRE_MESSAGE(ours.ok() != oracle.HasParseError(), text);
    if (!ours.ok())
      continue;
    ++valid;
    std::string written;
    write(*ours, written);
    rapidjson::Document again;
    again.Parse<rapidjson::kParseNumbersAsStringsFlag>(written.data(), written.size());
    BOOST_REQUIRE_MESSAGE(!again.HasParseError() && again == oracle, text);
  }
  BOOST_TEST(valid > 10000u);
}

BOOST_AUTO_TEST_CASE(arena_wipes_and_reuses) {
  Arena arena;
  const std::string_view kept = arena.copy("hunter2hunter2");
  void* big = arena.allocate(100'000);
  BOOST_TEST((big != nullptr));
  BOOST_TEST(arena.bytes_used() > 100'000u);
  (void)kept;
  arena.reset();
  BOOST_TEST(arena.bytes_used() == 0u);
  const auto* first = static_cast<const unsigned char*>(arena.allocate(14, 1));
  // The kept chunk is the first one: what stood there is gone.
  BOOST_TEST(std::count(first, first + 14, 0) == 14);
  Arena moved = std::move(arena);
  BOOST_TEST(moved.bytes_used() == 14u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::json
