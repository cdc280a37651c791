// Names: SCAN, pages, detailed lists, lists that show what the caller reaches, search; moving and copying.
#include <boost/test/unit_test.hpp>

#include <array>
#include <random>
#include <set>

#include "engines/kv/kv.h"
#include "tests/engines/engine_fixture.h"

namespace coffer {
namespace {

using core::Operation;
using testing::Answer;
using testing::EngineMount;

struct Versioned : EngineMount {
  Versioned() : EngineMount(engines::make_kv_engine(), "secret/") { info.options = {{"version", "2"}}; }
  void fill(std::initializer_list<const char*> paths) {
    for (const char* path : paths)
      write(path, R"({"data":{"k":"v"}})");
  }
  static std::string member(const Answer& answer, std::string_view name) {
    auto document = json::Document::parse(answer.data);
    BOOST_REQUIRE(document.ok());
    return std::string(document->root.string_or(name, ""));
  }
  static std::vector<std::string> keys(const Answer& answer) {
    std::vector<std::string> out;
    if (answer.data.empty())
      return out;
    auto document = json::Document::parse(answer.data);
    BOOST_REQUIRE(document.ok());
    if (const json::Value* found = document->root.find("keys"))
      for (const json::Value& key : found->elements())
        out.emplace_back(key.as_string());
    return out;
  }
};

BOOST_FIXTURE_TEST_SUITE(kv_names, Versioned)

BOOST_AUTO_TEST_CASE(a_scan_names_the_whole_tree) {
  fill({"data/a", "data/f/b", "data/f/g/c", "data/f-x", "data/z"});
  BOOST_TEST(scan("metadata/").data == R"({"keys":["a","f-x","f/b","f/g/c","z"]})");
  BOOST_TEST(scan("metadata/f").data == R"({"keys":["b","g/c"]})");
  BOOST_TEST(scan("metadata/none").data == "{}");
  BOOST_TEST(scan("metadata/none").status == 200);
  BOOST_TEST(scan("data/f").status == 405);
  info.options = {};
  fill({"one", "two/three"});
  BOOST_TEST(scan("").data == R"({"keys":["one","two/three"]})");
}

BOOST_AUTO_TEST_CASE(k1_a_place_deeper_than_any_path_is_refused) {
  fill({"data/a", "data/f/b"});
  std::string deep;
  for (int i = 0; i < 60'000; ++i)
    deep += "a/";
  BOOST_TEST(scan("metadata/", R"({"after":")" + deep + "\"}").status == 400);
  BOOST_TEST(scan("metadata/", R"({"after":")" + std::string(5000, 'a') + "\"}").status == 400);
  BOOST_TEST(read("search", R"({"q":"a","after":")" + deep + "\"}").status == 400);
  BOOST_TEST(scan("metadata/", R"({"after":"f/a"})").data == R"({"keys":["f/b"]})");
}

BOOST_AUTO_TEST_CASE(pages_of_a_scan_join_to_the_whole) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string path = "data/";
    for (unsigned depth = 1 + random() % 4; depth > 0; --depth)
      path += std::string(1, "abc"[random() % 3]) + std::array{"", "-", ".", "0"}[random() % 4] +
              (depth > 1 ? "/" : "");
    write(path, R"({"data":{}})");
  }
  const std::vector<std::string> whole = keys(scan("metadata/"));
  BOOST_TEST(whole.size() > 50u);
  BOOST_TEST(std::is_sorted(whole.begin(), whole.end()));
  for (const int limit : {1, 2, 7, 1000}) {
    std::vector<std::string> joined;
    for (std::string after;;) {
      const std::string body = R"({"limit":)" + std::to_string(limit) + R"(,"after":")" + after + "\"}";
      const std::vector<std::string> page = keys(scan("metadata/", body));
      if (page.empty())
        break;
      BOOST_TEST(page.size() <= static_cast<std::size_t>(limit));
      joined.insert(joined.end(), page.begin(), page.end());
      after = page.back();
    }
    BOOST_TEST(joined == whole, boost::test_tools::per_element());
  }
  BOOST_TEST(scan("metadata/", R"({"limit":"x"})").status == 400);
  BOOST_TEST(scan("metadata/", R"({"after":[]})").status == 400);
}

