#include <boost/test/unit_test.hpp>

#include "core/jobs.h"
#include "core/namespaces.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

constexpr std::string_view kReader =
    R"({"policy":"path \"secret/*\" { capabilities = [\"read\",\"list\",\"create\"] }"})";

struct Tenants : CoreFixture {
  Tenants() {
    BOOST_TEST_REQUIRE(in("", Operation::kWrite, "sys/namespaces/a").status == 200);
    BOOST_TEST_REQUIRE(in("", Operation::kWrite, "sys/namespaces/b").status == 200);
    BOOST_TEST_REQUIRE(in("a", Operation::kWrite, "sys/namespaces/c").status == 200);
    for (const std::string_view ns : {"a", "b", "a/c"})
      BOOST_TEST_REQUIRE(
          in(ns, Operation::kWrite, "sys/mounts/secret", R"({"type":"kv","options":{"version":"1"}})").status == 204);
  }

  Answer in(std::string_view ns, Operation operation, std::string_view path, std::string_view body = {},
            std::string_view token = "root") {
    return request(operation, path, body, token, {}, ns);
  }
  Answer put(std::string_view ns, std::string_view path, std::string_view body, std::string_view token = "root") {
    return in(ns, Operation::kWrite, path, body, token);
  }
  Answer get(std::string_view ns, std::string_view path, std::string_view token = "root") {
    return in(ns, Operation::kRead, path, {}, token);
  }
  // A token of `ns` that reads what is below secret/.
  std::string reader(std::string_view ns) {
    BOOST_TEST_REQUIRE(put(ns, "sys/policies/acl/reader", kReader).status == 204);
    return put(ns, "auth/token/create", R"({"policies":["reader"]})").text("auth|client_token");
  }
  void run_jobs() {
    JobRunner jobs(services);
    while (jobs.tick()) {
    }
  }
};

BOOST_FIXTURE_TEST_SUITE(namespaces, Tenants)

BOOST_AUTO_TEST_CASE(one_path_is_another_secret_in_each_namespace) {
  for (const std::string_view ns : {"a", "b", "a/c"})
    BOOST_TEST(put(ns, "secret/x", "{\"v\":\"" + std::string(ns) + "\"}").status == 204);
  for (const std::string_view ns : {"a", "b", "a/c"})
    BOOST_TEST(get(ns, "secret/x").text("data|v") == ns);
  BOOST_TEST(get("", "a/c/secret/x").text("data|v") == "a/c");
  BOOST_TEST(get("a", "c/secret/x").text("data|v") == "a/c");
  BOOST_TEST(get("b", "c/secret/x").status == 404);
}

BOOST_AUTO_TEST_CASE(a_token_works_where_it_was_made_and_below) {
  const std::string token = reader("a");
  BOOST_TEST(put("a", "secret/x", "{\"v\":1}").status == 204);
  BOOST_TEST(put("b", "secret/x", "{\"v\":1}").status == 204);
  BOOST_TEST(put("", "secret/data/x", "{\"data\":{\"v\":1}}").status == 200);
  BOOST_TEST(get("a", "secret/x", token).status == 200);
  BOOST_TEST(get("b", "secret/x", token).status == 403);
  BOOST_TEST(get("", "secret/data/x", token).status == 403);
  // Below, its rules still speak of paths from its own namespace on.
  BOOST_TEST(get("a/c", "secret/x", token).status == 403);
  BOOST_TEST(put("a", "sys/policies/acl/reader", R"({"policy":"path \"c/secret/*\" { capabilities = [\"read\"] }"})")
                 .status == 204);
  BOOST_TEST(put("a/c", "secret/x", "{\"v\":1}").status == 204);
  BOOST_TEST(get("a/c", "secret/x", token).status == 200);
  BOOST_TEST(get("a", "secret/x", token).status == 403);
  const coffer::testing::ScopedMutant broken(Mutant::kForeignNamespaceReached);
  BOOST_TEST(get("b", "c/secret/x", token).status != 403);
}

BOOST_AUTO_TEST_CASE(a_policy_of_one_namespace_is_none_of_another) {
  const std::string token = put("b", "auth/token/create", R"({"policies":["reader"]})").text("auth|client_token");
  BOOST_TEST(put("a", "sys/policies/acl/reader", kReader).status == 204);
  BOOST_TEST(put("b", "secret/x", "{\"v\":1}").status == 204);
  BOOST_TEST(get("b", "secret/x", token).status == 403);
  BOOST_TEST(in("b", Operation::kList, "sys/policies/acl").text("data|keys") == R"(["default","root"])");
  BOOST_TEST(in("a", Operation::kList, "sys/policies/acl").text("data|keys") == R"(["default","reader","root"])");
}

