#include <boost/test/unit_test.hpp>

#include "core/jobs.h"
#include "core/namespaces.h"
#include "core/quota_count.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

using coffer::testing::ScopedMutant;

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
  std::size_t kept_in(NamespaceId ns, MountId mount) {
    const auto view = backend.view();
    const store::KeyRange range =
        store::range_of_prefix(store::full_key(store::KeyClass::kShared, ns, mount, {}));
    const auto cursor = (*view)->cursor();
    std::size_t count = 0;
    for (auto more = (*cursor)->seek(range.begin); more.ok() && *more && (*cursor)->key() < range.end;
         more = (*cursor)->next())
      ++count;
    return count;
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

// What is disabled in one namespace ends the tokens that were made there, and nobody's elsewhere (advisory F2).
BOOST_AUTO_TEST_CASE(a_disabled_auth_method_ends_its_own_tokens) {
  const auto login = [this](std::string_view ns) {
    BOOST_TEST_REQUIRE(put(ns, "sys/auth/userpass", R"({"type":"userpass"})").status == 204);
    BOOST_TEST_REQUIRE(put(ns, "auth/userpass/users/u", R"({"password":"p"})").status == 204);
    return put(ns, "auth/userpass/login/u", R"({"password":"p"})", "").text("auth|client_token");
  };
  const std::string of_root = login("");
  const std::string of_a = login("a");
  const std::string of_b = login("b");
  BOOST_TEST(in("a", Operation::kDelete, "sys/auth/userpass").status == 204);
  run_jobs();
  BOOST_TEST(get("a", "auth/token/lookup-self", of_a).status == 403);
  BOOST_TEST(get("b", "auth/token/lookup-self", of_b).status == 200);
  BOOST_TEST(in("", Operation::kDelete, "sys/auth/userpass").status == 204);
  run_jobs();
  BOOST_TEST(get("", "auth/token/lookup-self", of_root).status == 403);
  BOOST_TEST(get("b", "auth/token/lookup-self", of_b).status == 200);
}

BOOST_AUTO_TEST_CASE(a_lease_says_in_which_namespace_it_is) {
  BOOST_TEST_REQUIRE(put("a", "auth/token/create", R"({"ttl":"1h"})").status == 200);
  const std::string key =
      in("a", Operation::kList, "sys/leases/lookup/auth/token/create").at("data|keys|0").as_string().data();
  const std::string body = R"({"lease_id":"auth/token/create/)" + key.substr(0, 41) + "\"}";
  BOOST_TEST(put("a", "sys/leases/lookup", body).text("data|namespace_path") == "a/");
  for (const std::string_view ns : {"", "b", "a/c"})
    BOOST_TEST(put(ns, "sys/leases/lookup", body).status == 400);
}

BOOST_AUTO_TEST_CASE(tokens_say_where_they_belong) {
  const std::string id = get("", "sys/namespaces/a").text("data|id");
  for (const char* type : {"service", "batch"}) {
    const std::string body = R"({"policies":["default"],"type":")" + std::string(type) + "\"}";
    const Answer made = put("a", "auth/token/create", body);
    const std::string text = made.text("auth|client_token");
    BOOST_TEST(text.ends_with("." + id));
    BOOST_TEST(get("a", "auth/token/lookup-self", text).status == 200);
    BOOST_TEST(get("a", "auth/token/lookup-self", text.substr(0, text.size() - id.size() - 1)).status == 403);
    BOOST_TEST(get("a", "auth/token/lookup-self", text + "x").status == 403);
  }
  const Answer made = put("a", "auth/token/create", R"({"policies":["default"]})");
  BOOST_TEST(made.text("auth|accessor").ends_with("." + id));
  BOOST_TEST(token(R"(["default"])").find('.', 4) == std::string::npos);
  const std::string batch = put("", "auth/token/create", R"({"type":"batch"})").text("auth|client_token");
  BOOST_TEST(get("", "auth/token/lookup-self", batch + "." + id).status == 403);
  const Answer wrapped = request(Operation::kRead, "sys/namespaces", {}, "root", "60s", "a");
  BOOST_TEST(put("a", "sys/wrapping/wrap", "{}").status == 400);
  const Answer kept = request(Operation::kWrite, "sys/wrapping/wrap", R"({"a":"b"})", "root", "60s", "a");
  BOOST_TEST(kept.text("wrap_info|token").ends_with("." + id));
}

