// Token roles, and what a child has of its parent.
#include <boost/test/unit_test.hpp>

#include "base/encoding.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using namespace std::chrono_literals;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;
using coffer::testing::ScopedMutant;

namespace {

class Roles : public CoreFixture {
 public:
  Answer role(std::string_view name, std::string_view body) {
    return write("auth/token/roles/" + std::string(name), body);
  }
  Answer make(std::string_view name, std::string_view body = "{}", std::string_view token = "root") {
    return write("auth/token/create/" + std::string(name), body, token);
  }
  std::string maker() {
    write("sys/policies/acl/maker",
          R"({"policy":"path \"auth/token/create/*\" { capabilities = [\"create\", \"update\"] }\n)"
          R"(path \"auth/token/create\" { capabilities = [\"create\", \"update\"] }"})");
    return token(R"(["maker"])");
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(token_roles)

BOOST_FIXTURE_TEST_CASE(are_made_shown_and_removed, Roles) {
  BOOST_TEST(list("auth/token/roles").status == 404);
  BOOST_TEST(role("app", R"({"allowed_policies":"a,B","orphan":true,"period":"1h","path_suffix":"suf",)"
                         R"("renewable":false,"explicit_max_ttl":"2h","bound_cidrs":"127.0.0.0/8",)"
                         R"("allowed_entity_aliases":"web-*,DB"})")
                 .status == 204);
  BOOST_TEST(read("auth/token/roles/app").text("data") ==
             R"({"allowed_entity_aliases":["db","web-*"],"allowed_policies":["a","b"],"allowed_policies_glob":[],)"
             R"("bound_cidrs":["127.0.0.0/8"],"disallowed_policies":[],"disallowed_policies_glob":[],)"
             R"("explicit_max_ttl":7200,"name":"app","orphan":true,"path_suffix":"suf","period":3600,)"
             R"("renewable":false,"token_bound_cidrs":["127.0.0.0/8"],"token_explicit_max_ttl":7200,)"
             R"("token_no_default_policy":false,"token_period":3600,"token_type":"default-service"})");
  BOOST_TEST(list("auth/token/roles").text("data|keys") == R"(["app"])");
  BOOST_TEST(erase("auth/token/roles/app").status == 204);
  BOOST_TEST(read("auth/token/roles/app").status == 404);
  BOOST_TEST(make("app").text("errors|0") == "unknown role app");
}

BOOST_FIXTURE_TEST_CASE(are_checked, Roles) {
  for (const std::string_view body :
       {R"({"path_suffix":"a/../b"})", R"({"path_suffix":"a b"})", R"({"path_suffix":"a..b"})", R"({"token_type":"x"})",
        R"({"token_type":"batch"})", R"({"token_type":"batch","orphan":true})", R"({"token_num_uses":-1})",
        R"({"token_period":"-1s"})", R"({"allowed_policies":"ROOT"})", R"({"token_bound_cidrs":"x"})",
        R"({"orphan":"perhaps"})", R"({"allowed_entity_aliases":{}})", R"({"disallowed_policies":"a//b"})"})
    BOOST_TEST(role("bad", body).status == 400, body);
  BOOST_TEST(list("auth/token/roles").status == 404);
}

BOOST_FIXTURE_TEST_CASE(decide_what_a_token_is, Roles) {
  role("app", R"({"allowed_policies":"a,b","orphan":true,"token_period":"1h","path_suffix":"suf","renewable":false})");
  const Answer made = make("app", R"({"renewable":true,"ttl":"3h"})");
  BOOST_TEST(made.text("auth|policies") == R"(["a","b","default"])");
  BOOST_TEST(made.text("auth|lease_duration") == "3600");
  BOOST_TEST(made.text("auth|renewable") == "false");
  BOOST_TEST(made.text("auth|orphan") == "true");
  const Answer self = read("auth/token/lookup-self", made.text("auth|client_token"));
  BOOST_TEST(self.text("data|path") == "auth/token/create/app/suf");
  BOOST_TEST(self.text("data|role") == "app");
  role("few", R"({"token_num_uses":5,"token_no_default_policy":true,"token_explicit_max_ttl":"30m"})");
  const Answer few = make("few", R"({"policies":["x"],"num_uses":9,"explicit_max_ttl":"40m"})");
  BOOST_TEST(few.text("auth|num_uses") == "5");
  BOOST_TEST(few.text("auth|policies") == R"(["x"])");
  BOOST_TEST(few.text("auth|lease_duration") == "1800");
  BOOST_TEST(few.text("warnings|0") == "Explicit max TTL specified both during creation call and in role; using the "
                                       "lesser value of 1800 seconds");
  role("sealed", R"({"token_type":"default-batch"})");
  BOOST_TEST(make("sealed", R"({"policies":["x"]})").text("auth|client_token").starts_with("hvb."));
  BOOST_TEST(make("sealed", R"({"policies":["x"],"type":"service"})").text("auth|client_token").starts_with("hvs."));
}

BOOST_FIXTURE_TEST_CASE(decide_about_policies, Roles) {
  role("a", R"({"allowed_policies":"a,b"})");
  BOOST_TEST(make("a", R"({"policies":["c"]})").text("errors|0") ==
             R"(token policies must be subset of the role's allowed policies (["a" "b" "default"]) or )"
             R"(glob policies ([]))");
  role("g", R"({"allowed_policies_glob":"team-*","disallowed_policies":"team-x",)"
            R"("disallowed_policies_glob":"*-secret"})");
  BOOST_TEST(make("g", R"({"policies":["team-a"]})").status == 200);
  BOOST_TEST(make("g", R"({"policies":["other"]})").status == 400);
  BOOST_TEST(make("g", R"({"policies":["team-x"]})").text("errors|0") ==
             "field \"policies\" names a policy that is disallowed by this role");
  BOOST_TEST(make("g", R"({"policies":["team-a-secret"]})").status == 400);
  role("h", R"({"disallowed_policies":"default,root"})");
  BOOST_TEST(make("h", R"({"policies":["x"]})").text("auth|policies") == R"(["x"])");
  BOOST_TEST(make("h").status == 400);
  // A role gives what its caller lacks only when it says so; and never root.
  const std::string caller = maker();
  role("none", "{}");
  role("all", R"({"allowed_policies_glob":"*"})");
  BOOST_TEST(make("none", R"({"policies":["a"]})", caller).status == 400);
  BOOST_TEST(make("a", R"({"policies":["a"]})", caller).status == 200);
  BOOST_TEST(make("all", R"({"policies":["root"]})", caller).status == 400);
  BOOST_TEST(make("none", R"({"entity_alias":"x"})").text("errors|0") == "invalid 'entity_alias' value");
  role("known", R"({"allowed_entity_aliases":"web-*"})");
  const Answer known = make("known", R"({"entity_alias":"Web-1","policies":["x"]})");
  const std::string entity = read("auth/token/lookup-self", known.text("auth|client_token")).text("data|entity_id");
  BOOST_TEST(!entity.empty());
  BOOST_TEST(read("identity/entity/id/" + entity).text("data|aliases|0|name") == "web-1");
  BOOST_TEST(write("auth/token/create", R"({"entity_alias":"x"})").text("errors|0") ==
             "'entity_alias' is only allowed in combination with token role");
}

BOOST_FIXTURE_TEST_CASE(are_asked_at_a_renewal, Roles) {
  role("p", R"({"token_period":"1h"})");
  const std::string text = make("p", R"({"policies":["default"]})").text("auth|client_token");
  role("p", R"({"token_period":"2h"})");
  BOOST_TEST(write("auth/token/renew-self", "{}", text).text("auth|lease_duration") == "7200");
  erase("auth/token/roles/p");
  BOOST_TEST(write("auth/token/renew-self", "{}", text).text("errors|0") ==
             "original token role \"p\" could not be found, not renewing");
}

// Advisory A19: requests come from 127.0.0.1 here.
BOOST_FIXTURE_TEST_CASE(leave_a_child_where_its_parent_is, Roles) {
  maker();
  role("near", R"({"token_bound_cidrs":"127.0.0.0/8","allowed_policies":"maker"})");
  role("nearer", R"({"token_bound_cidrs":"127.0.0.0/16,10.0.0.0/8","allowed_policies":"maker"})");
  role("far", R"({"token_bound_cidrs":"10.0.0.0/8","allowed_policies":"maker"})");
  const std::string parent = make("near").text("auth|client_token");
  const auto networks = [this, &parent](std::string_view path) {
    const Answer made = write(path, "{}", parent);
    return made.status == 200 ? read("auth/token/lookup-self", made.text("auth|client_token")).text("data|bound_cidrs")
                              : std::to_string(made.status);
  };
  BOOST_TEST(networks("auth/token/create") == R"(["127.0.0.0/8"])");
  BOOST_TEST(networks("auth/token/create/nearer") == R"(["127.0.0.0/16"])");
  BOOST_TEST(networks("auth/token/create/far") == "400");
  const ScopedMutant mutant(Mutant::kChildCidrsLost);
  BOOST_TEST(networks("auth/token/create") != R"(["127.0.0.0/8"])");
}

BOOST_FIXTURE_TEST_CASE(of_batch_have_limits, Roles) {
  const std::string batch =
      write("auth/token/create", R"({"type":"batch","policies":["default","maker"]})").text("auth|client_token");
  maker();
  BOOST_TEST(batch.starts_with("hvb."));
  BOOST_TEST(read("auth/token/lookup-self", batch).text("data|accessor").empty());
  BOOST_TEST(write("auth/token/create", "{}", batch).text("errors|0") == "batch tokens cannot create more tokens");
  BOOST_TEST(write("auth/token/renew-self", "{}", batch).text("errors|0") == "batch tokens cannot be renewed");
  BOOST_TEST(write("auth/token/revoke-self", "{}", batch).text("errors|0") == "batch tokens cannot be revoked");
  BOOST_TEST(write("sys/capabilities", "{\"token\":\"" + batch + R"(","paths":["auth/token/create"]})")
                 .text("data|capabilities") == R"(["create","update"])");
  for (const std::string_view body :
       {R"({"type":"batch"})", R"({"type":"batch","policies":["x"],"num_uses":3})",
        R"({"type":"batch","policies":["x"],"period":"1h"})", R"({"type":"batch","policies":["x"],"id":"mine"})"})
    BOOST_TEST(write("auth/token/create", body).status == 400, body);
  // One of a key that there never was is nothing that may come to be (its first nine bytes: format, keyring, term).
  std::string raw = *base64url_decode(std::string_view(batch).substr(4));
  raw[8] = static_cast<char>(raw[8] + 1);
  BOOST_TEST(read("auth/token/lookup-self", "hvb." + base64url_encode(raw)).status == 403);
  // It ends with the token that made it.
  const std::string parent = token(R"(["maker"])");
  const std::string child = write("auth/token/create", R"({"type":"batch"})", parent).text("auth|client_token");
  BOOST_TEST(read("auth/token/lookup-self", child).status != 403);
  write("auth/token/revoke", "{\"token\":\"" + parent + "\"}");
  BOOST_TEST(read("auth/token/lookup-self", child).status == 403);
}

BOOST_FIXTURE_TEST_CASE(tidying_answers_as_clients_expect, Roles) {
  const Answer tidied = write("auth/token/tidy");
  BOOST_TEST(tidied.status == 202);
  BOOST_TEST(!tidied.text("warnings|0").empty());
}

BOOST_AUTO_TEST_SUITE_END()
