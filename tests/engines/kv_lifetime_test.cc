// What a KV mount of version 2 does over time: deleted metadata, its return and its purge; the upgrade from version 1.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <random>

#include "engines/kv/kv.h"
#include "tests/engines/engine_fixture.h"

namespace coffer {
namespace {

using core::Operation;
using core::Tended;
using testing::Answer;
using testing::EngineMount;

struct Versioned : EngineMount {
  Versioned() : EngineMount(engines::make_kv_engine(), "secret/") { info.options = {{"version", "2"}}; }
  Answer destroy(std::string_view path) { return call(Operation::kDelete, path, R"({"destroy":true})"); }
  std::size_t count(std::string_view prefix) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        records, [prefix](const auto& record) { return record.first.starts_with(prefix); }));
  }
  // A secret with versions of its own records.
  void fill(std::string_view path, int versions) {
    for (int i = 1; i <= versions; ++i)
      write(path, R"({"data":{"n":")" + std::string(2000, 'x') + std::to_string(i) + "\"}}");
  }
};

BOOST_FIXTURE_TEST_SUITE(kv_lifetime, Versioned)

BOOST_AUTO_TEST_CASE(deleted_metadata_is_hidden_and_comes_back) {
  fill("data/a/b", 3);
  write("metadata/a/b", R"({"custom_metadata":{"o":"me"}})");
  const std::string before = read("metadata/a/b").data;
  BOOST_TEST(erase("metadata/a/b").status == 204);
  for (const char* path : {"data/a/b", "metadata/a/b", "subkeys/a/b"})
    BOOST_TEST(read(path).status == 404);
  BOOST_TEST(list("metadata/a").status == 404);
  BOOST_TEST(list("metadata").status == 404);
  BOOST_TEST(erase("data/a/b").writes == 0);
  BOOST_TEST(write("delete/a/b", R"({"versions":[1]})").writes == 0);
  BOOST_TEST(erase("metadata/a/b").writes == 0);
  BOOST_TEST(write("undelete/a/b", R"({"versions":[3]})").status == 204);
  BOOST_TEST(read("metadata/a/b").data == before);
  BOOST_TEST(read("data/a/b", R"({"version":1})").status == 200);
}

BOOST_AUTO_TEST_CASE(a_put_on_deleted_metadata_begins_anew) {
  fill("data/p", 3);
  erase("metadata/p");
  const Answer put = write("data/p", R"({"data":{"a":1}})");
  BOOST_TEST(put.data.ends_with(R"("version":1})"));
  BOOST_TEST(!put.update);
  BOOST_TEST(count("v/") == 0u);
  BOOST_TEST(count("d/") == 0u);
  BOOST_TEST(read("data/p", R"({"version":3})").status == 404);
  erase("metadata/p");
  BOOST_TEST(write("metadata/p", R"({"max_versions":3})").status == 204);
  BOOST_TEST(count("d/") == 0u);
  BOOST_TEST(write("data/p", R"({"data":{"a":1},"options":{"cas":0}})").status == 200);
}

BOOST_AUTO_TEST_CASE(destroyed_metadata_never_comes_back) {
  fill("data/x", 3);
  BOOST_TEST(destroy("metadata/x").status == 204);
  BOOST_TEST(records.empty());
  fill("data/y", 3);
  erase("metadata/y");
  BOOST_TEST(destroy("metadata/y").status == 204);
  BOOST_TEST(count("d/") + count("v/") == 0u);
  BOOST_TEST(write("undelete/y", R"({"versions":[1,2,3]})").status == 204);
  BOOST_TEST(read("data/y").status == 404);
  BOOST_TEST(call(Operation::kDelete, "metadata/y", R"({"destroy":"perhaps"})").status == 400);
}

BOOST_AUTO_TEST_CASE(versions_of_deleted_metadata_can_be_destroyed) {
  fill("data/d", 2);
  erase("metadata/d");
  BOOST_TEST(write("destroy/d", R"({"versions":[1]})").status == 204);
  BOOST_TEST(read("metadata/d").status == 404);
  write("undelete/d", R"({"versions":[1,2]})");
  BOOST_TEST(read("data/d", R"({"version":1})").status == 404);
  BOOST_TEST(read("data/d").status == 200);
}

BOOST_AUTO_TEST_CASE(deleted_metadata_is_purged_when_its_time_is_over) {
  fill("data/old", 3);
  erase("metadata/old");
  now += std::chrono::hours(1);
  fill("data/new", 3);
  erase("metadata/new");
  BOOST_TEST((*tend() == Tended::kIdle));
  BOOST_TEST(count("d/") == 2u);
  now += std::chrono::hours(71) + std::chrono::minutes(30);
  // Over is over, also before anybody came to purge it.
  BOOST_TEST(write("undelete/old", R"({"versions":[1]})").status == 204);
  BOOST_TEST(read("data/old").status == 404);
  BOOST_TEST((*tend() == Tended::kIdle));
  BOOST_TEST(count("d/") == 1u);
  BOOST_TEST(count("v/") == 2u);
  BOOST_TEST(write("undelete/new", R"({"versions":[1]})").status == 204);
  BOOST_TEST(read("data/new").status == 200);
  // The note of what was restored is stale and harmless.
  now += std::chrono::hours(200);
  BOOST_TEST((*tend() == Tended::kIdle));
  BOOST_TEST(count("t/") == 0u);
  BOOST_TEST(read("data/new").status == 200);
}

