#include <boost/test/unit_test.hpp>

#include <map>
#include <random>
#include <set>

#include "base/time_text.h"
#include "engines/kv/kv.h"
#include "engines/kv/record.h"
#include "tests/engines/engine_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using core::Operation;
using testing::Answer;
using testing::EngineMount;
using testing::ScopedMutant;

struct Versioned : EngineMount {
  Versioned() : EngineMount(engines::make_kv_engine(), "secret/") { info.options = {{"version", "2"}}; }

  // The member of the answer's data, as text; "absent" when it is not there.
  static std::string member(const Answer& answer, std::initializer_list<std::string_view> path) {
    auto document = json::Document::parse(answer.data);
    BOOST_REQUIRE(document.ok());
    const json::Value* at = &document->root;
    for (const std::string_view key : path) {
      at = at->find(key);
      if (at == nullptr)
        return "absent";
    }
    std::string text;
    json::write(*at, text);
    return text;
  }
};

BOOST_FIXTURE_TEST_SUITE(kv, Versioned)

BOOST_AUTO_TEST_CASE(a_secret_comes_back_with_its_metadata) {
  const Answer put = write("data/my-app/database", R"({"data":{"username":"app_user","port":5432}})");
  BOOST_TEST(put.status == 200);
  BOOST_TEST(!put.update);
  const std::string created = "\"" + format_time(now) + "\"";
  BOOST_TEST(put.data == R"({"created_time":)" + created +
                             R"(,"custom_metadata":null,"deletion_time":"","destroyed":false,"version":1})");
  const Answer got = read("data/my-app/database");
  BOOST_TEST(got.status == 200);
  BOOST_TEST(got.data == R"({"data":{"port":5432,"username":"app_user"},"metadata":{"created_time":)" + created +
                             R"(,"custom_metadata":null,"deletion_time":"","destroyed":false,"version":1}})");
  BOOST_TEST(got.reads == 1);
}

// Each body keeps to the limit of texts; what they made together may be more and stays usable.
BOOST_AUTO_TEST_CASE(a_secret_that_patches_made_large_can_be_patched_on) {
  for (int part = 0; part < 3; ++part) {
    std::string body = "{";
    for (int i = 0; i < 450; ++i)
      body.append(i == 0 ? "" : ",").append("\"k").append(std::to_string(1000 * part + i)).append("\":\"v\"");
    body = "{\"data\":" + body + "}}";
    BOOST_TEST((part == 0 ? write("data/grown", body) : patch("data/grown", body)).status == 200);
  }
  BOOST_TEST(read("subkeys/grown").status == 200);
}

// The longest duration that there is, added to any time, is the end of time and not an overflow.
BOOST_AUTO_TEST_CASE(the_longest_life_of_a_version_does_not_overflow) {
  for (const std::string_view where : {"metadata/far", "config"}) {
    BOOST_TEST(write(where, R"({"delete_version_after":"9223372036s"})").status == 204);
    BOOST_TEST(write("data/far", R"({"data":{"a":"b"}})").status == 200);
    BOOST_TEST(member(read("data/far"), {"data"}) == R"({"a":"b"})");
    BOOST_TEST(member(read("data/far"), {"metadata", "deletion_time"}) == "\"" + format_time(WallTime::max()) + "\"");
    BOOST_TEST(write("metadata/far", R"({"delete_version_after":"0s"})").status == 204);
  }
}

BOOST_AUTO_TEST_CASE(numbers_keep_their_text) {
  write("data/n", R"({"data":{"a":1.10,"b":123456789012345678901234567890,"c":-0.0e-7,"d":"é\u0000\"",)"
                  R"("e":{"z":[1,null,true]}}})");
  BOOST_TEST(member(read("data/n"), {"data"}) ==
             R"({"a":1.10,"b":123456789012345678901234567890,"c":-0.0e-7,"d":"é\u0000\"","e":{"z":[1,null,true]}})");
}