BOOST_AUTO_TEST_CASE(what_belongs_to_the_root_alone) {
  for (const char* path : {"sys/quotas/config", "sys/audit", "sys/rotate", "sys/config/cors", "sys/host-info"})
    BOOST_TEST(get("a", path).text("errors|0") == "operation only available in root namespace", path);
  deriver->set_config({.administrative_namespace = "a/"});
  BOOST_TEST(put("", "sys/policies/acl/x", R"({"policy":"path \"x\" { capabilities = [\"read\"] }"})").status == 204);
  BOOST_TEST(put("a", "sys/audit-hash/none", R"({"input":"x"})").text("errors|0").find("root namespace") ==
             std::string::npos);
  BOOST_TEST(in("a", Operation::kList, "sys/version-history").status == 200);
  BOOST_TEST(in("a/c", Operation::kList, "sys/version-history").status == 400);
  BOOST_TEST(put("a", "sys/loggers", R"({"level":"debug"})").text("errors|0") ==
             "operation only available in root namespace");
  BOOST_TEST(get("a", "sys/audit").text("errors|0") == "operation only available in root namespace");
}

BOOST_AUTO_TEST_CASE(all_below_are_listed) {
  BOOST_TEST(in("", Operation::kScan, "sys/namespaces").text("data|keys") == R"(["a/","a/c/","b/"])");
  BOOST_TEST(in("a", Operation::kScan, "sys/namespaces").text("data|keys") == R"(["c/"])");
  BOOST_TEST(in("b", Operation::kDelete, "sys/namespaces/none").text("warnings|0") ==
             "requested namespace does not exist");
}

BOOST_AUTO_TEST_CASE(quotas_of_namespaces) {
  const auto quota = [this](const std::string& name, const std::string& path, const std::string& more) {
    return put("", "sys/quotas/rate-limit/" + name, "{\"path\":\"" + path + "\"," + more + "}").status;
  };
  BOOST_TEST(quota("a", "a", R"("rate":1000,"inheritable":true)") == 204);
  BOOST_TEST(get("", "sys/quotas/rate-limit/a").text("data|path") == "a/");
  BOOST_TEST(quota("b", "b/", R"("rate":1000)") == 204);
  BOOST_TEST(quota("m", "a/secret", R"("rate":1000,"inheritable":true)") == 400);
  BOOST_TEST(quota("g", "", R"("rate":1000,"inheritable":false)") == 400);
  BOOST_TEST(quota("x", "a/nothing", R"("rate":1000)") == 400);
  BOOST_TEST(quota("m", "a/secret", R"("rate":1000)") == 204);
  BOOST_TEST(quota("same", "a", R"("rate":5)") == 400);
  BOOST_TEST(put("", "sys/quotas/config", R"({"enable_rate_limit_response_headers":true})").status == 204);
  const auto limit = [this](std::string_view ns, std::string_view path) -> std::string {
    for (const auto& [name, value] : get(ns, path).headers)
      if (name == "X-Ratelimit-Limit")
        return value;
    return "";
  };
  BOOST_TEST(quota("a", "a", R"("rate":100)") == 204);
  BOOST_TEST(quota("b", "b", R"("rate":200)") == 204);
  BOOST_TEST(quota("m", "a/secret", R"("rate":300)") == 204);
  BOOST_TEST(limit("a", "sys/mounts") == "100");
  BOOST_TEST(limit("a", "secret/x") == "300");
  BOOST_TEST(limit("", "a/secret/x") == "300");
  BOOST_TEST(limit("a/c", "secret/x") == "100");  // inherited
  BOOST_TEST(limit("b", "secret/x") == "200");
  BOOST_TEST(limit("", "sys/mounts") == "");
  BOOST_TEST(quota("g", "", R"("rate":400)") == 204);
  BOOST_TEST(limit("", "sys/mounts") == "400");
  BOOST_TEST(limit("b", "secret/x") == "200");
  BOOST_TEST(put("b", "sys/namespaces/d", "{}").status == 200);
  BOOST_TEST(limit("b/d", "sys/mounts") == "400");  // what b has is not inherited
}