BOOST_AUTO_TEST_CASE(tokens_of_others_are_neither_told_of_nor_changed) {
  const Answer made = put("a", "auth/token/create", R"({"policies":["default"]})");
  const std::string token = made.text("auth|client_token");
  const std::string accessor = made.text("auth|accessor");
  const std::string by_token = "{\"token\":\"" + token + "\"}";
  const std::string by_accessor = "{\"accessor\":\"" + accessor + "\"}";
  for (const std::string_view ns : {"b", "a/c"}) {
    BOOST_TEST(put(ns, "auth/token/lookup", by_token).status == 403);
    BOOST_TEST(put(ns, "auth/token/lookup-accessor", by_accessor).status == 400);
    BOOST_TEST(put(ns, "auth/token/renew", by_token).status == 400);
    put(ns, "auth/token/revoke", by_token);
    put(ns, "auth/token/revoke-accessor", by_accessor);
    put(ns, "auth/token/revoke-orphan", by_token);
    BOOST_TEST(get("a", "auth/token/lookup-self", token).status == 200);
    BOOST_TEST(in(ns, Operation::kList, "auth/token/accessors").status == 404);
  }
  BOOST_TEST(in("a", Operation::kList, "auth/token/accessors").text("data|keys") == "[\"" + accessor + "\"]");
  BOOST_TEST(put("", "auth/token/revoke", by_token).status == 204);
  BOOST_TEST(get("a", "auth/token/lookup-self", token).status == 403);
}

// Tokens have leases, and a namespace lists and revokes its own.
BOOST_AUTO_TEST_CASE(leases_of_tokens_stay_in_their_namespace) {
  const auto made = [this](std::string_view ns) {
    return put(ns, "auth/token/create", R"({"policies":["default"]})").text("auth|client_token");
  };
  const auto lives = [this](std::string_view ns, std::string_view token) {
    return get(ns, "auth/token/lookup-self", token).status == 200;
  };
  const std::string of_root = made("");
  const std::string of_a = made("a");
  const std::string of_c = made("a/c");
  const std::string_view folder = "sys/leases/lookup/auth/token/create";
  for (const std::string_view ns : {"", "a", "a/c"})
    BOOST_TEST(in(ns, Operation::kList, folder).at("data|keys").elements().size() == 1u);
  BOOST_TEST(in("b", Operation::kList, folder).status == 404);
  BOOST_TEST(put("", "sys/leases/revoke-prefix/auth/token", R"({"sync":true})").status == 204);
  BOOST_TEST(!lives("", of_root));
  BOOST_TEST(lives("a", of_a));
  BOOST_TEST(put("a", "sys/leases/revoke-prefix/auth/token", R"({"sync":true})").status == 204);
  BOOST_TEST(!lives("a", of_a));
  BOOST_TEST(lives("a/c", of_c));
}

BOOST_AUTO_TEST_CASE(a_token_gives_its_children_no_policies_of_another_namespace) {
  BOOST_TEST(put("", "sys/policies/acl/make",
                 R"({"policy":"path \"a/auth/token/create\" { capabilities = [\"update\"] }"})").status == 204);
  BOOST_TEST(put("a", "sys/policies/acl/make", R"({"policy":"path \"*\" { capabilities = [\"sudo\",\"read\"] }"})")
                 .status == 204);
  const std::string maker = token(R"(["make"])");
  BOOST_TEST(put("a", "auth/token/create", R"({"policies":["make"]})", maker).status == 400);
  BOOST_TEST(put("a", "auth/token/create", R"({"policies":["root"]})", maker).status == 400);
}

BOOST_AUTO_TEST_CASE(names_that_mean_something_else_are_refused) {
  for (const std::string_view name : {"root", "ROOT", "sys", "auth", "audit", "identity", "cubbyhole", "Sys"}) {
    BOOST_TEST(put("", "sys/namespaces/" + std::string(name), "{}").status == 400);
    BOOST_TEST(put("a", "sys/namespaces/" + std::string(name), "{}").status == 400);
  }
  BOOST_TEST(put("", "sys/namespaces/x/y", "{}").status == 400);
  BOOST_TEST(put("", "sys/namespaces/secret", "{}").status == 400);
  BOOST_TEST(put("", "sys/mounts/a/kv", R"({"type":"kv"})").status == 400);
  const coffer::testing::ScopedMutant broken(Mutant::kReservedNamespaceName);
  BOOST_TEST(put("", "sys/namespaces/root", "{}").status == 200);
}

BOOST_AUTO_TEST_CASE(f8_what_fails_leaves_no_half_of_a_namespace) {
  const std::size_t before = records(store::KeyClass::kShared, MountId(0)) +
                             records(store::KeyClass::kClusterLocal, MountId(0));
  const auto fails = [&] {
    BOOST_TEST(put("", "sys/namespaces/half", "{}").status >= 500);
    BOOST_TEST(get("", "sys/namespaces/half").status == 404);
    BOOST_TEST(get("half", "sys/mounts").status == 404);
    BOOST_TEST(records(store::KeyClass::kShared, MountId(0)) + records(store::KeyClass::kClusterLocal, MountId(0)) ==
               before);
  };
  random.failing = true;
  fails();
  random.failing = false;
  committer.forced.emplace_back(CommitOutcome::kRefused, Status(Code::kUnavailable, "not now"));
  fails();
  BOOST_TEST(put("", "sys/namespaces/half", "{}").status == 200);
  BOOST_TEST(get("half", "sys/mounts").status == 200);
}

