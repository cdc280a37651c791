// sys/policies/explain and a refusal that explains itself.
#include <boost/test/unit_test.hpp>

#include "tests/core/identity_fixture.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::IdentityFixture;

namespace {

constexpr std::string_view kTeam =
    R"({"policy":"# what the team does\npath \"secret/*\" {\n  capabilities = [\"read\", )"
    R"(\"list\"]\n}\npath \"secret/data/shut\" { capabilities = [\"deny\"] }\n"})";

struct Explained : IdentityFixture {
  Explained() { BOOST_TEST_REQUIRE(write("sys/policies/acl/team", kTeam).status == 204); }
  std::string ask(std::string_view path, std::string_view operation, std::string_view whose) {
    const std::string body = R"({"path":")" + std::string(path) + R"(","operation":")" + std::string(operation) + "\"" +
                             std::string(whose) + "}";
    const Answer answer = write("sys/policies/explain", body);
    if (answer.status != 200)
      return answer.text("errors|0");
    return answer.text("data|allowed") + ": " + answer.text("data|explanation");
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(policy_explain)

BOOST_FIXTURE_TEST_CASE(tells_the_deciding_rule, Explained) {
  const std::string_view whose = R"(,"policies":["team"])";
  BOOST_TEST(ask("secret/data/k", "read", whose) ==
             "true: policy \"team\", line 2: path \"secret/*\" grants list, read");
  BOOST_TEST(ask("secret/data/k", "update", whose) ==
             "false: policy \"team\", line 2: path \"secret/*\" grants list, read, not update");
  BOOST_TEST(ask("secret/data/shut", "read", whose) ==
             "false: policy \"team\", line 5: path \"secret/data/shut\" denies");
  BOOST_TEST(ask("other/k", "read", whose) == "false: no rule of the policies team matches");
  BOOST_TEST(ask("other/k", "read", "") == "true: the root policy allows everything");
  BOOST_TEST(ask("a//b", "read", whose) == "field \"path\" must be a path as requests name it, without /v1/");
  BOOST_TEST(ask("a", "eat", whose) == "field \"operation\" must be a capability such as read, create, update or list");
  BOOST_TEST(ask("a", "read", R"(,"token":"nobody")") == "invalid token");
  BOOST_TEST(ask("a", "read", R"(,"token":"nobody","policies":"team")") ==
             "only one of \"policies\", \"token\" and \"accessor\" may be given");
}

BOOST_FIXTURE_TEST_CASE(knows_protected_paths_and_templates, Explained) {
  allow("wide", "sys/*", "create,read,update,delete,list");
  BOOST_TEST(ask("sys/audit", "read", R"(,"policies":["wide"])") ==
             "false: policy \"wide\", line 1: path \"sys/*\" grants create, delete, list, read, update; the path needs "
             "sudo as well");
  allow("own", "secret/data/{{identity.entity.name}}", "read");
  allow("ban", "secret/data/{{identity.entity.metadata.team}}", "deny");
  const std::string token = log_in("ann");
  const std::string entity = entity_of(token);
  const std::string name = read("identity/entity/id/" + entity).text("data|name");
  give(entity, "own");
  const std::string whose = R"(,"token":")" + token + "\"";
  BOOST_TEST(ask("secret/data/" + name, "read", whose) ==
             "true: policy \"own\", line 1: path \"secret/data/" + name + "\" grants read");
  give(entity, "own,ban");
  BOOST_TEST(ask("secret/data/" + name, "read", whose) ==
             "false: policy \"ban\", line 1: a template of a denied path has no value for this token, so everything is "
             "denied");
}

BOOST_FIXTURE_TEST_CASE(a_refusal_explains_itself_to_whom_may_ask, Explained) {
  const std::string plain = token(R"(["team"])");
  const Answer bare = write("secret/data/k", R"({"data":{}})", plain);
  BOOST_TEST(bare.status == 403);
  BOOST_TEST(bare.at("errors").elements().size() == 1u);
  allow("curious", "sys/policies/explain", "update");
  const Answer told = write("secret/data/k", R"({"data":{}})", token(R"(["team","curious"])"));
  BOOST_TEST(told.status == 403);
  BOOST_TEST(told.text("errors|0") == bare.text("errors|0"));
  BOOST_TEST(told.text("errors|1") ==
             "policy \"team\", line 2: path \"secret/*\" grants list, read, not create or update");
}

BOOST_FIXTURE_TEST_CASE(shows_what_the_caller_may_do, Explained) {
  BOOST_TEST(read("sys/internal/ui/resultant-acl").text("data") == R"({"root":true})");
  const Answer mine = read("sys/internal/ui/resultant-acl", token(R"(["team","default"])"));
  BOOST_TEST(mine.text("data|root") == "false");
  BOOST_TEST(mine.text("data|glob_paths|secret/|capabilities") == R"(["list","read"])");
  BOOST_TEST(mine.text("data|exact_paths|secret/data/shut|capabilities") == R"(["deny"])");
  log_in("ann");
  log_in("bob");
  BOOST_TEST(read("sys/internal/counters/entities").text("data|counters|entities|total") == "2");
}

BOOST_AUTO_TEST_SUITE_END()