BOOST_AUTO_TEST_CASE(quotas_of_leases_count_their_namespace) {
  const auto make = [this](std::string_view ns) {
    return put(ns, "auth/token/create", R"({"ttl":"1h","policies":["default"]})").status;
  };
  BOOST_TEST(make("a") == 200);
  BOOST_TEST(make("a/c") == 200);
  BOOST_TEST(make("b") == 200);
  BOOST_TEST(put("", "sys/quotas/lease-count/a", R"({"path":"a","max_leases":3,"inheritable":true})").status == 204);
  BOOST_TEST(count_leases_of_a_quota(services));
  BOOST_TEST(get("", "sys/quotas/lease-count/a").text("data|counter") == "2");
  BOOST_TEST(make("b") == 200);
  BOOST_TEST(make("a/c") == 200);
  BOOST_TEST(get("", "sys/quotas/lease-count/a").text("data|counter") == "3");
  BOOST_TEST(make("a") == 429);
  BOOST_TEST(make("a/c") == 429);
  BOOST_TEST(make("") == 200);
  BOOST_TEST(make("b") == 200);
}

BOOST_AUTO_TEST_CASE(a_mount_moves_into_another_namespace) {
  for (int i = 0; i < 300; ++i)
    BOOST_TEST_REQUIRE(put("a", "secret/k" + std::to_string(i), "{\"v\":" + std::to_string(i) + "}").status == 204);
  const std::string large = "{\"v\":\"" + std::string(1'000'000, 'x') + "\"}";
  for (int i = 0; i < 6; ++i)
    BOOST_TEST(put("a", "secret/large" + std::to_string(i), large).status == 204);
  BOOST_TEST(put("b", "sys/remount", R"({"from":"secret","to":"../a/stolen"})").status == 400);
  BOOST_TEST(put("", "sys/remount", R"({"from":"a/secret","to":"b/secret"})").status == 400);  // taken
  BOOST_TEST(put("", "sys/remount", R"({"from":"a/sys","to":"b/x"})").status == 400);
  BOOST_TEST(put("", "sys/remount", R"({"from":"a/secret","to":"a/c"})").status == 400);
  const std::string id = put("", "sys/remount", R"({"from":"a/secret","to":"b/moved"})").text("data|migration_id");
  const std::string status = "sys/remount/status/" + id;
  BOOST_TEST(get("", status).text("data|migration_info|status") == "in-progress");
  BOOST_TEST(get("a", "secret/k1").status == 404);
  BOOST_TEST(get("b", "moved/k1").status == 404);
  // Neither place is anybody else's meanwhile.
  BOOST_TEST(put("a", "sys/mounts/secret", R"({"type":"kv"})").status == 400);
  BOOST_TEST(put("b", "sys/mounts/moved", R"({"type":"kv"})").status == 400);
  for (int crashes = 1; crashes < 5; ++crashes) {  // whoever leads next begins anew
    JobRunner half(services);
    for (int steps = 0; steps < crashes; ++steps)
      half.tick();
  }
  BOOST_TEST(get("", status).text("data|migration_info|status") == "in-progress");
  run_jobs();
  BOOST_TEST(get("", status).text("data|migration_info|status") == "success");
  BOOST_TEST(get("a", "secret/k1").status == 404);
  for (int i = 0; i < 300; ++i)
    BOOST_TEST(get("b", "moved/k" + std::to_string(i)).text("data|v") == std::to_string(i));
  for (int i = 0; i < 6; ++i)
    BOOST_TEST(get("b", "moved/large" + std::to_string(i)).text("data|v").size() == 1'000'000u);
  // Nothing is left where it was, and the way back is open.
  const std::uint32_t mount = 17;  // secret/ of the root is 16
  BOOST_TEST(kept_in(NamespaceId(1), MountId(mount)) == 0);
  BOOST_TEST(kept_in(NamespaceId(2), MountId(mount)) >= 301);
  BOOST_TEST(put("", "sys/remount", R"({"from":"b/moved","to":"a/c/back"})").status == 200);
  run_jobs();
  BOOST_TEST(get("a/c", "back/k7").text("data|v") == "7");
  BOOST_TEST(get("b", "moved/k7").status == 404);
  BOOST_TEST(in("a/c", Operation::kDelete, "sys/mounts/back").status == 204);
  run_jobs();
  BOOST_TEST(kept_in(NamespaceId(3), MountId(mount)) == 0);
}