BOOST_AUTO_TEST_CASE(a_write_replaces_the_whole_secret_and_keeps_versions) {
  write("data/a", R"({"data":{"password":"old","host":"h"}})");
  const Answer second = write("data/a", R"({"data":{"password":"new"}})");
  BOOST_TEST(second.update);
  BOOST_TEST(second.writes == 1);
  BOOST_TEST(member(second, {"version"}) == "2");
  BOOST_TEST(member(read("data/a"), {"data"}) == R"({"password":"new"})");
  BOOST_TEST(member(read("data/a", R"({"version":1})"), {"data"}) == R"({"host":"h","password":"old"})");
  BOOST_TEST(member(read("data/a", R"({"version":"2"})"), {"data"}) == R"({"password":"new"})");
  BOOST_TEST(member(read("data/a", R"({"version":-1})"), {"metadata", "version"}) == "2");
  BOOST_TEST(read("data/a", R"({"version":3})").status == 404);
}

BOOST_AUTO_TEST_CASE(what_is_missing_is_not_found_without_errors) {
  for (const char* path : {"data/none", "data/", "metadata/none", "subkeys/none"}) {
    const Answer answer = read(path);
    BOOST_TEST(answer.status == 404);
    BOOST_TEST(answer.error.empty());
    BOOST_TEST(answer.data.empty());
  }
  BOOST_TEST(list("metadata/none").status == 404);
  BOOST_TEST(erase("data/none").status == 204);
  BOOST_TEST(erase("metadata/none").status == 204);
  for (const char* path : {"delete/none", "undelete/none", "destroy/none"})
    BOOST_TEST(write(path, R"({"versions":[1]})").status == 204);
  BOOST_TEST(patch("data/none", R"({"data":{"a":1}})").status == 404);
  BOOST_TEST(patch("metadata/none", R"({"max_versions":1})").status == 404);
  BOOST_TEST(records.empty());
}

BOOST_AUTO_TEST_CASE(bad_writes_are_refused_and_change_nothing) {
  const auto refused = [&](std::string_view path, std::string_view body, std::string_view error) {
    const Answer answer = write(path, body);
    BOOST_TEST(answer.status == 400);
    BOOST_TEST(answer.error == error);
    BOOST_TEST(records.empty());
  };
  refused("data/t", "", "no data provided");
  refused("data/t", "{}", "no data provided");
  refused("data/t", R"({"data":"x"})", "error converting input for field \"data\": expected a map");
  refused("data/t", R"({"data":[1]})", "error converting input for field \"data\": expected a map");
  refused("data/t", R"({"data":{},"options":"q"})", "error converting input for field \"options\": expected a map");
  refused("data/t", R"({"data":{},"options":{"cas":"x"}})", "error parsing check-and-set parameter");
  refused("data/t", R"({"data":{},"options":{"cas":2.0}})", "error parsing check-and-set parameter");
  refused("data/t", R"({"data":{},"options":{"cas":1}})", "check-and-set parameter did not match the current version");
  refused("data/", R"({"data":{}})", "cannot write to a path ending in '/'");
  refused("data/a/", R"({"data":{}})", "cannot write to a path ending in '/'");
  refused("metadata/a/", R"({"max_versions":1})", "cannot write to a path ending in '/'");
  refused("delete/t", R"({})", "No version number provided");
  refused("undelete/t", R"({"versions":[]})", "No version number provided");
  refused("destroy/t", R"({})", "no version number provided");
  refused("destroy/t", R"({"versions":["x"]})", "field \"versions\" must be a list of version numbers");
  BOOST_TEST(call(Operation::kList, "data/t").status == 405);
  BOOST_TEST(read("delete/t").status == 405);
}

BOOST_AUTO_TEST_CASE(null_and_empty_data_are_content) {
  BOOST_TEST(write("data/t", R"({"data":null})").status == 200);
  BOOST_TEST(member(read("data/t"), {"data"}) == "null");
  BOOST_TEST(read("data/t").status == 200);
  BOOST_TEST(write("data/t", R"({"data":{}})").status == 200);
  BOOST_TEST(member(read("data/t"), {"data"}) == "{}");
}

