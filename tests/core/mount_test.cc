// Mounts: tuning, moving, what is shown of them.
#include <boost/test/unit_test.hpp>

#include "core/jobs.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_outside.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

BOOST_AUTO_TEST_SUITE(mounts)

BOOST_FIXTURE_TEST_CASE(a_mount_moves_with_its_data_and_without_its_leases, CoreFixture) {
  FakeOutside outside;
  const std::unique_ptr<Engine> engine = make_fake_engine(outside);
  engines.add(*engine, MountTable::kSecret, true);
  BOOST_TEST(write("sys/mounts/old", R"({"type":"fake"})").status == 204);
  const Answer leased = read("old/inside/a");
  BOOST_TEST(leased.status == 200);
  const Answer started = write("sys/remount", R"({"from":"old","to":"new"})");
  BOOST_REQUIRE_EQUAL(started.status, 200);
  const std::string status = "sys/remount/status/" + started.text("data|migration_id");
  BOOST_TEST(read(status).text("data|migration_info|status") == "in-progress");
  BOOST_TEST(read("old/inside/a").status == 404);
  const Answer later = read("new/inside/b");
  BOOST_TEST(later.lease_id.starts_with("new/inside/b/"));
  JobRunner jobs(services);
  while (jobs.tick()) {
  }
  BOOST_TEST(read(status).text("data|migration_info|status") == "success");
  BOOST_TEST(read(status).text("data|migration_info|source_mount") == "old/");
  BOOST_TEST(write("sys/leases/lookup", R"({"lease_id":")" + leased.lease_id + "\"}").status == 400);
  BOOST_TEST(write("sys/leases/lookup", R"({"lease_id":")" + later.lease_id + "\"}").status == 200);
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) > 0u);
  BOOST_TEST(write("sys/remount", R"({"from":"new","to":"secret/x"})").status == 400);
  BOOST_TEST(write("sys/remount", R"({"from":"new","to":"new/x"})").status == 200);
}

// What was committed before the mount was disabled is ended, whichever request began first.
BOOST_FIXTURE_TEST_CASE(g2_a_login_that_commits_just_before_the_mount_goes_ends_with_it, CoreFixture) {
  const auto survives = [&] {
    BOOST_TEST_REQUIRE(write("sys/auth/userpass", R"({"type":"userpass"})").status == 204);
    BOOST_TEST_REQUIRE(write("auth/userpass/users/bob", R"({"password":"one"})").status == 204);
    committer.now += std::chrono::seconds(1);
    const std::string token =
        write("auth/userpass/login/bob", R"({"password":"one"})", "").text("auth|client_token");
    committer.now -= std::chrono::seconds(1);
    BOOST_TEST(erase("sys/auth/userpass").status == 204);
    committer.now += std::chrono::seconds(2);
    JobRunner jobs(services);
    while (jobs.tick()) {
    }
    return read("auth/token/lookup-self", token).status == 200;
  };
  BOOST_TEST(!survives());
  coffer::testing::ScopedMutant on(Mutant::kJobSparesLateCommits);
  BOOST_TEST(survives());
}

// More than one entry holds: tokens, and records enough that the room of the entry is gone before they are.
BOOST_FIXTURE_TEST_CASE(a_full_auth_method_goes_step_by_step_with_its_tokens, CoreFixture) {
  BOOST_TEST_REQUIRE(write("sys/auth/approle", R"({"type":"approle"})").status == 204);
  std::vector<std::string> tokens;
  for (int role = 0; role < 60; ++role) {
    const std::string path = "auth/approle/role/r" + std::to_string(role);
    BOOST_TEST_REQUIRE(write(path, "{}").status == 204);
    const std::string id = read(path + "/role-id").text("data|role_id");
    std::string secret;
    for (int i = 0; i < 28; ++i)
      secret = write(path + "/secret-id").text("data|secret_id");
    for (int i = 0; i < 4; ++i)
      tokens.push_back(write("auth/approle/login", R"({"role_id":")" + id + R"(","secret_id":")" + secret + "\"}", "")
                           .text("auth|client_token"));
  }
  BOOST_TEST(erase("sys/auth/approle").status == 204);
  JobRunner jobs(services);
  int ticks = 0;
  while (jobs.tick())
    BOOST_TEST_REQUIRE(++ticks < 1000);
  for (const std::string& token : tokens)
    BOOST_TEST_REQUIRE(read("auth/token/lookup-self", token).status == 403);
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) == 0u);
}

BOOST_FIXTURE_TEST_CASE(tuning_is_kept_and_shown, CoreFixture) {
  const std::string_view all =
      R"({"audit_non_hmac_request_keys":["a"],"audit_non_hmac_response_keys":"b,c","listing_visibility":"hidden",)"
      R"("passthrough_request_headers":["X-A"],"allowed_response_headers":["X-B"],"identity_token_key":"k",)"
      R"("delegated_auth_accessors":["d"],"allowed_managed_keys":["m"],"trim_request_trailing_slashes":true,)"
      R"("default_lease_ttl":"1h","description":"words"})";
  BOOST_TEST(write("sys/mounts/secret/tune", all).status == 204);
  const Answer shown = read("sys/mounts/secret/tune");
  BOOST_TEST(shown.text("data|audit_non_hmac_response_keys|1") == "c");
  BOOST_TEST(shown.text("data|trim_request_trailing_slashes") == "true");
  BOOST_TEST(shown.text("data|default_lease_ttl") == "3600");
  const Answer mount = read("sys/mounts/secret");
  BOOST_TEST(mount.text("data|config|allowed_managed_keys|0") == "m");
  BOOST_TEST(mount.text("data|config|allowed_response_headers|0") == "X-B");
  // What is not given stays; what is given empty goes.
  BOOST_TEST(write("sys/mounts/secret/tune", R"({"audit_non_hmac_response_keys":[],"default_lease_ttl":""})").status ==
             204);
  const Answer again = read("sys/mounts/secret/tune");
  BOOST_TEST(again.at("data|audit_non_hmac_response_keys").is_null());
  BOOST_TEST(again.text("data|default_lease_ttl") == "3600");
  BOOST_TEST(again.text("data|listing_visibility") == "hidden");
  BOOST_TEST(write("sys/mounts/secret/tune", R"({"default_lease_ttl":"system"})").status == 204);
  BOOST_TEST(read("sys/mounts/secret").text("data|config|default_lease_ttl") == "0");
  const coffer::testing::ScopedMutant forgetful(Mutant::kTuningForgotten);  // advisory D16
  BOOST_TEST(write("sys/mounts/secret/tune", R"({"allowed_response_headers":["X-C"]})").status == 204);
  BOOST_TEST(read("sys/mounts/secret").text("data|config|allowed_response_headers|0") != "X-C");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
