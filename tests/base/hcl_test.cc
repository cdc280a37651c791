#include <boost/test/unit_test.hpp>

#include <string>

#include "base/hcl.h"

namespace coffer::hcl {
namespace {

// The tree as one line of text, so that a whole tree is one comparison.
std::string shown(const Node& node) {
  std::string out;
  switch (node.kind) {
    case Kind::kString: return "'" + node.text + "'";
    case Kind::kNumber:
    case Kind::kBool: return node.text;
    case Kind::kList:
      for (const Node& element : node.list)
        out += (out.empty() ? "" : " ") + shown(element);
      return "[" + out + "]";
    case Kind::kObject:
      for (const Item& item : node.items) {
        out += (out.empty() ? "" : " ") + item.key;
        for (const std::string& label : item.labels)
          out += ":" + label;
        out += (item.is_block ? "" : "=") + shown(item.value);
      }
      return "{" + out + "}";
  }
  return out;
}

std::string read(std::string_view text) {
  const auto node = parse(text);
  return node.ok() ? shown(*node) : node.status().message();
}

BOOST_AUTO_TEST_SUITE(hcl_text)

BOOST_AUTO_TEST_CASE(reads_hcl) {
  BOOST_TEST(read("") == "{}");
  BOOST_TEST(read("\xef\xbb\xbfui = true\n") == "{ui=true}");
  BOOST_TEST(read("a = 1\nb = \"x\" // c\n# d = 2\n/* e\n = */ f = false") == "{a=1 b='x' f=false}");
  BOOST_TEST(read("a = 0644 b = -1.5e+3, c = 0x1F") == "{a=0644 b=-1.5e+3 c=0x1F}");
  BOOST_TEST(read("l = [1, \"two\", true, [3,], # c\n {x = 1}]") == "{l=[1 'two' true [3] {x=1}]}");
  BOOST_TEST(read("path \"a/*\" { capabilities = [\"read\"] }\n"
                  "path \"a/*\" {}") == "{path:a/*{capabilities=['read']} path:a/*{}}");
  BOOST_TEST(read("a \"b\" c \"d\" { e { f = {} } }") == "{a:b:c:d{e{f={}}}}");
  BOOST_TEST(read("\"quoted key\" = 1\nx-y.z = 2") == "{quoted key=1 x-y.z=2}");
  BOOST_TEST(read("headers { \"default\" = { \"X\" = [\"a\"] } }") == "{headers{default={X=['a']}}}");
}

BOOST_AUTO_TEST_CASE(reads_strings) {
  BOOST_TEST(read(R"(a = "\"\\\n\t\x41\101\u00e9\U0001F511")") == "{a='\"\\\n\tAA\xc3\xa9\xf0\x9f\x94\x91'}");
  BOOST_TEST(read(R"(a = "x ${env("B")} {{y}}")") == R"({a='x ${env("B")} {{y}}'})");
  BOOST_TEST(read("a = <<EOH\none\n  two\nEOH\nb = 1") == "{a='one\n  two\n' b=1}");
  BOOST_TEST(read("a = <<-EOH\n    one\n      two\n    EOH\n") == "{a='one\n  two\n'}");
  BOOST_TEST(read("a = <<-EOH\n  one\n two\n   EOH\n") == "{a='  one\n two\n'}");
  BOOST_TEST(read("a = <<EOH\r\none\r\nEOH\r\n") == "{a='one\n'}");
  BOOST_TEST(read("a = \"${x(\n)}\"") == "{a='${x(\n)}'}");
  BOOST_TEST(read("a = <<E\nE") == "{a=''}");
}

BOOST_AUTO_TEST_CASE(reads_json_into_the_same_tree) {
  BOOST_TEST(read(R"({"ui": true, "a": 1.10, "l": [1, null, "x"], "n": null, "o": {"p": {}}})") ==
             "{ui=true a=1.10 l=[1 'x'] o={p={}}}");
  const std::string hcl = "path \"a/*\" { capabilities = [\"read\"] }";
  const std::string json = R"({"path": {"a/*": {"capabilities": ["read"]}}})";
  const std::string listed = R"({"path": [{"a/*": {"capabilities": ["read"]}}]})";
  const std::string inner_list = R"({"path": {"a/*": [{"capabilities": ["read"]}]}})";
  for (const std::string& text : {hcl, json, listed, inner_list}) {
    const Node node = *parse(text);
    const auto found = blocks(node, "path", 1);
    BOOST_REQUIRE_MESSAGE(found.ok(), text);
    BOOST_REQUIRE(found->size() == 1u);
    BOOST_TEST(found->front().labels.front() == "a/*");
    BOOST_TEST(shown(*found->front().body) == "{capabilities=['read']}");
  }
}

BOOST_AUTO_TEST_CASE(finds_blocks) {
  const Node node = *parse("l \"tcp\" { a = 1 }\nl \"tcp\" { a = 2 }\nl = 3\nz { }\n");
  BOOST_TEST(!blocks(node, "l", 1).ok());
  BOOST_TEST(blocks(node, "z", 0)->size() == 1u);
  BOOST_TEST(blocks(node, "none", 1)->empty());
  BOOST_TEST(!blocks(*parse("l { a = 1 }"), "l", 1).ok());
  BOOST_TEST(!blocks(*parse("l \"a\" \"b\" { }"), "l", 1).ok());
  BOOST_TEST(blocks(*parse("l { \"a\" { } \"b\" { } }"), "l", 1)->size() == 2u);
  BOOST_TEST(node.find("l")->text == "3");
  BOOST_TEST((node.find("none") == nullptr));
}

BOOST_AUTO_TEST_CASE(errors_name_the_place_and_what_is_expected) {
  const std::pair<const char*, const char*> cases[] = {
      {"a = ", "line 1, column 5: expected a value"},
      {"a = hunter2", "line 1, column 5: expected a value; text stands in quotes"},
      {"\n  a 1", "line 2, column 5: expected '=', '{' or a label after the key"},
      {"a = \"hunter2\n", "line 1, column 5: this text has no closing quote on its line"},
      {"a {\n b = 1\n", "line 1, column 4: this block has no closing '}'"},
      {"a = [1 2]", "line 1, column 8: expected ',' or ']'"},
      {"a = [1,", "line 1, column 5: this list has no closing ']'"},
      {"a = 1\na = 2", "line 2, column 1: the key \"a\" is set twice"},
      {"a = \"\\q\"", "line 1, column 7: unknown escape"},
      {"/* x", "line 1, column 1: this comment has no end"},
      {"}", "line 1, column 1: expected a key"},
      {"a = <<EOH\nx\n", "line 1, column 5: this text has no closing word"},
      {"a = 1x", "line 1, column 5: expected a number"},
      {"a = 09", "line 1, column 5: expected a number"},
      {"a = \"\xff\"", "line 1, column 6: invalid UTF-8"},
      {"{\"a\": 1,\n \"b\": x}", "line 2, column 7: expected a value"},
      {"{\"a\": 1, \"a\": 2}", "line 1, column 17: the same key stands twice in one object"},
  };
  for (const auto& [text, message] : cases)
    BOOST_TEST(read(text) == message);
}

BOOST_AUTO_TEST_CASE(has_limits) {
  BOOST_TEST((parse(std::string(limits::kHclBytesMax + 1, ' ')).code() == Code::kTooLarge));
  const auto nested = [](std::size_t depth) { return "a = " + std::string(depth, '[') + std::string(depth, ']'); };
  BOOST_TEST(parse(nested(limits::kHclDepthMax - 1)).ok());
  BOOST_TEST((parse(nested(limits::kHclDepthMax + 1)).code() == Code::kTooLarge));
  BOOST_TEST(!parse("{\"a\":" + nested(40).substr(4) + "}").ok());
  std::string many = "a = [";
  for (std::size_t i = 0; i < limits::kHclNodesMax; ++i)
    many += "1,";
  BOOST_TEST((parse(many + "]").code() == Code::kTooLarge));
  std::string labels = "a";
  for (int i = 0; i < 100; ++i)
    labels += " b";
  BOOST_TEST(!parse(labels + " {}").ok());
}

BOOST_AUTO_TEST_CASE(reads_scalars) {
  const auto value = [](const char* text) { return *parse(text)->find("a"); };
  BOOST_TEST(*as_int(value("a = 0644")) == 0644);
  BOOST_TEST(*as_int(value("a = 0x10")) == 16);
  BOOST_TEST(*as_int(value("a = \"-12\"")) == -12);
  BOOST_TEST(*as_int(value("a = 0")) == 0);
  for (const char* text : {"a = 1.5", "a = true", "a = \"x\"", "a = []", "a = \"\"", "a = \"--1\"",
                           "a = \"9223372036854775808\"", "a = \"0x\""})
    BOOST_TEST(!as_int(value(text)).ok(), text);
  for (const char* text : {"a = true", "a = 1", "a = \"true\"", "a = \"T\""})
    BOOST_TEST(*as_bool(value(text)), text);
  for (const char* text : {"a = false", "a = 0", "a = \"0\""})
    BOOST_TEST(!*as_bool(value(text)), text);
  for (const char* text : {"a = 2", "a = \"yes\"", "a = []", "a = {}"})
    BOOST_TEST(!as_bool(value(text)).ok(), text);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::hcl