BOOST_AUTO_TEST_CASE(a_move_into_a_namespace_that_goes_is_given_up) {
  BOOST_TEST(put("a", "secret/x", "{\"v\":1}").status == 204);
  const std::string id = put("", "sys/remount", R"({"from":"a/secret","to":"b/moved"})").text("data|migration_id");
  BOOST_TEST(in("", Operation::kDelete, "sys/namespaces/b").status == 200);
  run_jobs();
  BOOST_TEST(get("", "sys/remount/status/" + id).text("data|migration_info|status") == "failure");
  BOOST_TEST(get("a", "secret/x").text("data|v") == "1");
  BOOST_TEST(get("", "sys/namespaces/b").status == 404);
}

BOOST_AUTO_TEST_CASE(an_auth_method_moves_without_its_tokens) {
  BOOST_TEST_REQUIRE(put("a", "sys/auth/userpass", R"({"type":"userpass"})").status == 204);
  BOOST_TEST_REQUIRE(put("a", "auth/userpass/users/u", R"({"password":"p"})").status == 204);
  const std::string old = put("a", "auth/userpass/login/u", R"({"password":"p"})", "").text("auth|client_token");
  BOOST_TEST(put("", "sys/remount", R"({"from":"a/auth/userpass","to":"b/people"})").status == 400);
  BOOST_TEST(put("", "sys/remount", R"({"from":"auth/none","to":"b/auth/people"})").status == 400);
  BOOST_TEST(get("a", "auth/token/lookup-self", old).status == 200);
  BOOST_TEST(put("a", "sys/remount", R"({"from":"auth/userpass","to":"c/auth/people"})").status == 200);
  run_jobs();
  BOOST_TEST(get("a", "auth/token/lookup-self", old).status == 403);
  BOOST_TEST(put("a", "auth/userpass/login/u", R"({"password":"p"})", "").status != 200);
  BOOST_TEST(put("a/c", "auth/people/login/u", R"({"password":"p"})", "").status == 200);
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
    BOOST_TEST(get("a", path).status == 400);
  BOOST_TEST(put("a", "sys/rotate", "{}").status == 400);
  BOOST_TEST(put("a", "sys/audit/file", R"({"type":"file"})").status == 400);
  BOOST_TEST(get("a", "sys/nothing").status == 404);
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
  BOOST_TEST(in("", Operation::kDelete, "sys/namespaces/b").status == 200);
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

// What ends in one namespace ends there and nowhere else.
BOOST_AUTO_TEST_CASE(g2_tokens_end_with_the_mount_of_their_own_namespace) {
  const auto log_in = [&](std::string_view ns) {
    BOOST_TEST_REQUIRE(put(ns, "sys/auth/userpass", R"({"type":"userpass"})").status == 204);
    BOOST_TEST_REQUIRE(put(ns, "auth/userpass/users/bob", R"({"password":"one"})").status == 204);
    return put(ns, "auth/userpass/login/bob", R"({"password":"one"})", "").text("auth|client_token");
  };
  const std::string of_a = log_in("a");
  const std::string of_b = log_in("b");
  const std::string of_root = log_in("");
  const auto alive = [&](std::string_view ns, const std::string& token) {
    return get(ns, "auth/token/lookup-self", token).status == 200;
  };
  BOOST_TEST_REQUIRE((alive("a", of_a) && alive("b", of_b) && alive("", of_root)));
  BOOST_TEST(in("a", Operation::kDelete, "sys/auth/userpass").status == 204);
  run_jobs();
  BOOST_TEST(!alive("a", of_a));
  BOOST_TEST((alive("b", of_b) && alive("", of_root)));
  BOOST_TEST(in("b", Operation::kWrite, "sys/leases/revoke-prefix/auth/userpass").status < 300);
  BOOST_TEST(!alive("b", of_b));
  BOOST_TEST(alive("", of_root));
  BOOST_TEST(in("", Operation::kDelete, "sys/auth/userpass").status == 204);
  run_jobs();
  BOOST_TEST(!alive("", of_root));
}

BOOST_AUTO_TEST_CASE(f2_the_lease_of_a_token_is_known_in_its_own_namespace_alone) {
  const std::string victim = put("", "auth/token/create", R"({"ttl":"1h"})").text("auth|client_token");
  const std::string key = in("", Operation::kList, "sys/leases/lookup/auth/token/create/").text("data|keys|0");
  const std::string body = R"({"lease_id":"auth/token/create/)" + key + "\"}";
  BOOST_TEST(put("", "sys/leases/lookup", body).status == 200);
  const auto kept = [&] {
    const bool shown = put("a", "sys/leases/lookup", body).status == 200;
    put("a", "sys/leases/revoke", body);
    return !shown && get("", "auth/token/lookup-self", victim).status == 200;
  };
  BOOST_TEST(kept());
  ScopedMutant on(Mutant::kTokenLeaseOfOtherNamespace);
  BOOST_TEST(!kept());
}