BOOST_AUTO_TEST_CASE(what_belongs_to_the_root_is_not_served_elsewhere) {
  for (const std::string_view path : {"sys/audit", "sys/key-status", "sys/config/auditing/request-headers"})
    BOOST_TEST(get("a", path).status == 404);
  BOOST_TEST(put("a", "sys/rotate", "{}").status == 404);
  BOOST_TEST(put("a", "sys/audit/file", R"({"type":"file"})").status == 404);
}

BOOST_AUTO_TEST_CASE(a_cubbyhole_is_one_of_its_namespace_and_goes_with_the_token) {
  const std::string token = put("a", "auth/token/create", R"({"policies":["default"]})").text("auth|client_token");
  BOOST_TEST(put("a", "cubbyhole/x", "{\"v\":1}", token).status == 204);
  BOOST_TEST(put("", "cubbyhole/x", "{\"v\":2}").status == 204);
  BOOST_TEST(put("a", "cubbyhole/x", "{\"v\":3}").status == 204);
  BOOST_TEST(get("", "cubbyhole/x").text("data|v") == "2");
  BOOST_TEST(get("a", "cubbyhole/x").text("data|v") == "3");
  BOOST_TEST(in("", Operation::kList, "cubbyhole").text("data|keys") == R"(["x"])");
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == 3u);
  BOOST_TEST(put("a", "auth/token/revoke-self", "{}", token).status == 204);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == 2u);
}

BOOST_AUTO_TEST_CASE(deleting_takes_everything_and_no_name_comes_back) {
  const std::string token = reader("b");
  BOOST_TEST(put("b", "secret/x", "{\"v\":1}").status == 204);
  BOOST_TEST(in("", Operation::kDelete, "sys/namespaces/a").status == 400);
  BOOST_TEST(in("", Operation::kDelete, "sys/namespaces/b").status == 204);
  BOOST_TEST(get("b", "secret/x").status == 404);
  BOOST_TEST(get("", "b/secret/x").status == 404);
  BOOST_TEST(get("b", "secret/x", token).status == 403);
  BOOST_TEST(put("", "sys/namespaces/b", "{}").status == 400);  // still on its way out
  run_jobs();
  BOOST_TEST(put("", "sys/namespaces/b", "{}").status == 200);
  BOOST_TEST(get("b", "secret/x").status == 404);
  BOOST_TEST(get("b", "auth/token/lookup-self", token).status == 403);
  BOOST_TEST(in("b", Operation::kList, "sys/policies/acl").text("data|keys") == R"(["default","root"])");
}

BOOST_AUTO_TEST_CASE(a_locked_namespace_refuses_until_its_key_is_shown) {
  const std::string token = reader("a");
  BOOST_TEST(put("a/c", "secret/x", "{\"v\":1}").status == 204);
  const std::string key = put("", "sys/namespaces/api-lock/lock/a", "{}").text("data|unlock_key");
  BOOST_TEST(key.size() == 32u);
  for (const std::string_view ns : {"a", "a/c"})
    BOOST_TEST(get(ns, "secret/x").status == 503);
  BOOST_TEST(get("a", "secret/x", token).status == 503);
  BOOST_TEST(get("b", "secret/x").status == 404);
  BOOST_TEST(put("a", "sys/namespaces/api-lock/unlock", R"({"unlock_key":"no"})").status == 400);
  BOOST_TEST(put("a", "sys/namespaces/api-lock/unlock", "{\"unlock_key\":\"" + key + "\"}").status == 204);
  BOOST_TEST(get("a/c", "secret/x").status == 200);
}

BOOST_AUTO_TEST_CASE(metadata_is_set_patched_and_bounded) {
  const Answer set = put("", "sys/namespaces/a", R"({"custom_metadata":{"x":"1","y":"2"}})");
  BOOST_TEST(set.text("data|custom_metadata") == R"({"x":"1","y":"2"})");
  const Answer patched =
      in("", Operation::kPatch, "sys/namespaces/a", R"({"custom_metadata":{"x":null,"z":"3"}})");
  BOOST_TEST(patched.text("data|custom_metadata") == R"({"y":"2","z":"3"})");
  BOOST_TEST(put("", "sys/namespaces/a", R"({"custom_metadata":{"x":1}})").status == 400);
  BOOST_TEST(put("", "sys/namespaces/a", R"({"custom_metadata":[]})").status == 400);
  BOOST_TEST(in("", Operation::kList, "sys/namespaces").text("data|keys") == R"(["a/","b/"])");
  BOOST_TEST(in("a", Operation::kList, "sys/namespaces").text("data|keys") == R"(["c/"])");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
