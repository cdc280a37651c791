#include "engines/userpass/userpass.h"

#include <boost/test/unit_test.hpp>

#include <chrono>

#include "crypto/bcrypt.h"
#include "tests/engines/engine_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using testing::Answer;
using testing::EngineMount;

class Userpass : public EngineMount {
 public:
  Userpass() : EngineMount(engines::make_userpass_engine(), "userpass/") {}
  Answer login(std::string_view name, std::string_view password) {
    return write("login/" + std::string(name), "{\"password\":\"" + std::string(password) + "\"}");
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(userpass)

BOOST_AUTO_TEST_CASE(user_is_made_changed_and_removed) {
  Userpass mount;
  BOOST_TEST(mount.write("users/Alice", R"({"token_ttl":"1h"})").error == "missing password");
  BOOST_TEST(mount.write("users/Alice", R"({"password":"one","token_ttl":"1h","token_policies":"b,A"})").status == 204);
  BOOST_TEST(mount.list("users/").data == R"({"keys":["alice"]})");
  BOOST_TEST(mount.read("users/ALICE").data ==
             R"({"token_bound_cidrs":[],"token_explicit_max_ttl":0,"token_max_ttl":0,"token_no_default_policy":false,)"
             R"("token_num_uses":0,"token_period":0,"token_policies":["a","b"],"token_strictly_bind_ip":false,)"
             R"("token_ttl":3600,"token_type":"default"})");
  const Answer answer = mount.login("aLICE", "one");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.login == R"(alice|alice|alice|{"username":"alice"})");
  BOOST_TEST(answer.prepared == 1u);
  BOOST_TEST(mount.write("users/alice", R"({"token_policies":"reader"})").update);
  BOOST_TEST(mount.login("alice", "one").params.policies.front() == "reader");
  BOOST_TEST(mount.erase("users/Alice").status == 204);
  BOOST_TEST(mount.records.empty());
  BOOST_TEST(mount.list("users/").status == 404);
}

BOOST_AUTO_TEST_CASE(password_and_policies_have_paths) {
  Userpass mount;
  mount.write("users/bob", R"({"password":"one"})");
  BOOST_TEST(mount.write("users/bob/password", R"({"password":"two"})").status == 204);
  BOOST_TEST(mount.login("bob", "one").status == 400);
  BOOST_TEST(mount.login("bob", "two").status == 200);
  const std::array<std::uint8_t, crypto::kBcryptSaltBytes> salt{1, 2, 3};
  const std::string hash = *crypto::bcrypt_hash("three", salt);
  BOOST_TEST(mount.write("users/bob/password", "{\"password_hash\":\"" + hash + "\"}").status == 204);
  BOOST_TEST(mount.login("bob", "three").status == 200);
  BOOST_TEST(mount.write("users/bob/password", R"({"password_hash":"plain"})").status == 400);
  BOOST_TEST(mount.write("users/bob/password", "{\"password\":\"x\",\"password_hash\":\"" + hash + "\"}").status ==
             400);
  BOOST_TEST(mount.write("users/bob/password", "{}").error == "missing password");
  BOOST_TEST(mount.write("users/nobody/password", R"({"password":"x"})").error == "username does not exist");
  BOOST_TEST(mount.write("users/bob/policies", R"({"policies":"x,y"})").status == 204);
  BOOST_TEST(mount.login("bob", "three").params.policies.size() == 2u);
  BOOST_TEST(mount.write("users/bob/policies", R"({"token_policies":" Root"})").status == 400);
}

BOOST_AUTO_TEST_CASE(users_change_their_own_password) {
  Userpass mount;
  mount.write("users/bob", R"({"password":"one","token_policies":"reader"})");
  BOOST_TEST(mount.write("self/password", R"({"username":"BOB","password":"one","new_password":"two"})").status == 204);
  BOOST_TEST(mount.login("bob", "one").status == 400);
  BOOST_TEST(mount.login("bob", "two").params.policies.front() == "reader");
  const std::string too_long(crypto::kBcryptPasswordBytesMax + 1, 'x');
  for (const std::string& body :
       {std::string(R"({"username":"bob","password":"one","new_password":"three"})"),
        std::string(R"({"username":"ghost","password":"one","new_password":"three"})"),
        std::string(R"({"username":"bob","password":"two"})"), std::string(R"({"password":"two","new_password":"x"})"),
        R"({"username":"bob","password":"two","new_password":")" + too_long + "\"}"})
    BOOST_TEST(mount.write("self/password", body).status == 400, body);
  BOOST_TEST(mount.login("bob", "two").status == 200);
}