BOOST_AUTO_TEST_CASE(a_detailed_list_tells_of_each) {
  fill({"data/a", "data/f/b"});
  write("metadata/a", R"({"custom_metadata":{"o":"me"}})");
  const std::string listed = call(Operation::kList, "detailed-metadata/").data;
  BOOST_TEST(listed.starts_with(R"({"key_info":{"a":{"cas_required":false)"));
  BOOST_TEST(listed.find(R"("custom_metadata":{"o":"me"})") != std::string::npos);
  BOOST_TEST(listed.ends_with(R"("f/":{}},"keys":["a","f/"]})"));
  BOOST_TEST((keys(call(Operation::kScan, "detailed-metadata/")) == std::vector<std::string>{"a", "f/b"}));
  BOOST_TEST(call(Operation::kList, "detailed-metadata/none").status == 404);
  BOOST_TEST(read("detailed-metadata/a").status == 405);
}

// However large the secrets are, an answer about many of them takes little memory, and can be gone on with.
BOOST_AUTO_TEST_CASE(many_large_secrets_come_in_pages) {
  const std::string body = R"({"data":{"k":")" + std::string(500'000, 'x') + "\"}}";
  for (int i = 10; i < 70; ++i)
    write("data/s" + std::to_string(i), body);
  const Answer first = call(Operation::kList, "detailed-metadata/");
  const std::vector<std::string> some = keys(first);
  BOOST_TEST(some.size() > 10u);
  BOOST_TEST(some.size() < 50u);
  BOOST_TEST(first.warning.find("go on with") != std::string::npos);
  const auto rest = keys(call(Operation::kList, "detailed-metadata/", R"({"after":")" + some.back() + "\"}"));
  BOOST_TEST(rest.front() == "s" + std::to_string(10 + some.size()));
  std::size_t found = 0;
  for (std::string after = "-"; !after.empty();) {
    const Answer page = read("search", R"({"q":"s","after":")" + (after == "-" ? "" : after) + "\"}");
    found += keys(page).size();
    after = member(page, "after");
  }
  BOOST_TEST(found == 60u);
}