BOOST_AUTO_TEST_CASE(check_and_set) {
  BOOST_TEST(write("data/c", R"({"options":{"cas":0},"data":{"a":1}})").status == 200);
  BOOST_TEST(write("data/c", R"({"options":{"cas":0},"data":{"a":1}})").error ==
             "check-and-set parameter did not match the current version");
  BOOST_TEST(write("data/c", R"({"options":{"cas":null},"data":{"a":1}})").status == 400);
  BOOST_TEST(write("data/c", R"({"options":{"cas":"1"},"data":{"a":2}})").status == 200);
  BOOST_TEST(write("data/c", R"({"options":{"cas":2},"data":{"a":3}})").status == 200);
  BOOST_TEST(patch("data/c", R"({"options":{"cas":2},"data":{"a":4}})").status == 400);
}

BOOST_AUTO_TEST_CASE(check_and_set_can_be_required_by_mount_and_by_secret) {
  BOOST_TEST(write("config", R"({"cas_required":true})").status == 204);
  BOOST_TEST(write("data/c", R"({"data":{"a":1}})").error == "check-and-set parameter required for this call");
  BOOST_TEST(write("data/c", R"({"options":{"cas":0},"data":{"a":1}})").status == 200);
  BOOST_TEST(write("config", R"({"cas_required":false})").status == 204);
  BOOST_TEST(write("data/c", R"({"data":{"a":2}})").status == 200);
  BOOST_TEST(write("metadata/c", R"({"cas_required":"true"})").status == 204);
  BOOST_TEST(write("data/c", R"({"data":{"a":3}})").error == "check-and-set parameter required for this call");
  BOOST_TEST(write("config", R"({"cas_required":true})").status == 204);
  BOOST_TEST(write("metadata/c", R"({"cas_required":false})").warning ==
             R"("cas_required" set to false, but is mandated by backend config. This value will be ignored.)");
}

BOOST_AUTO_TEST_CASE(ten_versions_are_kept) {
  for (int i = 1; i <= 11; ++i)
    write("data/v", R"({"data":{"i":)" + std::to_string(i) + "}}");
  const Answer about = read("metadata/v");
  BOOST_TEST(member(about, {"oldest_version"}) == "2");
  BOOST_TEST(member(about, {"max_versions"}) == "0");
  BOOST_TEST(member(about, {"versions", "1"}) == "absent");
  BOOST_TEST(member(about, {"versions", "2", "destroyed"}) == "false");
  BOOST_TEST(read("data/v", R"({"version":1})").status == 404);
  BOOST_TEST(member(read("data/v", R"({"version":2})"), {"data"}) == R"({"i":2})");
  BOOST_TEST(records.size() == 1);  // small data stays in the head
}