BOOST_AUTO_TEST_CASE(retention_is_the_mounts) {
  BOOST_TEST(write("config", R"({"deleted_metadata_retention":"10m"})").status == 204);
  fill("data/a", 2);
  erase("metadata/a");
  now += std::chrono::minutes(9);
  write("undelete/a", R"({"versions":[1]})");
  BOOST_TEST(read("data/a").status == 200);
  BOOST_TEST(write("config", R"({"deleted_metadata_retention":0})").status == 204);
  erase("metadata/a");
  BOOST_TEST(count("d/") + count("v/") == 0u);
  for (const char* bad : {R"({"deleted_metadata_retention":"-1s"})", R"({"deleted_metadata_retention":[]})"})
    BOOST_TEST(write("config", bad).status == 400);
}

BOOST_AUTO_TEST_CASE(many_purges_take_several_steps) {
  for (int i = 0; i < 100; ++i) {
    write("data/m" + std::to_string(i), R"({"data":{}})");
    erase("metadata/m" + std::to_string(i));
  }
  now += std::chrono::hours(100);
  int steps = 0;
  while (*tend() == Tended::kMore)
    BOOST_REQUIRE(++steps < 100);
  BOOST_TEST(steps > 1);
  BOOST_TEST(records.empty());
}

BOOST_AUTO_TEST_CASE(version_1_becomes_version_2) {
  info.options = {};
  write("a", R"({"x":"1","ttl":"30m"})");
  for (int i = 0; i < 600; ++i)
    write("f/g" + std::to_string(i), R"({"n":)" + std::to_string(i) + "}");
  info.options = {{"upgrading", "true"}, {"version", "2"}};
  for (const Operation operation : {Operation::kRead, Operation::kWrite, Operation::kDelete, Operation::kList,
                                    Operation::kPatch, Operation::kScan}) {
    const Answer answer = call(operation, "data/a", "{}");
    BOOST_TEST(answer.status == 400);
    BOOST_TEST(answer.error.starts_with("Upgrading from non-versioned to versioned data."));
  }
  int steps = 0;
  while (*tend() == Tended::kMore)
    BOOST_REQUIRE(++steps < 100);
  BOOST_TEST(steps > 2);
  BOOST_TEST((*tend() == Tended::kUpgraded));
  info.options = {{"version", "2"}};
  BOOST_TEST(read("data/a").data.starts_with(R"({"data":{"ttl":"30m","x":"1"},"metadata":{)"));
  BOOST_TEST(read("data/f/g599").data.find(R"("version":1})") != std::string::npos);
  BOOST_TEST(count("s/") == 0u);
  BOOST_TEST(count("h/") == 601u);
}

BOOST_AUTO_TEST_CASE(metadata_has_its_own_check_and_set) {
  const auto refused = [&](std::string_view path, std::string_view body, std::string_view error) {
    const Answer answer = write(path, body);
    BOOST_TEST(answer.status == 400);
    BOOST_TEST(answer.error == error);
  };
  BOOST_TEST(write("metadata/a", R"({"max_versions":1,"metadata_cas":0})").status == 204);
  refused("metadata/a", R"({"max_versions":2,"metadata_cas":0})",
          "metadata check-and-set parameter does not match the current version");
  BOOST_TEST(write("metadata/a", R"({"metadata_cas_required":true,"metadata_cas":1})").status == 204);
  refused("metadata/a", R"({"max_versions":2})", "metadata check-and-set parameter required for this call");
  BOOST_TEST(patch("metadata/a", R"({"max_versions":2})").status == 400);
  BOOST_TEST(patch("metadata/a", R"({"max_versions":2,"metadata_cas":2})").status == 204);
  BOOST_TEST(write("metadata/a", R"({"max_versions":2,"metadata_cas":"x"})").status == 400);
  BOOST_TEST(write("config", R"({"metadata_cas_required":true})").status == 204);
  refused("metadata/b", R"({"max_versions":2})", "metadata check-and-set parameter required for this call");
  BOOST_TEST(write("data/b", R"({"data":{}})").status == 200);
}

BOOST_AUTO_TEST_CASE(a_tuned_mount_wants_to_know_what_is_overwritten) {
  info.options = {{"cas_required", "true"}, {"version", "2"}};
  BOOST_TEST(write("data/c", R"({"data":{"a":1}})").status == 200);
  const Answer answer = write("data/c", R"({"data":{"a":2}})");
  BOOST_TEST(answer.status == 400);
  BOOST_TEST(answer.error == "check-and-set parameter required for this call");
  BOOST_TEST(write("data/c", R"({"data":{"a":2},"options":{"cas":1}})").status == 200);
  erase("data/c");
  BOOST_TEST(write("data/c", R"({"data":{"a":2}})").status == 400);
  BOOST_TEST(write("config", R"({"cas_required":true})").status == 204);
  BOOST_TEST(write("data/d", R"({"data":{"a":1}})").status == 400);
  BOOST_TEST(write("data/d", R"({"data":{"a":1},"options":{"cas":0}})").status == 200);
}