BOOST_AUTO_TEST_CASE(f4_an_explanation_tells_nothing_of_tokens_elsewhere) {
  const Answer made = put("b", "auth/token/create", "{}");
  const std::string body = R"({"path":"secret/x","accessor":")" + made.text("auth|accessor") + "\"}";
  BOOST_TEST(put("b", "sys/policies/explain", body).status == 200);
  const auto told = [&] {
    return put("a", "sys/policies/explain", body).body.find("b/") != std::string::npos;
  };
  BOOST_TEST(!told());
  // A token of above is asked about as it is seen from here.
  const std::string above = reader("a");
  const Answer seen = in("a/c", Operation::kWrite, "sys/policies/explain", R"({"path":"secret/x"})");
  BOOST_TEST(seen.status == 200);
  const std::string of_above = R"({"path":"c/secret/x","token":")" + above + "\"}";
  BOOST_TEST(put("a", "sys/policies/explain", of_above).text("data|allowed") == "false");
  ScopedMutant on(Mutant::kAccessorOfOtherNamespace);
  BOOST_TEST(told());
}

BOOST_AUTO_TEST_CASE(a_child_of_somebody_from_above_works_as_long_as_that_identity) {
  BOOST_TEST_REQUIRE(put("", "sys/auth/userpass", R"({"type":"userpass"})").status == 204);
  BOOST_TEST_REQUIRE(
      put("", "sys/policies/acl/maker",
          R"({"policy":"path \"a/auth/token/*\" { capabilities = [\"create\",\"update\",\"sudo\"] }"})")
          .status == 204);
  BOOST_TEST_REQUIRE(
      put("", "auth/userpass/users/eve", R"({"password":"one","token_policies":"maker"})").status == 204);
  const Answer login = put("", "auth/userpass/login/eve", R"({"password":"one"})", "");
  const Answer child = put("a", "auth/token/create", R"({"policies":["default"]})", login.text("auth|client_token"));
  BOOST_TEST_REQUIRE(child.status == 200);
  const std::string token = child.text("auth|client_token");
  BOOST_TEST(get("a", "auth/token/lookup-self", token).status == 200);
  BOOST_TEST(put("", "identity/entity/id/" + login.text("auth|entity_id"), R"({"disabled":true})").status < 300);
  BOOST_TEST(get("a", "auth/token/lookup-self", token).status == 403);
}

BOOST_AUTO_TEST_CASE(a_mount_moves_neither_over_a_namespace_nor_below_one) {
  BOOST_TEST(put("", "sys/remount", R"({"from":"secret","to":"a"})").status == 400);
  BOOST_TEST(put("", "sys/remount", R"({"from":"secret","to":"b/secret"})").status == 400);
  BOOST_TEST(put("", "sys/remount", R"({"from":"secret","to":"moved"})").status == 200);
}

BOOST_AUTO_TEST_CASE(accessors_of_a_namespace_are_those_of_its_tokens) {
  const std::string mine = put("a", "auth/token/create", "{}").text("auth|accessor");
  put("", "auth/token/create", "{}");
  const Answer listed = in("a", Operation::kList, "auth/token/accessors");
  BOOST_TEST(listed.text("data|keys") == "[\"" + mine + "\"]");
  BOOST_TEST(put("a", "auth/token/revoke-accessor", R"({"accessor":")" + mine + "\"}").status == 204);
  BOOST_TEST(in("a", Operation::kList, "auth/token/accessors").text("data|keys") != listed.text("data|keys"));
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