BOOST_AUTO_TEST_CASE(bad_users_are_refused) {
  Userpass mount;
  const std::string too_long(crypto::kBcryptPasswordBytesMax + 1, 'x');
  for (const std::string& body :
       {std::string(R"({"password":{}})"), std::string(R"({"password":"a","token_ttl":"-1s"})"),
        std::string(R"({"password":"a","token_policies":["root"]})"),
        std::string(R"({"password":"a","policies":"ROOT"})"),
        std::string(R"({"password":"a","token_bound_cidrs":"x"})"), "{\"password\":\"" + too_long + "\"}"})
    BOOST_TEST(mount.write("users/a", body).status == 400, body);
  BOOST_TEST(mount.records.empty());
}

// Advisory A18.
BOOST_AUTO_TEST_CASE(who_may_not_use_a_token_gets_none) {
  Userpass mount;
  mount.write("users/alice", R"({"password":"one","token_bound_cidrs":"127.0.0.0/8"})");
  BOOST_TEST(mount.login("alice", "one").status == 200);
  mount.remote_address = "10.0.0.1";
  BOOST_TEST(mount.login("alice", "one").error == mount.login("alice", "wrong").error);
}

// Advisory B2, and E1's like: no word, status or step tells who is there.
BOOST_AUTO_TEST_CASE(ghosts_look_like_users) {
  Userpass mount;
  mount.write("users/alice", R"({"password":"one"})");
  for (const std::string_view password : {"wrong", ""}) {
    const Answer real = mount.login("alice", password);
    const Answer ghost = mount.login("ghost", password);
    BOOST_TEST(real.status == 400);
    BOOST_TEST(real.status == ghost.status);
    BOOST_TEST(real.error == ghost.error);
    BOOST_TEST(real.prepared == ghost.prepared);
  }
  const testing::ScopedMutant mutant(Mutant::kGhostUserAnswersFast);
  BOOST_TEST(mount.login("alice", "wrong").prepared != mount.login("ghost", "wrong").prepared);
}

// Advisory B3: a hash is computed for a ghost too, and takes as long. The best of several, so that other work on the
// machine does not count.
BOOST_AUTO_TEST_CASE(ghosts_take_as_long_as_users) {
  Userpass mount;
  mount.write("users/alice", R"({"password":"one"})");
  const auto best = [&mount](std::string_view name) {
    auto shortest = std::chrono::nanoseconds::max();
    for (int i = 0; i < 5; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      mount.login(name, "wrong");
      shortest = std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - begin);
    }
    return shortest;
  };
  const auto real = best("alice");
  const auto ghost = best("ghost");
  BOOST_TEST((ghost > real / 2 && ghost < real * 2));
}

BOOST_AUTO_TEST_CASE(renewal_asks_whether_the_user_is_as_before) {
  Userpass mount;
  mount.write("users/alice", R"({"password":"one","token_policies":"reader"})");
  BOOST_TEST(mount.renew("alice", {"default", "reader"}).ok());
  BOOST_TEST(!mount.renew("alice", {"default"}).ok());
  mount.erase("users/alice");
  BOOST_TEST(!mount.renew("alice", {"default", "reader"}).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
