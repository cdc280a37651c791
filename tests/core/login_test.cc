// Logins through the whole pipeline: the token that they give, and who is locked out.
#include <boost/test/unit_test.hpp>

#include "core/layout.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using namespace std::chrono_literals;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;
using coffer::testing::ScopedMutant;

namespace {

class Logins : public CoreFixture {
 public:
  Logins() {
    BOOST_TEST_REQUIRE(write("sys/auth/userpass", R"({"type":"userpass"})").status == 204);
    BOOST_TEST_REQUIRE(write("sys/auth/approle", R"({"type":"approle"})").status == 204);
    BOOST_TEST_REQUIRE(write("auth/userpass/users/alice", R"({"password":"one","token_ttl":"1h"})").status == 204);
  }

  Answer login(std::string_view name, std::string_view password) {
    return write("auth/userpass/login/" + std::string(name), "{\"password\":\"" + std::string(password) + "\"}", "");
  }
  // Status and text of each of `times` wrong logins under these spellings in turn.
  std::vector<std::string> guesses(std::vector<std::string> spellings, int times) {
    std::vector<std::string> answers;
    for (int i = 0; i < times; ++i) {
      const Answer answer = login(spellings[static_cast<std::size_t>(i) % spellings.size()], "wrong");
      answers.push_back(std::to_string(answer.status) + answer.body);
    }
    return answers;
  }
  // A role's id and a secret id of it.
  std::pair<std::string, std::string> machine(std::string_view settings) {
    BOOST_TEST_REQUIRE(write("auth/approle/role/app", settings).status == 204);
    return {read("auth/approle/role/app/role-id").text("data|role_id"),
            write("auth/approle/role/app/secret-id").text("data|secret_id")};
  }
  Answer log_in(const std::pair<std::string, std::string>& ids) {
    return write("auth/approle/login",
                 "{\"role_id\":\"" + ids.first + "\",\"secret_id\":\"" + ids.second + "\"}", "");
  }
};

constexpr std::string_view kWrong = R"(400{"errors":["invalid username or password"]})";
constexpr std::string_view kLocked = R"(403{"errors":["permission denied"]})";

}  // namespace

BOOST_AUTO_TEST_SUITE(logins)

BOOST_FIXTURE_TEST_CASE(give_a_token, Logins) {
  const Answer answer = login("Alice", "one");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.text("auth|policies") == R"(["default"])");
  BOOST_TEST(answer.text("auth|lease_duration") == "3600");
  BOOST_TEST(answer.text("auth|metadata|username") == "alice");
  const Answer self = read("auth/token/lookup-self", answer.text("auth|client_token"));
  BOOST_TEST(self.text("data|display_name") == "userpass-alice");
  BOOST_TEST(self.text("data|path") == "auth/userpass/login/Alice");
  BOOST_TEST(self.text("data|orphan") == "true");
}

BOOST_FIXTURE_TEST_CASE(of_a_machine_write_a_token_and_nothing_else, Logins) {
  const auto ids = machine(R"({"token_policies":"reader","token_ttl":"1h"})");
  BOOST_TEST(log_in(ids).status == 200);  // the first one makes the entity too
  const std::size_t mount_records = records(store::KeyClass::kShared, MountId(17));
  const std::size_t token_records = records(store::KeyClass::kClusterLocal, MountId(0), "token/");
  const Answer answer = log_in(ids);
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.text("auth|metadata|role_name") == "app");
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) == mount_records);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0), "token/") == token_records + 3);
  const std::string text = answer.text("auth|client_token");
  BOOST_TEST(read("auth/token/lookup-self", text).text("data|display_name") == "approle");
  BOOST_TEST(write("auth/token/renew-self", R"({"increment":"30m"})", text).text("auth|lease_duration") == "1800");
  erase("auth/approle/role/app");
  BOOST_TEST(write("auth/token/renew-self", "{}", text).status == 400);
  BOOST_TEST(log_in(ids).status == 400);
}

