#include <boost/test/unit_test.hpp>

#include <map>

#include "core/audit_exclude.h"
#include "core/audit_options.h"

namespace coffer {
namespace {

using core::AuditFilter;

class Facts final : public core::AuditFilterSubject {
 public:
  explicit Facts(std::map<std::string, std::vector<std::string>, std::less<>> all) : all_(std::move(all)) {}
  void values(std::string_view selector, std::vector<std::string_view>& out) const override {
    if (const auto found = all_.find(selector); found != all_.end())
      out.assign(found->second.begin(), found->second.end());
  }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> all_;
};

const Facts kRead({{"mount_type", {"kv"}}, {"path", {"secret/data/a"}}, {"operation", {"read"}}, {"namespace", {""}},
                   {"mount_point", {"secret/"}}});

bool holds(std::string_view text) {
  const auto filter = AuditFilter::parse(text, core::kAuditFilterNames);
  BOOST_REQUIRE_MESSAGE(filter.ok(), text);
  return filter->matches(kRead);
}
bool parses(std::string_view text) { return AuditFilter::parse(text, core::kAuditFilterNames).ok(); }

BOOST_AUTO_TEST_SUITE(audit_filter)

BOOST_AUTO_TEST_CASE(comparisons) {
  BOOST_TEST(holds(R"(mount_type == "kv")"));
  BOOST_TEST(holds("mount_type == kv"));
  BOOST_TEST(!holds("mount_type != kv"));
  BOOST_TEST(holds("mount_type != transit"));
  BOOST_TEST(holds("path contains \"data/\""));
  BOOST_TEST(holds("`data/` in path"));
  BOOST_TEST(holds("\"nope\" not in path"));
  BOOST_TEST(holds("path not contains nope"));
  BOOST_TEST(holds("namespace is empty"));
  BOOST_TEST(holds("path is not empty"));
}

BOOST_AUTO_TEST_CASE(and_binds_tighter_than_or) {
  BOOST_TEST(holds("mount_type == kv or mount_type == a and operation == nope"));
  BOOST_TEST(!holds("(mount_type == kv or mount_type == a) and operation == nope"));
  BOOST_TEST(holds("not operation == update and not (path == x)"));
  BOOST_TEST(holds("mount_point == \"secret/\" and operation == read"));
}

BOOST_AUTO_TEST_CASE(what_is_no_condition_is_refused_without_its_text) {
  for (const std::string_view text :
       {"", "mount_type", "mount_type ==", "== kv", "mount_type == kv and", "(mount_type == kv", "mount_type == kv)",
        "canary == 1", "mount_type = kv", "mount_type == \"kv", "path matches \"a.*\"", "mount_type is kv", "\x01"})
    BOOST_TEST(!parses(text), text);
  const Status unknown = AuditFilter::parse("canary == kv", core::kAuditFilterNames).status();
  BOOST_TEST(unknown.message() == "unknown name at offset 0");
  std::string deep;
  for (int i = 0; i < 5000; ++i)
    deep += "(";
  BOOST_TEST(!parses(deep));
  std::string wide = "path == a";
  for (int i = 0; i < 100; ++i)
    wide += " or path == a";
  BOOST_TEST(!parses(wide));
}

std::string excluded(std::string_view option, std::string line) {
  const std::vector<std::pair<std::string, std::string>> pairs{{"file_path", "/a"}, {"exclude", std::string(option)}};
  const auto options = core::parse_audit_options("file", pairs);
  BOOST_REQUIRE_MESSAGE(options.ok(), options.status().message());
  line += "\n";
  core::exclude_fields(options->exclude, 0, line);
  BOOST_REQUIRE(line.ends_with("\n"));
  line.pop_back();
  return line;
}

BOOST_AUTO_TEST_CASE(fields_are_taken_out_where_the_condition_holds) {
  const std::string line =
      R"({"time":"t","request":{"mount_type":"kv","data":{"a/b":1,"c":2}},"auth":{"policies":["root"]}})";
  BOOST_TEST(excluded(R"([{"fields":["/request/data"]}])", line) ==
             R"({"time":"t","request":{"mount_type":"kv"},"auth":{"policies":["root"]}})");
  const std::string_view two =
      R"([{"condition":"\"/request/mount_type\" == kv","fields":["/request/data/a~1b","/no"]}])";
  BOOST_TEST(excluded(two, line) ==
             R"({"time":"t","request":{"mount_type":"kv","data":{"c":2}},"auth":{"policies":["root"]}})");
  BOOST_TEST(excluded(R"([{"condition":"\"/request/mount_type\" == pki","fields":["/request/data"]}])", line) == line);
  BOOST_TEST(excluded(R"([{"condition":"root in \"/auth/policies\"","fields":["/auth/policies"]}])", line) ==
             R"({"time":"t","request":{"mount_type":"kv","data":{"a/b":1,"c":2}},"auth":{}})");
}

BOOST_AUTO_TEST_CASE(what_makes_a_line_stays) {
  for (const std::string_view option :
       {R"([{"fields":["/time"]}])", R"([{"fields":["/type"]}])", R"([{"fields":["/request/id"]}])",
        R"([{"fields":[]}])",
        R"([{}])", R"({"fields":["/a"]})", "canary", R"([{"fields":["request"]}])", R"([{"fields":["/request"]}])",
        R"([{"fields":["/a"],"condition":"path == a"}])", R"([{"fields":["/a"],"more":1}])"}) {
    const std::vector<std::pair<std::string, std::string>> pairs{{"file_path", "/a"}, {"exclude", std::string(option)}};
    const auto options = core::parse_audit_options("file", pairs);
    BOOST_TEST(!options.ok(), option);
    BOOST_TEST(options.status().message().find("canary") == std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