BOOST_AUTO_TEST_CASE(a_filtered_list_shows_what_is_reached) {
  fill({"data/a", "data/b", "data/c", "data/f/x", "data/g/x"});
  caller.unreached = {"secret/data/b", "secret/metadata/b", "secret/data/f/", "secret/metadata/f/",
                      "secret/data/f/x", "secret/metadata/f/x", "secret/data/c"};
  BOOST_TEST((keys(list("metadata/")).size() == 5));
  info.options = {{"filter_list", "acl"}, {"version", "2"}};
  BOOST_TEST((keys(list("metadata/")) == std::vector<std::string>{"a", "c", "g/"}));
  BOOST_TEST((keys(scan("metadata/")) == std::vector<std::string>{"a", "c", "g/x"}));
  BOOST_TEST((keys(call(Operation::kList, "metadata/", R"({"limit":2})")) == std::vector<std::string>{"a", "c"}));
  BOOST_TEST((keys(call(Operation::kList, "metadata/", R"({"limit":2,"after":"a"})")) ==
              std::vector<std::string>{"c", "g/"}));
  BOOST_TEST(list("metadata/f").status == 404);
  BOOST_TEST(call(Operation::kList, "detailed-metadata/").data.find("\"b\"") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_search_finds_names_and_custom_metadata) {
  fill({"data/app/Database", "data/app/api", "data/other"});
  write("metadata/other", R"({"custom_metadata":{"owner":"Database Team"}})");
  BOOST_TEST((keys(read("search", R"({"q":"database"})")) == std::vector<std::string>{"app/Database", "other"}));
  BOOST_TEST((keys(read("search", R"({"q":"owner"})")) == std::vector<std::string>{"other"}));
  BOOST_TEST((keys(read("search", R"({"q":"app/"})")) == std::vector<std::string>{"app/Database", "app/api"}));
  // The value of a secret is never looked at.
  BOOST_TEST(keys(read("search", R"({"q":"\"v\""})")).empty());
  for (const char* bad : {"{}", R"({"q":""})", R"({"q":[1]})", R"({"q":"a","limit":0})"})
    BOOST_TEST(read("search", bad).status == 400);
  // A page goes on where the last one ended.
  const Answer first = read("search", R"({"q":"a","limit":1})");
  BOOST_TEST(first.data.starts_with(R"({"after":"app/Database",)"));
  BOOST_TEST((keys(read("search", R"({"q":"a","limit":1,"after":"app/Database"})")) ==
              std::vector<std::string>{"app/api"}));
}

BOOST_AUTO_TEST_CASE(a_search_shows_only_what_the_caller_sees) {
  fill({"data/team/one", "data/hidden/two", "data/listed/three"});
  write("metadata/hidden/two", R"({"custom_metadata":{"k":"needle"}})");
  write("metadata/listed/three", R"({"custom_metadata":{"k":"needle"}})");
  for (const char* path : {"secret/data/hidden/two", "secret/metadata/hidden/two", "secret/data/listed/three",
                           "secret/metadata/listed/three"})
    caller.denied.emplace_back(Operation::kRead, path);
  caller.denied.emplace_back(Operation::kList, "secret/metadata/hidden/");
  BOOST_TEST(keys(read("search", R"({"q":"two"})")).empty());
  BOOST_TEST(keys(read("search", R"({"q":"needle"})")).empty());
  const Answer listed = read("search", R"({"q":"three"})");
  BOOST_TEST(listed.data.find(R"("listed/three":{"custom_metadata":null})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_move_keeps_versions_and_metadata) {
  for (int i = 0; i < 3; ++i)
    write("data/from", R"({"data":{"n":")" + std::string(2000, 'x') + std::to_string(i) + "\"}}");
  write("metadata/from", R"({"custom_metadata":{"o":"me"},"max_versions":7})");
  const std::string before = read("metadata/from").data;
  const std::string first = read("data/from", R"({"version":1})").data;
  BOOST_TEST(write("copy/from", R"({"to":"x/copied"})").status == 200);
  BOOST_TEST(read("metadata/x/copied").data == before);
  BOOST_TEST(read("metadata/from").data == before);
  BOOST_TEST(write("move/from", R"({"to":"x/moved"})").status == 200);
  BOOST_TEST(read("metadata/x/moved").data == before);
  BOOST_TEST(read("data/x/moved", R"({"version":1})").data == first);
  BOOST_TEST(read("data/from").status == 404);
  BOOST_TEST(write("undelete/from", R"({"versions":[1]})").status == 204);
  BOOST_TEST(read("data/from").status == 404);
  BOOST_TEST(records.size() == 6u);  // two heads, two older versions each
}

BOOST_AUTO_TEST_CASE(a_move_that_is_refused_changes_nothing) {
  fill({"data/a", "data/b"});
  const auto before = records;
  const auto refused = [&](std::string_view path, std::string_view body, int status) {
    BOOST_TEST(write(path, body).status == status);
    BOOST_TEST((records == before));
  };
  refused("move/a", "{}", 400);
  refused("move/a", R"({"to":"a"})", 400);
  refused("move/a", R"({"to":"b"})", 400);
  refused("move/a", R"({"to":"x/"})", 400);
  refused("move/a", R"({"to":"../x"})", 400);
  refused("move/a", R"({"to":"x//y"})", 400);
  refused("move/a", R"({"to":7,"mount":"no/where"})", 403);
  refused("move/none", R"({"to":"x"})", 404);
  refused("move/a", R"({"to":"b","overwrite":"maybe"})", 400);
  BOOST_TEST(write("move/a", R"({"to":"b","overwrite":true})").status == 200);
}

BOOST_AUTO_TEST_CASE(each_object_of_a_move_is_authorised) {
  fill({"data/a"});
  const auto before = records;
  using Rule = std::pair<Operation, std::string>;
  for (const Rule& rule : {Rule{Operation::kRead, "secret/data/a"}, Rule{Operation::kRead, "secret/metadata/a"},
                           Rule{Operation::kDelete, "secret/metadata/a"}, Rule{Operation::kWrite, "secret/data/b"},
                           Rule{Operation::kWrite, "secret/metadata/b"}}) {
    caller.denied = {rule};
    BOOST_TEST(write("move/a", R"({"to":"b"})").status == 403);
    BOOST_TEST((records == before));
    const bool copies = rule.first == Operation::kDelete;
    BOOST_TEST(write("copy/a", R"({"to":"b"})").status == (copies ? 200 : 403));
    records = before;
  }
}

BOOST_AUTO_TEST_CASE(what_must_be_named_is_not_overwritten_whole) {
  fill({"data/a", "data/b"});
  write("metadata/b", R"({"cas_required":true})");
  BOOST_TEST(write("move/a", R"({"to":"b","overwrite":true})").status == 400);
  info.options = {{"cas_required", "true"}, {"version", "2"}};
  write("metadata/b", R"({"cas_required":false})");
  BOOST_TEST(write("copy/a", R"({"to":"b","overwrite":true})").status == 400);
  BOOST_TEST(write("copy/a", R"({"to":"c"})").status == 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