BOOST_FIXTURE_TEST_CASE(of_a_machine_count_uses, Logins) {
  const auto ids = machine(R"({"secret_id_num_uses":2})");
  BOOST_TEST(log_in(ids).status == 200);
  BOOST_TEST(log_in(ids).status == 200);
  const Answer refused = log_in(ids);
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(refused.text("errors|0") == "invalid role or secret ID");
}

BOOST_FIXTURE_TEST_CASE(give_the_type_that_role_and_mount_say, Logins) {
  const auto type_of = [this](std::string_view role, std::string_view mount) {
    BOOST_TEST_REQUIRE(write("sys/mounts/auth/approle/tune", mount).status == 204);
    const Answer answer = log_in(machine(role));
    const std::string text = answer.text("auth|client_token");
    return answer.status != 200 ? answer.text("errors|0") : text.substr(0, 4);
  };
  BOOST_TEST(type_of(R"({"token_type":"default"})", R"({"token_type":"default-service"})") == "hvs.");
  BOOST_TEST(type_of(R"({"token_type":"batch"})", R"({"token_type":"default-service"})") == "hvb.");
  BOOST_TEST(type_of(R"({"token_type":"default"})", R"({"token_type":"default-batch"})") == "hvb.");
  BOOST_TEST(type_of(R"({"token_type":"service"})", R"({"token_type":"default-batch"})") == "hvs.");
  BOOST_TEST(type_of(R"({"token_type":"service"})", R"({"token_type":"batch"})") == "hvb.");
  BOOST_TEST(type_of(R"({"token_type":"batch"})", R"({"token_type":"service"})") == "hvs.");
  BOOST_TEST(type_of(R"({"token_type":"service","token_num_uses":3})", R"({"token_type":"batch"})") ==
             "batch tokens cannot have a use limit");
}

// Advisory B4: a ghost and a user are locked out alike, and advisory C1: however the name is spelt.
BOOST_FIXTURE_TEST_CASE(lock_ghosts_and_users_out_alike, Logins) {
  write("auth/userpass/users/bob", R"({"password":"one"})");
  const std::vector<std::string> real = guesses({"bob"}, 7);
  BOOST_TEST(real == guesses({"ghost"}, 7), boost::test_tools::per_element());
  BOOST_TEST(real[4] == kWrong);
  BOOST_TEST(real[5] == kLocked);
  BOOST_TEST(login("bob", "one").status == 403);
  const ScopedMutant mutant(Mutant::kLockoutTellsGhosts);
  BOOST_TEST(guesses({"other-ghost"}, 7) != real);
}

BOOST_FIXTURE_TEST_CASE(count_every_spelling_of_a_name, Logins) {
  const std::vector<std::string> spellings{"alice", "Alice", "aLICE", "ALICE", "alicE"};
  BOOST_TEST(guesses(spellings, 6).back() == kLocked);
  advance(16min);
  const ScopedMutant mutant(Mutant::kLockoutByRawName);
  BOOST_TEST(guesses(spellings, 6).back() == kWrong);
}

BOOST_FIXTURE_TEST_CASE(are_possible_again, Logins) {
  guesses({"alice"}, 5);
  BOOST_TEST(login("alice", "one").status == 403);
  advance(15min);
  BOOST_TEST(login("alice", "one").status == 200);
  guesses({"alice"}, 5);
  const Answer locked = read("sys/locked-users");
  const std::string accessor = locked.text("data|by_namespace|0|mount_accessors|0|mount_accessor");
  BOOST_TEST(locked.text("data|total") == "1");
  BOOST_TEST(locked.text("data|by_namespace|0|namespace_id") == "root");
  BOOST_TEST(locked.text("data|by_namespace|0|mount_accessors|0|alias_identifiers") == R"(["alice"])");
  BOOST_TEST(write("sys/locked-users/" + accessor + "/unlock/alice").status == 204);
  BOOST_TEST(login("alice", "one").status == 200);
  BOOST_TEST(read("sys/locked-users").text("data|total") == "0");
  guesses({"alice"}, 4);
  BOOST_TEST(login("alice", "one").status == 200);
  guesses({"alice"}, 4);
  BOOST_TEST(login("alice", "one").status == 200);
}