BOOST_AUTO_TEST_CASE(who_wrote_a_version_is_kept) {
  caller.name = "userpass-alice";
  write("data/w", R"({"data":{"a":1}})");
  caller.name = "root";
  write("data/w", R"({"data":{"a":2}})");
  const std::string data = read("metadata/w").data;
  BOOST_TEST(data.find(R"("1":{"created_by":{"display_name":"userpass-alice","entity_id":"entity-1"})") !=
             std::string::npos);
  BOOST_TEST(data.find(R"("2":{"created_by":{"display_name":"root","entity_id":"entity-1"})") != std::string::npos);
}

// What a secret should be: its versions' data by number, and whether and until when it is deleted.
struct Expected {
  std::map<std::uint64_t, std::string> versions;
  std::uint64_t newest = 0;
};

// Random histories against a model: nothing is lost, nothing comes back that should not, no record is left over.
BOOST_AUTO_TEST_CASE(random_histories_keep_to_the_model) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    records.clear();
    write("config", R"({"deleted_metadata_retention":"1h"})");
    std::map<std::string, Expected> alive;
    std::map<std::string, std::pair<Expected, WallTime>> buried;
    const auto name = [&] { return std::string(1, "abcd"[random() % 4]) + (random() % 2 == 0 ? "/x" : ""); };
    for (int step = 0; step < 300; ++step) {
      const std::string at = name();
      switch (random() % 8) {
        case 0: case 1: {
          const std::string text(random() % 2 == 0 ? 5 : 1500, 'x');
          const std::string data = R"({"n":")" + text + std::to_string(step) + "\"}";
          BOOST_REQUIRE(write("data/" + at, R"({"data":)" + data + "}").status == 200);
          buried.erase(at);
          Expected& secret = alive[at];
          secret.versions[++secret.newest] = data;
          if (secret.newest > 10)
            secret.versions.erase(secret.newest - 10);
          break;
        }
        case 2:
          BOOST_REQUIRE(erase("metadata/" + at).status == 204);
          if (alive.contains(at)) {
            buried[at] = {alive[at], now + std::chrono::hours(1)};
            alive.erase(at);
          }
          break;
        case 3:
          BOOST_REQUIRE(write("undelete/" + at, R"({"versions":[1]})").status == 204);
          if (!alive.contains(at) && buried.contains(at) && buried[at].second > now) {
            alive[at] = buried[at].first;
            buried.erase(at);
          }
          break;
        case 4:
          if (random() % 3 == 0) {
            BOOST_REQUIRE(destroy("metadata/" + at).status == 204);
            alive.erase(at);
            buried.erase(at);
          }
          break;
        case 5: case 6: {
          const bool moves = random() % 2 == 0;
          const std::string to = name();
          const bool overwrite = random() % 2 == 0;
          const Answer answer = write((moves ? "move/" : "copy/") + at, R"({"to":")" + to + R"(","overwrite":)" +
                                                                          (overwrite ? "true}" : "false}"));
          const bool works = alive.contains(at) && at != to && (overwrite || !alive.contains(to));
          BOOST_REQUIRE((answer.status == 200) == works);
          if (!works)
            break;
          alive[to] = alive[at];
          buried.erase(to);
          if (moves)
            alive.erase(at);
          break;
        }
        case 7:
          now += std::chrono::minutes(random() % 40);
          while (*tend() == Tended::kMore) {
          }
          std::erase_if(buried, [&](const auto& one) { return one.second.second <= now; });
          break;
      }
      for (const std::string& path : {at, name()}) {
        const auto secret = alive.find(path);
        BOOST_REQUIRE((read("data/" + path).status == 200) == (secret != alive.end()));
        if (secret == alive.end())
          continue;
        const std::uint64_t number = 1 + random() % secret->second.newest;
        const Answer got = read("data/" + path, R"({"version":)" + std::to_string(number) + "}");
        const auto data = secret->second.versions.find(number);
        BOOST_REQUIRE((got.status == 200) == (data != secret->second.versions.end()));
        if (got.status == 200)
          BOOST_REQUIRE(got.data.starts_with(R"({"data":)" + data->second + ","));
      }
    }
    BOOST_TEST(count("h/") == alive.size());
    BOOST_TEST(count("d/") == buried.size());
    now += std::chrono::hours(2);
    while (*tend() == Tended::kMore) {
    }
    for (const auto& [path, secret] : alive)
      BOOST_TEST(destroy("metadata/" + path).status == 204);
    BOOST_TEST(records.size() == 1u);  // the configuration: no version of anything is left over
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
