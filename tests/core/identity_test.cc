// identity/: what is stored, what a login makes of it, and what it means for the very next request.
#include <boost/test/unit_test.hpp>

#include "core/jobs.h"
#include "tests/core/identity_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::IdentityFixture;
using coffer::testing::ScopedMutant;

namespace {

std::string error(const Answer& answer) { return std::to_string(answer.status) + " " + answer.text("errors|0"); }

struct WithPolicy : IdentityFixture {
  WithPolicy() {
    allow("reader", "secret/*", "read");
    BOOST_TEST_REQUIRE(write("secret/data/k", R"({"data":{"a":"b"}})").status == 200);
  }
  int reads(std::string_view token) { return read("secret/data/k", token).status; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(identity)

BOOST_FIXTURE_TEST_CASE(a_login_makes_an_entity_once, IdentityFixture) {
  const std::string entity = entity_of(log_in("ann", "one", R"({"colour":"red"})"));
  BOOST_TEST(entity.size() == 36u);
  const Answer told = read("identity/entity/id/" + entity);
  BOOST_TEST(told.text("data|name").starts_with("entity_"));
  BOOST_TEST(told.text("data|aliases|0|name") == "ann");
  BOOST_TEST(told.text("data|aliases|0|mount_path") == "auth/one/");
  BOOST_TEST(told.text("data|aliases|0|metadata|colour") == "red");
  BOOST_TEST(told.text("data|aliases|0|canonical_id") == entity);
  advance(std::chrono::hours(1));
  // Whoever is known is read and not written; another spelling of the name is the same.
  BOOST_TEST(entity_of(log_in("ANN", "one", R"({"colour":"red"})")) == entity);
  BOOST_TEST(read("identity/entity/id/" + entity).body == told.body);
  BOOST_TEST(entity_of(log_in("ann", "one", R"({"colour":"blue"})")) == entity);
  BOOST_TEST(read("identity/entity/id/" + entity).text("data|aliases|0|metadata|colour") == "blue");
  BOOST_TEST(entity_of(log_in("ann", "two")) != entity);
  BOOST_TEST(list("identity/entity/id").at("data|keys").elements().size() == 2u);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(policies_of_entity_and_groups_count_at_once, WithPolicy) {
  const std::string token = log_in("ann");
  const std::string entity = entity_of(token);
  BOOST_TEST(reads(token) == 403);
  BOOST_TEST(write("identity/entity/id/" + entity, R"({"policies":"reader"})").status == 204);
  BOOST_TEST(reads(token) == 200);
  BOOST_TEST(write("identity/entity/id/" + entity, R"({"policies":[]})").status == 204);
  BOOST_TEST(reads(token) == 403);
  // Two groups up.
  const std::string inner = made("identity/group", R"({"name":"inner","member_entity_ids":")" + entity + R"("})");
  const std::string outer =
      made("identity/group", R"({"name":"outer","policies":"reader","member_group_ids":")" + inner + R"("})");
  BOOST_TEST(reads(token) == 200);
  const Answer self = read("auth/token/lookup-self", token);
  BOOST_TEST(self.text("data|identity_policies") == R"(["reader"])");
  BOOST_TEST(self.text("data|policies") == R"(["default"])");
  const Answer login = write("auth/one/login/ann", "{}", "");
  BOOST_TEST(login.text("auth|identity_policies") == R"(["reader"])");
  BOOST_TEST(login.text("auth|token_policies") == R"(["default"])");
  BOOST_TEST(login.text("auth|policies") == R"(["default","reader"])");
  const Answer told = read("identity/entity/id/" + entity);
  BOOST_TEST(told.text("data|direct_group_ids") == R"([")" + inner + R"("])");
  BOOST_TEST(told.text("data|inherited_group_ids") == R"([")" + outer + R"("])");
  BOOST_TEST(erase("identity/group/id/" + inner).status == 204);
  BOOST_TEST(reads(token) == 403);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(a_disabled_or_deleted_entity_opens_nothing, WithPolicy) {
  const std::string token = log_in("ann");
  const std::string entity = entity_of(token);
  BOOST_TEST(write("identity/entity/id/" + entity, R"({"policies":"reader","disabled":true})").status == 204);
  BOOST_TEST(reads(token) == 403);
  BOOST_TEST(error(read("auth/token/lookup-self", token)) == "403 permission denied");
  BOOST_TEST(log_in("ann") == "403");
  BOOST_TEST(write("identity/entity/id/" + entity, R"({"disabled":false})").status == 204);
  BOOST_TEST(reads(token) == 200);
  BOOST_TEST(erase("identity/entity/id/" + entity).status == 204);
  BOOST_TEST(reads(token) == 403);
  BOOST_TEST(entity_of(log_in("ann")) != entity);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(a_child_token_is_of_the_same_entity_and_an_orphan_of_none, WithPolicy) {
  allow("maker", "auth/token/*", "update,sudo");
  const std::string parent = log_in("ann");
  const std::string entity = entity_of(parent);
  BOOST_TEST(write("identity/entity/id/" + entity, R"({"policies":"maker,reader"})").status == 204);
  const Answer child = write("auth/token/create", R"({"policies":["default"]})", parent);
  BOOST_TEST(child.text("auth|entity_id") == entity);
  BOOST_TEST(child.text("auth|identity_policies") == R"(["maker","reader"])");
  BOOST_TEST(reads(child.text("auth|client_token")) == 200);
  const Answer orphan = write("auth/token/create-orphan", R"({"policies":["default"]})", parent);
  BOOST_TEST(orphan.text("auth|entity_id") == "");
  BOOST_TEST(reads(orphan.text("auth|client_token")) == 403);
}

// Advisory D4's other half: what one entity's templates compiled to never serves another.
BOOST_FIXTURE_TEST_CASE(templates_take_the_values_of_the_caller, IdentityFixture) {
  allow("own", "secret/data/{{identity.entity.metadata.team}}/*", "read,create,update");
  allow("alias", "secret/data/a/{{identity.entity.aliases." + accessor("one") + ".metadata.colour}}", "create,update");
  allow("group", "secret/data/g/{{identity.groups.names.crew.id}}", "create,update");
  const std::string ann = log_in("ann", "one", R"({"colour":"red"})");
  const std::string bob = log_in("bob", "one", R"({"colour":"blue"})");
  const auto enter = [&](std::string_view token, std::string_view team) {
    give(entity_of(token), "own,alias,group");
    const std::string body = R"({"metadata":{"team":")" + std::string(team) + R"("}})";
    BOOST_TEST(write("identity/entity/id/" + entity_of(token), body).status == 204);
  };
  enter(ann, "alpha");
  enter(bob, "beta");
  constexpr std::string_view kBody = R"({"data":{"a":"b"}})";
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(write("secret/data/alpha/k", kBody, ann).status == 200);
    BOOST_TEST(write("secret/data/beta/k", kBody, ann).status == 403);
    BOOST_TEST(write("secret/data/beta/k", kBody, bob).status == 200);
    BOOST_TEST(write("secret/data/alpha/k", kBody, bob).status == 403);
    BOOST_TEST(write("secret/data/a/red", kBody, ann).status == 200);
    BOOST_TEST(write("secret/data/a/blue", kBody, ann).status == 403);
    BOOST_TEST(write("secret/data/a/blue", kBody, bob).status == 200);
  }
  // The very next request has the new value; what is not one segment opens nothing.
  enter(ann, "beta");
  BOOST_TEST(write("secret/data/beta/k", kBody, ann).status == 200);
  BOOST_TEST(write("secret/data/alpha/k", kBody, ann).status == 403);
  for (const std::string_view wide : {"*", "+", "a/b", "..", ""}) {
    enter(ann, wide);
    BOOST_TEST(write("secret/data/beta/k", kBody, ann).status == 403, wide);
  }
  const std::string crew = made("identity/group", R"({"name":"crew","member_entity_ids":")" + entity_of(bob) + R"("})");
  BOOST_TEST(write("secret/data/g/" + crew, kBody, bob).status == 200);
  BOOST_TEST(write("secret/data/g/" + crew, kBody, ann).status == 403);
}

BOOST_FIXTURE_TEST_CASE(external_groups_follow_each_login, WithPolicy) {
  const std::string group = made("identity/group", R"({"name":"ext","type":"external","policies":"reader"})");
  BOOST_TEST(made("identity/group-alias", R"({"name":"Staff","mount_accessor":")" + accessor("one") +
                                               R"(","canonical_id":")" + group + R"("})").size() == 36u);
  const std::string token = log_in("ann", "one", R"({"groups":["staff","unknown"]})");
  BOOST_TEST(reads(token) == 200);
  // The other mount's group of that name is another.
  BOOST_TEST(reads(log_in("bob", "two", R"({"groups":["staff"]})")) == 403);
  // Gone for the older token too, as soon as a login says so (advisory E5).
  BOOST_TEST(reads(log_in("ann")) == 403);
  BOOST_TEST(reads(token) == 403);
  BOOST_TEST(error(write("identity/group/id/" + group, R"({"member_entity_ids":[]})")) ==
             "400 member entities can't be set manually for external groups");
  BOOST_TEST(broken() == "");
  BOOST_TEST(reads(log_in("ann", "one", R"({"groups":["staff"]})")) == 200);
  const ScopedMutant mutant(Mutant::kGroupMembershipKept);
  BOOST_TEST(reads(log_in("ann")) == 200);
}

// Advisories E1, E2 and E3.
BOOST_FIXTURE_TEST_CASE(root_gets_in_by_no_spelling, IdentityFixture) {
  const std::string entity = made("identity/entity", R"({"name":"e"})");
  const auto all_refused = [&] {
    bool refused = true;
    for (const std::string_view spelling : {"root", "ROOT", "Root", " root", "root ", "\\troot", " rOOt\\t", "\\nroot"})
      for (const std::string path :
           {"identity/entity", "identity/entity/name/e", "identity/group", "identity/group/name/n"})
        for (const std::string_view form : {R"({"policies":["a","@"]})", R"({"policies":"a,@"})"}) {
          std::string body(form);
          body.replace(body.find('@'), 1, spelling);
          refused = refused && write(path, body).status == 400;
        }
    return refused;
  };
  BOOST_TEST(all_refused());
  const ScopedMutant mutant(Mutant::kEntityPoliciesRaw);
  BOOST_TEST(!all_refused());
}

// Advisory E4.
BOOST_FIXTURE_TEST_CASE(an_alias_does_not_take_what_another_entity_may_do, WithPolicy) {
  allow("clerk", "identity/entity-alias*", "create,update,read");
  const std::string chief = made("identity/entity", R"({"name":"chief","policies":"reader"})");
  const std::string ann = log_in("ann");
  const std::string clerk = token(R"(["clerk"])");
  const std::string body =
      R"({"name":"ann","mount_accessor":")" + accessor("one") + R"(","canonical_id":")" + chief + R"("})";
  BOOST_TEST(error(write("identity/entity-alias", body, clerk)) ==
             "403 moving an alias to another entity needs the sudo capability");
  BOOST_TEST(reads(log_in("ann")) == 403);
  {
    const ScopedMutant mutant(Mutant::kEntityAliasMerges);
    BOOST_TEST(write("identity/entity-alias", body, clerk).status == 200);
    BOOST_TEST(reads(log_in("ann")) == 200);
  }
  BOOST_TEST(broken() == "");
}

// Advisories D7 and D8.
BOOST_FIXTURE_TEST_CASE(an_alias_belongs_to_one_mount, IdentityFixture) {
  const std::string one = entity_of(log_in("ann", "one", R"({"colour":"red"})"));
  const std::string two = entity_of(log_in("ann", "two", R"({"colour":"blue"})"));
  BOOST_TEST(read("identity/entity/id/" + one).text("data|aliases|0|metadata|colour") == "red");
  BOOST_TEST(read("identity/entity/id/" + two).text("data|aliases|0|metadata|colour") == "blue");
  const std::string second =
      R"({"name":"other","mount_accessor":")" + accessor("one") + R"(","canonical_id":")" + one + R"("})";
  BOOST_TEST(error(write("identity/entity-alias", second)) ==
             "400 Alias already exists for requested entity and mount accessor");
  const std::string merge = R"({"from_entity_ids":[")" + two + R"("],"to_entity_id":")" + one + R"("})";
  BOOST_TEST(write("identity/entity/merge", merge).status == 204);
  BOOST_TEST(read("identity/entity/id/" + one).at("data|aliases").elements().size() == 2u);
  BOOST_TEST(entity_of(log_in("ann", "two")) == one);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(d7_d8_each_mount_has_its_own_alias, IdentityFixture) {
  const std::string entity = entity_of(log_in("ann", "one", R"({"colour":"red"})"));
  const std::string other = entity_of(log_in("ann", "two", R"({"colour":"blue"})"));
  BOOST_TEST(write("identity/entity/merge",
                   R"({"from_entity_ids":[")" + other + R"("],"to_entity_id":")" + entity + R"("})").status == 204);
  allow("second", "secret/data/{{identity.entity.aliases." + accessor("two") + ".metadata.colour}}", "create,update");
  give(entity, "second");
  const auto writes = [&](std::string_view colour) {
    const std::string token = log_in("ann", "one", R"({"colour":"red"})");
    return write("secret/data/" + std::string(colour), R"({"data":{"a":"b"}})", token).status;
  };
  BOOST_TEST(writes("blue") == 200);
  BOOST_TEST(writes("red") == 403);
  {
    const ScopedMutant first(Mutant::kAliasOfAnyMount);
    allow("second", "secret/data/{{identity.entity.aliases." + accessor("two") + ".metadata.colour}}", "create");
    BOOST_TEST(writes("red") == 200);
  }
  const ScopedMutant shared(Mutant::kAliasMetadataShared);
  writes("blue");
  BOOST_TEST(read("identity/entity/id/" + entity).text("data|aliases|0|metadata|colour") ==
             read("identity/entity/id/" + entity).text("data|aliases|1|metadata|colour"));
}

BOOST_FIXTURE_TEST_CASE(a_merged_entity_lives_on_in_the_other, WithPolicy) {
  const std::string from_token = log_in("ann");
  const std::string from = entity_of(from_token);
  const std::string into_token = log_in("bob");
  const std::string into = entity_of(into_token);
  const std::string alias = read("identity/entity/id/" + from).text("data|aliases|0|id");
  const std::string group = R"({"name":"g","policies":"reader","member_entity_ids":")" + from + R"("})";
  BOOST_TEST(made("identity/group", group).size() == 36u);
  const std::string body = R"({"from_entity_ids":[")" + from + R"("],"to_entity_id":")" + into + "\"";
  const Answer clash = write("identity/entity/merge", body + "}");
  BOOST_TEST(error(clash).starts_with("400 2 errors occurred:\n\t* toEntity and"));
  BOOST_REQUIRE(clash.at("data").size() == 2u);
  BOOST_TEST(clash.text("data|0|entity_id") == into);
  BOOST_TEST(clash.text("data|0|alias") == "bob");
  BOOST_TEST(clash.text("data|1|entity_id") == from);
  BOOST_TEST(clash.text("data|1|mount") == "believer");
  BOOST_TEST(clash.text("data|1|mount_path") == "auth/one/");
  const std::string choice = R"(,"conflicting_alias_ids_to_keep":[")" + alias + R"("]})";
  BOOST_TEST(write("identity/entity/merge", body + choice).status == 204);
  BOOST_TEST(reads(into_token) == 200);
  BOOST_TEST(reads(from_token) == 200);
  BOOST_TEST(entity_of(log_in("ann")) == into);
  BOOST_TEST(read("identity/entity/id/" + into).text("data|merged_entity_ids") == R"([")" + from + R"("])");
  BOOST_TEST(erase("identity/entity/id/" + into).status == 204);
  BOOST_TEST(reads(from_token) == 403);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(a_disabled_mount_takes_its_aliases_along, IdentityFixture) {
  std::string entity;
  for (int i = 0; i < 300; ++i)
    entity = entity_of(log_in("n" + std::to_string(i)));
  const std::string group = made("identity/group", R"({"name":"x","type":"external"})");
  BOOST_TEST(made("identity/group-alias", R"({"name":"s","mount_accessor":")" + accessor("one") +
                                               R"(","canonical_id":")" + group + R"("})").size() == 36u);
  BOOST_TEST(erase("sys/auth/one").status == 204);
  JobRunner jobs(services);
  while (jobs.tick()) {
  }
  BOOST_TEST(read("identity/entity/id/" + entity).at("data|aliases").elements().empty());
  BOOST_TEST(read("identity/group/id/" + group).at("data|alias").members().empty());
  BOOST_TEST(list("identity/entity-alias/id").status == 404);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(names_are_one_and_found_again, IdentityFixture) {
  const std::string id = made("identity/entity", R"({"name":"Team/Lead % 1","metadata":{"a":"b"}})");
  BOOST_TEST(read("identity/entity/name/team/lead % 1").text("data|id") == id);
  BOOST_TEST(write("identity/lookup/entity", R"({"name":"TEAM/LEAD % 1"})").text("data|id") == id);
  BOOST_TEST(list("identity/entity/name").text("data|keys") == R"(["Team/Lead % 1"])");
  BOOST_TEST(write("identity/entity", R"({"name":"team/lead % 1","metadata":{"c":"d"}})").status == 204);
  BOOST_TEST(read("identity/entity/id/" + id).text("data|metadata") == R"({"c":"d"})");
  const std::string other = made("identity/entity", R"({"name":"other"})");
  BOOST_TEST(error(write("identity/entity/id/" + other, R"({"name":"TEAM/lead % 1"})")) ==
             "400 entity name is already in use");
  BOOST_TEST(write("identity/entity/id/" + other, R"({"name":"third"})").status == 204);
  BOOST_TEST(read("identity/entity/name/other").status == 404);
  const std::string longest(512, 'n');
  BOOST_TEST(made("identity/entity", R"({"name":")" + longest + R"("})").size() == 36u);
  BOOST_TEST(read("identity/entity/name/" + longest).status == 200);
  BOOST_TEST(write("identity/entity", R"({"name":"n)" + longest + R"("})").status == 400);
  BOOST_TEST(broken() == "");
}

BOOST_FIXTURE_TEST_CASE(circles_of_groups_are_refused, IdentityFixture) {
  const std::string a = made("identity/group", R"({"name":"a"})");
  const std::string b = made("identity/group", R"({"name":"b","member_group_ids":")" + a + R"("})");
  const std::string c = made("identity/group", R"({"name":"c","member_group_ids":")" + b + R"("})");
  BOOST_TEST(error(write("identity/group/id/" + a, R"({"member_group_ids":")" + c + R"("})")) ==
             "400 cyclic relationship detected for member group ID \"" + c + "\"");
  BOOST_TEST(write("identity/group/id/" + a, R"({"member_group_ids":")" + a + R"("})").status == 400);
  BOOST_TEST(write("identity/group/id/" + a, R"({"member_entity_ids":["x"]})").status == 400);
  BOOST_TEST(broken() == "");
}

BOOST_AUTO_TEST_SUITE_END()