BOOST_FIXTURE_TEST_CASE(are_counted_as_the_mount_is_tuned, Logins) {
  BOOST_TEST_REQUIRE(write("sys/mounts/auth/userpass/tune",
                           R"({"user_lockout_config":{"lockout_threshold":"2","lockout_duration":"1m"}})")
                         .status == 204);
  guesses({"alice"}, 2);
  BOOST_TEST(login("alice", "one").status == 403);
  advance(1min);
  BOOST_TEST(login("alice", "one").status == 200);
  BOOST_TEST_REQUIRE(
      write("sys/mounts/auth/userpass/tune", R"({"user_lockout_config":{"lockout_disable":true}})").status == 204);
  guesses({"alice"}, 9);
  BOOST_TEST(login("alice", "one").status == 200);
}

BOOST_FIXTURE_TEST_CASE(of_machines_are_locked_out_too, Logins) {
  const auto ids = machine("{}");
  for (int i = 0; i < 5; ++i)
    BOOST_TEST(log_in({ids.first, "wrong"}).status == 400);
  BOOST_TEST(log_in(ids).status == 403);
}

// A name whose case does not matter has one spelling for the policy too.
BOOST_FIXTURE_TEST_CASE(d1_no_spelling_passes_by_a_rule, Logins) {
  BOOST_TEST_REQUIRE(write("auth/userpass/users/admin", R"({"password":"one"})").status == 204);
  BOOST_TEST_REQUIRE(write("auth/approle/role/admin", "{}").status == 204);
  BOOST_TEST_REQUIRE(write("identity/entity/name/admin", "{}").status == 200);
  std::string policy;
  for (const std::string_view folder : {"auth/userpass/users/", "auth/approle/role/", "identity/entity/name/"}) {
    policy += "path \\\"" + std::string(folder) +
              "*\\\" { capabilities = [\\\"create\\\",\\\"update\\\",\\\"read\\\"] }\n";
    policy += "path \\\"" + std::string(folder) + "admin\\\" { capabilities = [\\\"deny\\\"] }\n";
    policy += "path \\\"" + std::string(folder) + "admin/*\\\" { capabilities = [\\\"deny\\\"] }\n";
  }
  std::string escaped;
  for (const char c : policy)
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  BOOST_TEST_REQUIRE(write("sys/policies/acl/helper", R"({"policy":")" + escaped + "\"}").status == 204);
  const std::string helper = token(R"(["helper"])");
  BOOST_TEST(write("auth/userpass/users/bob", R"({"password":"one"})", helper).status == 204);
  const auto kept = [&](std::string_view name) {
    const std::string spelt(name);
    return write("auth/userpass/users/" + spelt + "/password", R"({"password":"mine"})", helper).status == 403 &&
           write("auth/approle/role/" + spelt + "/secret-id", "{}", helper).status == 403 &&
           read("identity/entity/name/" + spelt, helper).status == 403;
  };
  for (const std::string_view name : {"admin", "ADMIN", "aDmin", "admiN"})
    BOOST_TEST(kept(name));
  // Nor from inside another request.
  const Answer batch =
      write("sys/batch", R"({"paths":["auth/approle/role/ADMIN","identity/entity/name/Admin"]})", helper);
  BOOST_TEST(batch.body.find("policies") == std::string::npos);
  ScopedMutant on(Mutant::kNamesNotFolded);
  BOOST_TEST(!kept("ADMIN"));
}

BOOST_AUTO_TEST_SUITE_END()