// Whatever size the data has, and so wherever it stands: every version reads as it was written, what is destroyed or
// dropped is gone from the records, and nothing is left over.
BOOST_AUTO_TEST_CASE(older_versions_are_kept_wherever_they_stand) {
  std::mt19937_64 random(20261122);
  const auto below = [&random](std::uint64_t n) { return random() % n; };
  std::map<std::uint64_t, std::string> model;  // what can be read, by version
  std::uint64_t newest = 0;
  for (int step = 0; step < 600; ++step) {
    const std::uint64_t chosen = newest == 0 ? 1 : newest - below(std::min<std::uint64_t>(newest, 6));
    if (newest > 0 && below(4) == 0) {
      write("destroy/s", R"({"versions":[)" + std::to_string(chosen) + "]}");
      model.erase(chosen);
    } else {
      ++newest;
      const std::size_t size = below(3) == 0 ? 200 + below(1'200) : below(120);
      model[newest] = R"({"a":"canary)" + std::to_string(newest) + "-" + std::string(size, 'x') + R"("})";
      BOOST_REQUIRE(write("data/s", R"({"data":)" + model[newest] + "}").status == 200);
      model.erase(model.begin(), model.lower_bound(newest < 10 ? 1 : newest - 9));
    }
    std::size_t canaries = 0;
    for (const auto& [name, record] : records) {
      BOOST_TEST(record.size() < 3'000);
      for (std::size_t at = record.find("canary"); at != std::string::npos; at = record.find("canary", at + 1))
        ++canaries;
    }
    BOOST_REQUIRE(canaries == model.size());
    for (std::uint64_t number = newest < 12 ? 1 : newest - 11; number <= newest; ++number) {
      const Answer got = read("data/s", R"({"version":)" + std::to_string(number) + "}");
      const auto expected = model.find(number);
      BOOST_REQUIRE(got.status == (expected == model.end() ? 404 : 200));
      if (expected != model.end())
        BOOST_REQUIRE(member(got, {"data"}) == expected->second);
    }
  }
  call(Operation::kDelete, "metadata/s", R"({"destroy":true})");
  BOOST_TEST(records.empty());
}

BOOST_AUTO_TEST_CASE(the_larger_of_mount_and_secret_decides_how_many_versions_stay) {
  write("config", R"({"max_versions":3})");
  for (int i = 1; i <= 5; ++i)
    write("data/v", R"({"data":{}})");
  BOOST_TEST(member(read("metadata/v"), {"oldest_version"}) == "3");
  write("metadata/v", R"({"max_versions":1})");
  write("data/v", R"({"data":{}})");
  BOOST_TEST(member(read("metadata/v"), {"oldest_version"}) == "4");
  write("config", R"({"max_versions":0})");
  write("data/v", R"({"data":{}})");
  BOOST_TEST(member(read("metadata/v"), {"oldest_version"}) == "7");
  BOOST_TEST(records.size() == 2);  // head and configuration
}

BOOST_AUTO_TEST_CASE(versions_kept_are_bounded_so_that_one_entry_can_drop_them_all) {
  for (const char* path : {"config", "metadata/b"}) {
    BOOST_TEST(write(path, R"({"max_versions":2000})").status == 204, path);
    const auto refused = write(path, R"({"max_versions":2001})");
    BOOST_TEST(refused.status == 400, path);
    BOOST_TEST(refused.error.find("max_versions") != std::string::npos, refused.error);
    BOOST_TEST(refused.error.find("from 0 to 2000") != std::string::npos, refused.error);
    BOOST_TEST(write(path, R"({"max_versions":0})").status == 204, path);
  }
}

BOOST_AUTO_TEST_CASE(delete_and_undelete) {
  write("data/d", R"({"data":{"a":1}})");
  write("data/d", R"({"data":{"a":2}})");
  BOOST_TEST(erase("data/d").status == 204);
  const std::string deleted = "\"" + format_time(now) + "\"";
  const Answer gone = read("data/d");
  BOOST_TEST(gone.status == 404);
  BOOST_TEST(gone.error.empty());
  BOOST_TEST(member(gone, {"data"}) == "null");
  BOOST_TEST(member(gone, {"metadata", "deletion_time"}) == deleted);
  BOOST_TEST(member(gone, {"metadata", "version"}) == "2");
  BOOST_TEST(erase("data/d").writes == 0);
  BOOST_TEST(read("data/d", R"({"version":1})").status == 200);
  BOOST_TEST(patch("data/d", R"({"data":{"b":1}})").status == 404);
  BOOST_TEST(write("undelete/d", R"({"versions":[2]})").status == 204);
  BOOST_TEST(member(read("data/d"), {"data"}) == R"({"a":2})");
  BOOST_TEST(write("undelete/d", R"({"versions":[1]})").writes == 0);
  BOOST_TEST(write("delete/d", R"({"versions":"1,99"})").status == 204);
  BOOST_TEST(read("data/d", R"({"version":1})").status == 404);
  BOOST_TEST(read("data/d").status == 200);
  BOOST_TEST(write("undelete/d", R"({"versions":["1"]})").status == 204);
  BOOST_TEST(member(read("data/d", R"({"version":1})"), {"data"}) == R"({"a":1})");
}

BOOST_AUTO_TEST_CASE(a_deleted_secret_is_not_lost_by_the_next_write) {
  write("data/d", R"({"data":{"a":1}})");
  erase("data/d");
  BOOST_TEST(member(write("data/d", R"({"data":{"a":2}})"), {"version"}) == "2");
  write("undelete/d", R"({"versions":[1]})");
  BOOST_TEST(member(read("data/d", R"({"version":1})"), {"data"}) == R"({"a":1})");
}

BOOST_AUTO_TEST_CASE(destroy_is_final) {
  write("data/d", R"({"data":{"a":"canary-one"}})");
  write("data/d", R"({"data":{"a":"canary-two"}})");
  BOOST_TEST(write("destroy/d", R"({"versions":[1,2]})").status == 204);
  for (const auto& [key, value] : records)
    BOOST_TEST(value.find("canary") == std::string::npos);
  const Answer gone = read("data/d");
  BOOST_TEST(gone.status == 404);
  BOOST_TEST(member(gone, {"metadata", "destroyed"}) == "true");
  write("undelete/d", R"({"versions":[1,2]})");
  BOOST_TEST(read("data/d").status == 404);
  BOOST_TEST(erase("data/d").writes == 0);
  BOOST_TEST(member(write("data/d", R"({"data":{"a":3}})"), {"version"}) == "3");
  BOOST_TEST(read("data/d", R"({"version":2})").status == 404);
}

BOOST_AUTO_TEST_CASE(metadata_delete_removes_everything) {
  for (int i = 0; i < 4; ++i)
    write("data/m/x", R"({"data":{}})");
  write("data/m/xy", R"({"data":{}})");
  BOOST_TEST(call(Operation::kDelete, "metadata/m/x", R"({"destroy":true})").status == 204);
  BOOST_TEST(records.size() == 1);
  BOOST_TEST(read("data/m/x").status == 404);
  BOOST_TEST(member(write("data/m/x", R"({"data":{}})"), {"version"}) == "1");
}

BOOST_AUTO_TEST_CASE(versions_expire_by_the_shorter_of_both_times) {
  write("config", R"({"delete_version_after":"1h"})");
  write("metadata/e", R"({"delete_version_after":"2h"})");
  const Answer put = write("data/e", R"({"data":{"a":1}})");
  BOOST_TEST(member(put, {"deletion_time"}) == "\"" + format_time(now + std::chrono::hours(1)) + "\"");
  BOOST_TEST(read("data/e").status == 200);
  now += std::chrono::hours(1);
  BOOST_TEST(read("data/e").status == 404);
  write("undelete/e", R"({"versions":[1]})");
  BOOST_TEST(member(read("data/e"), {"metadata", "deletion_time"}) == "\"\"");
  write("metadata/e", R"({"delete_version_after":"10m"})");
  const Answer second = write("data/e", R"({"data":{}})");
  BOOST_TEST(member(second, {"deletion_time"}) == "\"" + format_time(now + std::chrono::minutes(10)) + "\"");
}

BOOST_AUTO_TEST_CASE(a_negative_time_of_the_mount_keeps_versions_for_ever) {
  write("metadata/e", R"({"delete_version_after":"10m"})");
  BOOST_TEST(write("config", R"({"delete_version_after":"-7h"})").status == 204);
  BOOST_TEST(member(read("config"), {"delete_version_after"}) == "\"-1s\"");
  BOOST_TEST(member(write("data/e", R"({"data":{}})"), {"deletion_time"}) == "\"\"");
  now += std::chrono::hours(1);
  BOOST_TEST(read("data/e").status == 200);
  write("config", R"({"max_versions":3})");
  BOOST_TEST(member(read("config"), {"delete_version_after"}) == "\"-1s\"");
  write("config", R"({"delete_version_after":0})");
  BOOST_TEST(member(read("config"), {"delete_version_after"}) == "\"0s\"");
  const Answer put = write("data/e", R"({"data":{}})");
  BOOST_TEST(member(put, {"deletion_time"}) == "\"" + format_time(now + std::chrono::minutes(10)) + "\"");
  BOOST_TEST(write("metadata/e", R"({"delete_version_after":"-1s"})").status == 400);
}

BOOST_AUTO_TEST_CASE(configuration) {
  BOOST_TEST(read("config").data == R"({"cas_required":false,"delete_version_after":"0s",)"
                                    R"("deleted_metadata_retention":"72h0m0s",)"
                                    R"("max_versions":0,"metadata_cas_required":false})");
  write("config", R"({"max_versions":5,"delete_version_after":"3h25m19s"})");
  write("config", R"({"cas_required":true})");
  BOOST_TEST(read("config").data == R"({"cas_required":true,"delete_version_after":"3h25m19s",)"
                                    R"("deleted_metadata_retention":"72h0m0s",)"
                                    R"("max_versions":5,"metadata_cas_required":false})");
  BOOST_TEST(write("config", R"({"max_versions":-1})").status == 400);
  BOOST_TEST(write("config", R"({"max_versions":"x"})").status == 400);
  BOOST_TEST(write("config", R"({"delete_version_after":"zz"})").status == 400);
  BOOST_TEST(read("config").data == R"({"cas_required":true,"delete_version_after":"3h25m19s",)"
                                    R"("deleted_metadata_retention":"72h0m0s",)"
                                    R"("max_versions":5,"metadata_cas_required":false})");
}

BOOST_AUTO_TEST_CASE(metadata_of_a_secret) {
  BOOST_TEST(write("metadata/m", "{}").writes == 0);
  BOOST_TEST(read("metadata/m").status == 404);
  BOOST_TEST(write("metadata/m", R"({"max_versions":3,"custom_metadata":{"b":"2","a":1.50,"t":true},)"
                                 R"("delete_version_after":"90s"})").status == 204);
  const std::string time = "\"" + format_time(now) + "\"";
  BOOST_TEST(read("metadata/m").data ==
             R"({"cas_required":false,"created_time":)" + time +
                 R"(,"current_metadata_version":1,"current_version":0,"custom_metadata":{"a":"1.50","b":"2","t":"1"},)"
                 R"("delete_version_after":"1m30s",)" +
                 R"("max_versions":3,"metadata_cas_required":false,"oldest_version":0,)" + R"("updated_time":)" + time +
                 R"(,"versions":{}})");
  BOOST_TEST(read("data/m").status == 404);
  BOOST_TEST(patch("metadata/m", R"({"custom_metadata":{"b":null,"z":"9"},"max_versions":null})").status == 204);
  BOOST_TEST(member(read("metadata/m"), {"custom_metadata"}) == R"({"a":"1.50","t":"1","z":"9"})");
  BOOST_TEST(member(read("metadata/m"), {"max_versions"}) == "0");
  write("data/m", R"({"data":{"a":1}})");
  BOOST_TEST(member(read("data/m"), {"metadata", "custom_metadata"}) == R"({"a":"1.50","t":"1","z":"9"})");
  BOOST_TEST(write("metadata/m", R"({"custom_metadata":{}})").status == 204);
  BOOST_TEST(member(read("metadata/m"), {"custom_metadata"}) == "null");
}

BOOST_AUTO_TEST_CASE(bad_metadata_is_refused) {
  const auto refused = [&](const std::string& body, std::string_view error) {
    const Answer answer = write("metadata/m", body);
    BOOST_TEST(answer.status == 400);
    BOOST_TEST(answer.error == error);
    BOOST_TEST(records.empty());
  };
  const std::string pre = "custom_metadata validation failed: ";
  refused(R"({"custom_metadata":"x"})", "error converting input for field \"custom_metadata\": expected a map");
  refused(R"({"custom_metadata":{"n":[5]}})", pre + "every value must be a string");
  refused(R"({"custom_metadata":{"n":null}})", pre + "every value must be a string");
  refused(R"({"custom_metadata":{"":"x"}})", pre + "length of a key is 0 but must be 0 < len(key) <= 128");
  refused(R"({"custom_metadata":{"a":""}})", pre + "length of value for a key is 0 but must be 0 < len(value) <= 512");
  refused(R"({"custom_metadata":{")" + std::string(129, 'k') + R"(":"x"}})",
          pre + "length of a key is 129 but must be 0 < len(key) <= 128");
  refused(R"({"custom_metadata":{"k":")" + std::string(513, 'k') + R"("}})",
          pre + "length of value for a key is 513 but must be 0 < len(value) <= 512");
  refused(R"({"custom_metadata":{"k\u0001":"x"}})", pre + "a key contains unprintable characters");
  std::string many;
  for (int i = 0; i < 65; ++i)
    many += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + R"(":"v")";
  refused(R"({"custom_metadata":{)" + many + "}}", pre + "payload must contain at most 64 keys, provided 65");
}

BOOST_AUTO_TEST_CASE(lists) {
  for (const char* path : {"data/a", "data/a/b", "data/a/c/d", "data/b", "data/z"})
    write(path, R"({"data":{}})");
  write("data/a", R"({"data":{}})");
  BOOST_TEST(list("metadata").data == R"({"keys":["a","a/","b","z"]})");
  BOOST_TEST(list("metadata/").data == R"({"keys":["a","a/","b","z"]})");
  BOOST_TEST(list("metadata/a").data == R"({"keys":["b","c/"]})");
  BOOST_TEST(list("metadata/a/").data == R"({"keys":["b","c/"]})");
  BOOST_TEST(call(Operation::kList, "metadata/", R"({"after":"a/","limit":1})").data == R"({"keys":["b"]})");
  BOOST_TEST(list("metadata/b").status == 404);
}

BOOST_AUTO_TEST_CASE(patch_merges) {
  write("data/p", R"({"data":{"a":1.10,"b":{"c":1,"d":"x"},"l":[1,2]}})");
  BOOST_TEST(patch("data/p", R"({"data":{"b":{"c":null,"e":2},"z":"zz","l":[3],"gone":null}})").status == 200);
  BOOST_TEST(member(read("data/p"), {"data"}) == R"({"a":1.10,"b":{"d":"x","e":2},"l":[3],"z":"zz"})");
  BOOST_TEST(member(read("data/p"), {"metadata", "version"}) == "2");
  BOOST_TEST(patch("data/p", R"({"options":{"cas":2}})").error == "no data provided");
  content_type = "application/json";
  const Answer refused = patch("data/p", R"({"data":{"b":1}})");
  BOOST_TEST(refused.status == 415);
  BOOST_TEST(refused.error.starts_with("PATCH requires Content-Type of application/merge-patch+json"));
  BOOST_TEST(patch("metadata/p", R"({"max_versions":1})").status == 415);
  content_type = "application/merge-patch+json; charset=utf-8";
  BOOST_TEST(patch("data/p", R"({"data":{"b":1}})").status == 200);
}

BOOST_AUTO_TEST_CASE(subkeys) {
  write("data/q", R"({"data":{"e":{},"l":[{"a":1}],"s":"x","o":{"i":{"j":1}}}})");
  BOOST_TEST(member(read("subkeys/q"), {"subkeys"}) == R"({"e":null,"l":null,"o":{"i":{"j":null}},"s":null})");
  BOOST_TEST(member(read("subkeys/q", R"({"depth":1})"), {"subkeys"}) == R"({"e":null,"l":null,"o":null,"s":null})");
  BOOST_TEST(member(read("subkeys/q", R"({"depth":"2"})"), {"subkeys"}) ==
             R"({"e":null,"l":null,"o":{"i":null},"s":null})");
  write("data/q", R"({"data":{}})");
  BOOST_TEST(member(read("subkeys/q"), {"subkeys"}) == "{}");
  erase("data/q");
  const Answer gone = read("subkeys/q");
  BOOST_TEST(gone.status == 404);
  BOOST_TEST(member(gone, {"subkeys"}) == "null");
}

BOOST_AUTO_TEST_CASE(paths_of_version_one_say_what_to_do) {
  const Answer answer = read("my-app");
  BOOST_TEST(answer.status == 404);
  BOOST_TEST(
      answer.warning ==
      "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If "
      "using the Vault CLI, use 'vault kv get' for this operation.");
  BOOST_TEST(write("my-app", R"({"a":"b"})").status == 404);
  BOOST_TEST(records.empty());
}

// Advisory H7: whatever is wrong with a request, its values are not repeated.
void check_no_error_echoes_values(Versioned& mount) {
  const std::string canary = "c4n4ry6f1d0e2b9a7c5d3f8e1b0a9c7d5e";
  std::set<std::string> errors;
  const auto attempt = [&](Operation operation, const char* path, const std::string& body) {
    const Answer answer = mount.call(operation, path, body);
    BOOST_TEST(answer.error.find(canary) == std::string::npos, path << ": " << answer.error);
    BOOST_TEST(answer.warning.find(canary) == std::string::npos);
    if (!answer.error.empty())
      errors.insert(answer.error);
  };
  for (const char* path : {"data/t", "metadata/t", "config", "delete/t", "undelete/t", "destroy/t", "subkeys/t"})
    for (const char* field : {"data", "options", "version", "versions", "max_versions", "cas_required",
                              "delete_version_after", "custom_metadata", "depth", "after", "limit"})
      for (const std::string& value : {"\"" + canary + "\"", "[\"" + canary + "\"]", "{\"k\":\"" + canary + "\"}",
                                       "{\"cas\":\"" + canary + "\"}", "{\"k\":[\"" + canary + "\"]}",
                                       "[[\"" + canary + "\"]]"})
        for (const Operation operation : {Operation::kRead, Operation::kWrite, Operation::kPatch, Operation::kList}) {
          attempt(operation, path, std::string("{\"") + field + "\":" + value + "}");
          attempt(operation, path, std::string("{\"data\":{},\"") + (field[0] == 'd' && field[1] == 'a' ? "x" : field) +
                                       "\":" + value + "}");
        }
  BOOST_TEST(errors.size() >= 8);
}

BOOST_AUTO_TEST_CASE(h7_errors_never_hold_values) { check_no_error_echoes_values(*this); }

BOOST_AUTO_TEST_CASE(h7_mutant_is_found) {
  // The same assertion on the one error that the mutant lets speak.
  const ScopedMutant on(Mutant::kKvErrorEchoesValue);
  const Answer answer = write("data/t", R"({"data":{},"options":{"cas":"c4n4ry6f1d0e2b9a"}})");
  BOOST_TEST(answer.error.find("c4n4ry6f1d0e2b9a") != std::string::npos);
  const Answer custom = write("metadata/t", R"({"custom_metadata":{"k":["c4n4ry6f1d0e2b9a"]}})");
  BOOST_TEST(custom.error.find("c4n4ry6f1d0e2b9a") != std::string::npos);
}

// Advisory D2: names that a path cleaner would change are names like others here, and reach the record of that name
// only.
BOOST_AUTO_TEST_CASE(d2_names_are_not_cleaned) {
  write("data/a", R"({"data":{"victim":1}})");
  const auto before = records;
  for (const char* path :
       {"metadata/b/../a", "metadata/./a", "metadata/b/..", "metadata//a", "metadata/a/", "metadata/A"}) {
    BOOST_TEST(erase(path).status == 204);
    BOOST_TEST((records == before));
  }
  // A version's record cannot be named as a secret of its own.
  write("data/a", R"({"data":{}})");
  BOOST_TEST(read("data/v/0000000000000001/a").status == 404);
  BOOST_TEST(list("metadata/v").status == 404);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kv_unversioned)

BOOST_AUTO_TEST_CASE(read_write_list_delete) {
  EngineMount mount(engines::make_kv_engine(), "kv1/");
  BOOST_TEST(mount.write("x/y", R"({"b":1.10,"a":"v"})").status == 204);
  const Answer got = mount.read("x/y");
  BOOST_TEST(got.data == R"({"a":"v","b":1.10})");
  BOOST_TEST(got.lease.count() == Nanos(std::chrono::hours(768)).count());
  BOOST_TEST(mount.list("").data == R"({"keys":["x/"]})");
  BOOST_TEST(mount.list("x").data == R"({"keys":["y"]})");
  BOOST_TEST(mount.list("z").status == 404);
  BOOST_TEST(mount.erase("x/y").status == 204);
  BOOST_TEST(mount.read("x/y").status == 404);
  BOOST_TEST(mount.write("x", "{}").error == "missing data fields");
  BOOST_TEST(mount.write("x/", R"({"a":1})").error == "cannot write to a path ending in '/'");
  BOOST_TEST(mount.patch("x", R"({"a":1})").status == 405);
  BOOST_TEST(mount.records.empty());
}

BOOST_AUTO_TEST_CASE(a_secret_says_how_soon_to_read_again) {
  EngineMount mount(engines::make_kv_engine(), "kv1/");
  const auto lease_of = [&](std::string_view body) {
    mount.write("x", body);
    return std::chrono::duration_cast<std::chrono::seconds>(mount.read("x").lease).count();
  };
  BOOST_TEST(lease_of(R"({"ttl":"1h"})") == 3600);
  BOOST_TEST(lease_of(R"({"ttl":90})") == 90);
  BOOST_TEST(lease_of(R"({"lease":"90s"})") == 90);
  BOOST_TEST(lease_of(R"({"ttl":"zz"})") == 2764800);
  mount.info.default_lease_ttl = std::chrono::minutes(5);
  BOOST_TEST(lease_of(R"({"a":1})") == 300);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
