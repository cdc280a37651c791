// sys/: mounts, policies, audit devices, keys, capabilities.
#include <boost/test/unit_test.hpp>

#include "core/jobs.h"
#include "core/layout.h"
#include "core/policy_store.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;
using coffer::testing::ScopedMutant;

namespace {

std::string first_error(const Answer& answer) { return std::to_string(answer.status) + " " + answer.text("errors|0"); }

}  // namespace

BOOST_AUTO_TEST_SUITE(sys)

BOOST_FIXTURE_TEST_CASE(lists_the_mounts_of_a_new_server, CoreFixture) {
  const Answer mounts = read("sys/mounts");
  BOOST_TEST(mounts.status == 200);
  std::string paths;
  for (const json::Member& member : mounts.at("data").members())
    paths.append(member.key()).append(" ");
  BOOST_TEST(paths == "cubbyhole/ identity/ secret/ sys/ ");
  const json::Value secret = mounts.at("data|secret/");
  for (const std::string_view field : {"accessor", "config", "description", "external_entropy_access", "local",
                                       "options", "seal_wrap", "type", "uuid"})
    BOOST_TEST((secret.find(field) != nullptr), field);
  BOOST_TEST(mounts.text("data|secret/|options|version") == "2");
  BOOST_TEST(mounts.text("data|secret/|config|default_lease_ttl") == "0");
  BOOST_TEST(mounts.text("data|secret/|running_plugin_version") == "v1.21.0+builtin.vault");
  BOOST_TEST(read("sys/auth").text("data|token/|type") == "token");
}

BOOST_FIXTURE_TEST_CASE(enables_and_disables_an_engine, CoreFixture) {
  BOOST_TEST(write("sys/mounts/team-alpha", R"({"type":"kv","options":{"version":"2"},)"
                                            R"("description":"d"})").status == 204);
  BOOST_TEST(write("team-alpha/data/k", R"({"data":{"a":"b"}})").status == 200);
  BOOST_TEST(read("sys/mounts/team-alpha/").text("data|description") == "d");
  BOOST_TEST(erase("sys/mounts/team-alpha").status == 204);
  BOOST_TEST(read("team-alpha/data/k").status == 404);
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) > 0u);
  JobRunner jobs(services);
  while (jobs.tick()) {
  }
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) == 0u);
  // A new mount at the same place sees nothing of the old one.
  BOOST_TEST(write("sys/mounts/team-alpha", R"({"type":"kv-v2"})").status == 204);
  BOOST_TEST(read("team-alpha/data/k").status == 404);
  BOOST_TEST(read("sys/mounts/team-alpha").text("data|options|version") == "2");
}

BOOST_FIXTURE_TEST_CASE(a_disabled_mount_of_many_records_goes_by_steps, CoreFixture) {
  BOOST_TEST(write("sys/mounts/big", R"({"type":"kv"})").status == 204);
  for (std::size_t i = 0; i < limits::kJobStepKeysMax + 100; ++i)
    BOOST_TEST_REQUIRE(write("big/k" + std::to_string(i), R"({"a":"b"})").status == 204);
  BOOST_TEST(erase("sys/mounts/big").status == 204);
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) == limits::kJobStepKeysMax + 100);
  JobRunner jobs(services);
  int steps = 0;
  while (jobs.tick())
    ++steps;
  BOOST_TEST(steps == 3);  // the first takes the time
  BOOST_TEST(records(store::KeyClass::kShared, MountId(17)) == 0u);
  BOOST_TEST(jobs.idle());
}

BOOST_FIXTURE_TEST_CASE(mount_errors_have_the_known_texts, CoreFixture) {
  const auto enable = [this](std::string_view path, std::string_view body) {
    return first_error(write("sys/mounts/" + std::string(path), body));
  };
  BOOST_TEST(enable("secret", R"({"type":"kv"})") == "400 path is already in use at secret/");
  BOOST_TEST(enable("secret/a", R"({"type":"kv"})") == "400 path is already in use at secret/");
  BOOST_TEST(write("sys/mounts/kv/a", R"({"type":"kv"})").status == 204);
  BOOST_TEST(enable("kv", R"({"type":"kv"})") == "400 path is already in use at kv/a/");
  BOOST_TEST(enable("x", R"({"type":"nope"})") == "400 plugin not found in the catalog: nope");
  BOOST_TEST(enable("x", "{}") == "400 backend type must be specified as a string");
  BOOST_TEST(enable("sys/x", R"({"type":"kv"})") == "400 cannot mount \"sys/x/\"");
  BOOST_TEST(enable("y", R"({"type":"cubbyhole"})") == "400 mount type of \"cubbyhole\" is not mountable");
  BOOST_TEST(enable("y", R"({"type":"kv","config":{"default_lease_ttl":"2h","max_lease_ttl":"1h"}})") ==
             "400 given default lease TTL greater than given max lease TTL");
  BOOST_TEST(enable("y", R"({"type":"kv",)"
                         R"("options":{"version":"3"}})") ==
             "400 invalid version provided: only 1 and 2 are versions of a kv mount");
  BOOST_TEST(enable("y", R"({"type":"kv","options":["a"]})") == "400 field \"options\" must be an object of strings");
  BOOST_TEST(first_error(erase("sys/mounts/sys")) == "400 cannot unmount \"sys/\"");
  BOOST_TEST(erase("sys/mounts/nope").status == 204);
  BOOST_TEST(first_error(read("sys/mounts/nope")) == "400 No secret engine mount at nope/");
  BOOST_TEST(first_error(read("sys/mounts/nope/tune")) == "400 cannot fetch sysview for path \"nope/\"");
}

BOOST_FIXTURE_TEST_CASE(tunes_a_mount, CoreFixture) {
  BOOST_TEST(read("sys/mounts/secret/tune").text("data|default_lease_ttl") == "2764800");
  BOOST_TEST(write("sys/mounts/secret/tune", R"({"description":"d","default_lease_ttl":"1h"})").status == 204);
  const Answer tuned = read("sys/mounts/secret/tune");
  BOOST_TEST(tuned.text("data|default_lease_ttl") == "3600");
  BOOST_TEST(tuned.text("data|description") == "d");
  BOOST_TEST(tuned.text("data|options|version") == "2");
  BOOST_TEST(first_error(write("sys/mounts/nope/tune")) == "400 tune of path \"nope/\" failed: no mount entry found");
  BOOST_TEST(write("sys/mounts/secret/tune", R"({"options":{"version":"1"}})").status == 400);
}

// Who may do anything to the tuning of mounts may not take a mount away by that.
BOOST_FIXTURE_TEST_CASE(r2_deleting_a_tuning_does_not_disable_the_mount, CoreFixture) {
  BOOST_TEST(write("secret/data/k", R"({"data":{"a":"b"}})").status == 200);
  BOOST_TEST(erase("sys/mounts/secret/tune").status == 405);
  BOOST_TEST(read("secret/data/k").text("data|data|a") == "b");
  BOOST_TEST(read("sys/mounts/secret").status == 200);
}

BOOST_FIXTURE_TEST_CASE(tells_a_token_what_it_reaches, CoreFixture) {
  BOOST_TEST(
      write("sys/policies/acl/reader", R"({"policy":"path \"secret/data/app/*\" { capabilities = [\"read\"] }"})")
          .status == 204);
  const std::string reader = token(R"(["reader"])", R"(,"no_default_policy":true)");
  BOOST_TEST(read("sys/internal/ui/mounts/secret/x", reader).text("data|path") == "secret/");
  BOOST_TEST(read("sys/internal/ui/mounts", reader).at("data|secret").size() == 1u);
  const std::string refusal =
      R"(["preflight capability check returned 403, please ensure client's policies grant access to path \"nope/x/\"",)"
      R"("permission denied"])";
  BOOST_TEST(read("sys/internal/ui/mounts/nope/x", reader).text("errors") == refusal);
  BOOST_TEST(read("sys/internal/ui/mounts/nope/x", "").status == 403);
  BOOST_TEST(read("sys/internal/ui/mounts/cubbyhole/x", reader).status == 403);
  BOOST_TEST(read("sys/internal/ui/mounts", "").text("data|secret") == "{}");
}

BOOST_FIXTURE_TEST_CASE(keeps_policies, CoreFixture) {
  const std::string text = "path \"secret/*\" {\n  capabilities = [\"read\"]\n}\n";
  std::string body = "{\"policy\":";
  json::write_string(text, body);
  BOOST_TEST(write("sys/policies/acl/p1", body + "}").status == 204);
  BOOST_TEST(read("sys/policies/acl/p1").text("data|policy") == text);
  BOOST_TEST(read("sys/policy/p1").text("data|rules") == text);
  BOOST_TEST(list("sys/policies/acl").text("data|keys") == R"(["default","p1","root"])");
  BOOST_TEST(read("sys/policy").text("data|policies") == R"(["default","p1","root"])");
  BOOST_TEST(read("sys/policies/acl/root").text("data|policy") == "");
  BOOST_TEST(read("sys/policies/acl/nope").status == 404);
  BOOST_TEST(first_error(write("sys/policies/acl/root", body + "}")) == "400 cannot update \"root\" policy");
  BOOST_TEST(first_error(write("sys/policies/acl/p2")) == "400 'policy' parameter not supplied or empty");
  BOOST_TEST(
      write("sys/policies/acl/p2", R"({"policy":"path {"})").text("errors|0").starts_with("failed to parse policy: "));
  BOOST_TEST(first_error(erase("sys/policies/acl/default")) == "400 cannot delete default policy");
  BOOST_TEST(first_error(erase("sys/policies/acl/root")) == "400 cannot delete \"root\" policy");
  BOOST_TEST(erase("sys/policies/acl/p1").status == 204);
  BOOST_TEST(list("sys/policies/acl").text("data|keys") == R"(["default","root"])");
}

// All of them are in memory.
BOOST_FIXTURE_TEST_CASE(policies_have_a_bound_together, CoreFixture) {
  const auto put = [this](std::string_view name, std::size_t bytes) {
    return write("sys/policies/acl/" + std::string(name), R"({"policy":"# )" + std::string(bytes, 'x') + "\"}");
  };
  const std::size_t bytes = 1'000'000;
  std::size_t taken = 0;
  while (taken * bytes <= kNamespacePolicyBytesMax && put("p" + std::to_string(taken), bytes).status == 204)
    ++taken;
  BOOST_TEST(taken == kNamespacePolicyBytesMax / bytes);
  BOOST_TEST(put("one-more", bytes).text("errors|0") ==
             "the policies of this namespace would be longer than 64 MiB together");
  BOOST_TEST(put("p0", bytes).status == 204);  // no more than before
  BOOST_TEST(put("small", 10).status == 204);
  erase("sys/policies/acl/p1");
  BOOST_TEST(put("one-more", bytes).status == 204);
}

BOOST_FIXTURE_TEST_CASE(a_policy_change_takes_effect_at_once, CoreFixture) {
  write("secret/data/x", R"({"data":{"a":"b"}})");
  const std::string reader = token(R"(["reader"])");
  BOOST_TEST(read("secret/data/x", reader).status == 403);
  BOOST_TEST(
      write("sys/policies/acl/reader", R"({"policy":"path \"secret/data/*\" { capabilities = [\"read\"] }"})").status ==
      204);
  BOOST_TEST(read("secret/data/x", reader).status == 200);
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":"c"}})", reader).status == 403);
  BOOST_TEST(
      write("sys/policies/acl/reader", R"({"policy":"path \"secret/data/*\" { capabilities = [\"deny\"] }"})").status ==
      204);
  BOOST_TEST(read("secret/data/x", reader).status == 403);
}

BOOST_FIXTURE_TEST_CASE(create_and_update_are_two_capabilities, CoreFixture) {
  write("sys/policies/acl/creator", R"({"policy":"path \"secret/data/*\" { capabilities = [\"create\"] }"})");
  write("sys/policies/acl/updater", R"({"policy":"path \"secret/data/*\" { capabilities = [\"update\"] }"})");
  const std::string creator = token(R"(["creator"])");
  const std::string updater = token(R"(["updater"])");
  const std::string body = R"({"data":{"a":"b"}})";
  BOOST_TEST(write("secret/data/x", body, updater).status == 403);
  BOOST_TEST(write("secret/data/x", body, creator).status == 200);
  BOOST_TEST(write("secret/data/x", body, creator).status == 403);
  BOOST_TEST(write("secret/data/x", body, updater).status == 200);
}

BOOST_FIXTURE_TEST_CASE(root_protected_paths_need_sudo, CoreFixture) {
  write("sys/policies/acl/most",
        R"({"policy":"path \"sys/*\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\"] }"})");
  const std::string most = token(R"(["most"])");
  for (const std::string_view path : {"sys/audit"})
    BOOST_TEST(read(path, most).status == 403);
  BOOST_TEST(write("sys/rotate", "{}", most).status == 403);
  BOOST_TEST(write("sys/audit/file", R"({"type":"file","options":{"file_path":"discard"}})", most).status == 403);
  BOOST_TEST(read("sys/key-status", most).status == 200);
  write("sys/policies/acl/most", R"({"policy":"path \"sys/*\" { capabilities = [\"read\",\"update\",\"sudo\"] }"})");
  BOOST_TEST(read("sys/audit", most).status == 200);
  BOOST_TEST(write("sys/rotate", "{}", most).status == 204);
}

BOOST_FIXTURE_TEST_CASE(counts_what_the_key_has_sealed, CoreFixture) {
  const auto count = [this] { return std::stoull(read("sys/key-status").text("data|encryptions")); };
  // What init wrote is counted.
  const std::uint64_t first = count();
  BOOST_TEST(first >= records(store::KeyClass::kShared, MountId(0)) - 1);
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  const std::uint64_t second = count();
  BOOST_TEST(second > first);
  // A new key has sealed nothing.
  BOOST_TEST(write("sys/rotate").status == 204);
  BOOST_TEST(count() == 0u);
}

BOOST_FIXTURE_TEST_CASE(rotates_the_key, CoreFixture) {
  write("secret/data/x", R"({"data":{"a":"b"}})");
  BOOST_TEST(read("sys/key-status").text("data|term") == "1");
  BOOST_TEST(write("sys/rotate").status == 204);
  BOOST_TEST(read("sys/key-status").text("data|term") == "2");
  BOOST_TEST(read("secret/data/x").text("data|data|a") == "b");
  BOOST_TEST(write("secret/data/y", R"({"data":{"a":"c"}})").status == 200);
  // A start from the stored state finds both terms.
  auto view = backend.view();
  StateDeriver again(engines, audit, {});
  BOOST_TEST(again.start(**view, root_key.clone()).ok());
  StateDeriver wrong(engines, audit, {});
  BOOST_TEST(!wrong.start(**view, SecretBytes::copy_of(std::string(32, 'x'))).ok());
  BOOST_TEST(!wrong.started());
}

BOOST_FIXTURE_TEST_CASE(tells_capabilities, CoreFixture) {
  const Answer root = write("sys/capabilities-self", R"({"paths":"a,b"})");
  BOOST_TEST(root.text("data|a") == R"(["root"])");
  BOOST_TEST((root.at("data").find("capabilities") == nullptr));
  const Answer one = write("sys/capabilities-self", R"({"paths":["sys/mounts"]})");
  BOOST_TEST(one.text("data|capabilities") == R"(["root"])");
  const std::string plain = token(R"(["default"])");
  BOOST_TEST(write("sys/capabilities-self", R"({"path":"cubbyhole/x"})", plain).text("data|capabilities") ==
             R"(["create","delete","list","read","update"])");
  BOOST_TEST(write("sys/capabilities-self", R"({"path":"secret/x"})", plain).text("data|capabilities") ==
             R"(["deny"])");
  BOOST_TEST(first_error(write("sys/capabilities-self")) == "400 paths must be supplied");
  BOOST_TEST(first_error(write("sys/capabilities", R"({"token":"nope",)"
                                                   R"("path":"a"})")) ==
             "400 1 error occurred:\n\t* invalid token\n\n");
}

BOOST_FIXTURE_TEST_CASE(wraps_and_unwraps_once, CoreFixture) {
  const Answer wrapped = request(Operation::kWrite, "auth/token/create", R"({"policies":["default"],)"
                                                                         R"("ttl":"1h"})", "root", "5m");
  BOOST_TEST(wrapped.status == 200);
  BOOST_TEST(wrapped.text("wrap_info|token").starts_with("hvs.CAES"));
  BOOST_TEST(wrapped.text("wrap_info|ttl") == "300");
  BOOST_TEST(wrapped.text("wrap_info|creation_path") == "auth/token/create");
  BOOST_TEST((wrapped.json.root.find("auth") == nullptr));
  const std::string wrapping = wrapped.text("wrap_info|token");
  const Answer looked = write("sys/wrapping/lookup", "{\"token\":\"" + wrapping + "\"}", "");
  BOOST_TEST(looked.text("data|creation_ttl") == "300");
  // Looking with the token itself is no use of it, nor is what needs no token.
  BOOST_TEST(write("sys/wrapping/lookup", "{}", wrapping).text("data|creation_ttl") == "300");
  BOOST_TEST(read("sys/internal/ui/mounts", wrapping).status == 200);
  const Answer inner = write("sys/wrapping/unwrap", "{}", wrapping);
  BOOST_TEST(inner.status == 200);
  BOOST_TEST(inner.text("auth|accessor") == wrapped.text("wrap_info|wrapped_accessor"));
  BOOST_TEST(read("auth/token/lookup-self", inner.text("auth|client_token")).status == 200);
  BOOST_TEST(first_error(write("sys/wrapping/unwrap", "{}", wrapping)) ==
             "400 wrapping token is not valid or does not exist");
}

BOOST_FIXTURE_TEST_CASE(wrapping_of_data_rewrap_and_misuse, CoreFixture) {
  const std::size_t before = records(store::KeyClass::kClusterLocal, MountId(0));
  BOOST_TEST(first_error(write("sys/wrapping/wrap", R"({"a":"b"})")) ==
             "400 endpoint requires response wrapping to be used");
  const Answer wrapped = request(Operation::kWrite, "sys/wrapping/wrap", R"({"a":1.10})", "root", "60");
  const std::string body = "{\"token\":\"" + wrapped.text("wrap_info|token") + "\"}";
  const Answer again = write("sys/wrapping/rewrap", body);
  BOOST_TEST(again.text("wrap_info|creation_path") == "sys/wrapping/wrap");
  BOOST_TEST(write("sys/wrapping/unwrap", body).status == 400);
  BOOST_TEST(write("sys/wrapping/unwrap", "{\"token\":\"" + again.text("wrap_info|token") + "\"}").text("data|a") ==
             "1.10");
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0)) == before);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == 0u);
  // Another token is none, and reading by a wrapping token uses it up.
  BOOST_TEST(write("sys/wrapping/lookup", R"({"token":"root"})").status == 400);
  const Answer used = request(Operation::kRead, "sys/key-status", {}, "root", "60");
  BOOST_TEST(read("sys/key-status", used.text("wrap_info|token")).status == 403);
  BOOST_TEST(write("sys/wrapping/unwrap", "{}", used.text("wrap_info|token")).status == 400);
}

// Else anybody could fill the store.
BOOST_FIXTURE_TEST_CASE(nothing_is_wrapped_for_nobody, CoreFixture) {
  const std::size_t before = records(store::KeyClass::kClusterLocal, MountId(0));
  const Answer mounts = request(Operation::kRead, "sys/internal/ui/mounts", {}, "", "60");
  BOOST_TEST(mounts.status == 200);
  BOOST_TEST(mounts.text("wrap_info|token") == "null");
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0)) == before);
  BOOST_TEST(request(Operation::kRead, "sys/internal/ui/mounts", {}, "root", "60")
                 .text("wrap_info|token")
                 .starts_with("hvs."));
}

BOOST_FIXTURE_TEST_CASE(the_deepest_secret_can_be_wrapped, CoreFixture) {
  std::string deep = R"("x")";
  for (std::size_t i = 0; i + 1 < limits::kJsonDepthMax; ++i)
    deep = "{\"a\":" + deep + "}";
  BOOST_TEST(write("secret/data/deep", "{\"data\":" + deep + "}").status == 200);
  const Answer wrapped = request(Operation::kRead, "secret/data/deep", {}, "root", "60");
  const Answer inner = write("sys/wrapping/unwrap", "{}", wrapped.text("wrap_info|token"));
  BOOST_TEST(inner.status == 200);
  BOOST_TEST((inner.body.find(deep) != std::string::npos));
}

BOOST_FIXTURE_TEST_CASE(b5_a_mount_does_not_show_without_a_token, CoreFixture) {
  const auto same = [this] {
    const std::string want = first_error(read("nope/a", ""));
    bool all = true;
    for (const std::string_view path :
         {"secret/data/x", "sys/mounts", "cubbyhole/x", "auth/token/lookup-self", "identity/x", "sys/nope", "zz/x"})
      for (const std::string_view who : {"", "hvs.unknown"}) {
        all &= first_error(read(path, who)) == want;
        all &= first_error(list(path, who)) == want;
        all &= first_error(write(path, "{}", who)) == want;
        all &= first_error(erase(path, who)) == want;
      }
    return all;
  };
  BOOST_TEST(same());
  ScopedMutant on(Mutant::kMountRevealedUnauthenticated);
  BOOST_TEST(!same());
}

BOOST_FIXTURE_TEST_CASE(k6_too_much_for_an_entry_is_refused_before_it_is_proposed, CoreFixture) {
  const std::string value(limits::kEntryBytesMax, 'v');
  const auto refused = [&] {
    const std::size_t commits = committer.commits;
    const Answer answer = write("cubbyhole/big", "{\"a\":\"" + value + "\"}");
    return answer.status == 413 && committer.commits == commits;
  };
  BOOST_TEST(refused());
  // What just fits makes an entry that is not above the bound.
  const std::string fits(limits::kEntryBytesMax - 1024, 'v');
  BOOST_TEST(write("cubbyhole/big", "{\"a\":\"" + fits + "\"}").status == 204);
  BOOST_TEST(committer.largest_entry_bytes <= limits::kEntryBytesMax);
  ScopedMutant on(Mutant::kEntrySizeUnchecked);
  BOOST_TEST(!refused());
}

// What the state is derived from is found by its name: one too long for that never enters it (rule R10).
BOOST_FIXTURE_TEST_CASE(r10_long_names_do_not_reach_the_state, CoreFixture) {
  const std::string rule = R"({"policy":"path \"secret/*\" { capabilities = [\"read\"] }"})";
  const std::string passwords = R"({"policy":"length = 20\nrule \"charset\" { charset = \"abc\" }"})";
  for (const std::size_t size : {257u, 440u, 450u, 480u, 1000u, 3000u}) {
    const std::string name(size, 'p');
    BOOST_TEST(write("sys/policies/acl/" + name, rule).status == 400);
    BOOST_TEST(write("sys/policies/password/" + name, passwords).status == 400);
    BOOST_TEST(write("sys/quotas/rate-limit/" + name, R"({"rate":100000})").status != 500);
    BOOST_TEST(read("sys/mounts").status == 200);
  }
  BOOST_TEST(write("sys/policies/acl/" + std::string(256, 'p'), rule).status == 204);
  // Whatever path a record of the core's comes by.
  std::unique_ptr<store::View> view = *backend.view();
  json::Arena arena;
  TxnImpl::Buffers buffers;
  TxnImpl txn(*view, *published_in(view->attachment())->barrier, arena, committer.now, buffers);
  const std::string_view name = arena.copy("core/audit/" + std::string(600, 'a'));
  BOOST_TEST((txn.put(layout::core_key(name), "x").code() == Code::kInvalid));
}

// Whatever a secret may hold, its next version fits into an entry beside it.
BOOST_FIXTURE_TEST_CASE(a_secret_as_large_as_may_be_has_versions, CoreFixture) {
  const auto body = [](std::size_t size) { return R"({"data":{"a":")" + std::string(size, 'v') + "\"}}"; };
  BOOST_TEST(write("secret/data/big", body(limits::kSecretBytesMax)).status == 413);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(write("secret/data/big", body(limits::kSecretBytesMax - 16)).status == 200);
  BOOST_TEST(read("secret/data/big").text("data|metadata|version") == "3");
  BOOST_TEST(erase("secret/metadata/big").status == 204);
}

BOOST_FIXTURE_TEST_CASE(k1_a_list_with_commas_is_bounded, CoreFixture) {
  std::string paths;
  for (int i = 0; i < 1001; ++i)
    paths += "a" + std::to_string(i) + ",";
  const auto refused = [&] { return write("sys/capabilities-self", R"({"paths":")" + paths + "\"}").status == 400; };
  BOOST_TEST(refused());
  BOOST_TEST(write("sys/capabilities-self", R"({"paths":"a,b,a"})").status == 200);
  ScopedMutant on(Mutant::kListsUnbounded);
  BOOST_TEST(!refused());
}

BOOST_FIXTURE_TEST_CASE(h13_a_failure_does_not_tell_the_request, CoreFixture) {
  const std::string canary = "canary-77aa01";
  const auto leaks = [&] {
    random.failing = true;
    const Answer answer = write("secret/data/x", "{\"data\":{\"a\":\"" + canary + "\"}}");
    random.failing = false;
    BOOST_TEST(answer.status >= 500);
    return answer.body.find(canary) != std::string::npos;
  };
  BOOST_TEST(!leaks());
  {
    ScopedMutant on(Mutant::kRequestInFailureText);
    BOOST_TEST(leaks());
  }
  deriver->stop();
  BOOST_TEST(!leaks());
}

BOOST_FIXTURE_TEST_CASE(leases_that_are_not_there, CoreFixture) {
  BOOST_TEST(first_error(write("sys/leases/renew", R"({"lease_id":"nope"})")) == "400 lease not found");
  BOOST_TEST(first_error(write("sys/leases/lookup", R"({"lease_id":"nope"})")) == "400 lease not found");
  BOOST_TEST(first_error(write("sys/leases/lookup")) == "400 lease_id must be specified");
  BOOST_TEST(write("sys/leases/revoke", R"({"lease_id":"nope"})").status == 202);
  BOOST_TEST(write("sys/leases/revoke", R"({"lease_id":"nope","sync":true})").status == 204);
}

BOOST_FIXTURE_TEST_CASE(help_tells_the_path, CoreFixture) {
  for (const std::string_view mount : {"secret", "secret/"})
    BOOST_TEST(request(Operation::kHelp, mount).status == 200);
  BOOST_TEST(request(Operation::kHelp, "nothing").status == 404);
  const Answer help = request(Operation::kHelp, "auth/token/create");
  BOOST_TEST(help.status == 200);
  BOOST_TEST(help.text("data|help").find("num_uses (int)") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(hashes_and_draws, CoreFixture) {
  // FIPS 180-4 and FIPS 202: "abc".
  BOOST_TEST(write("sys/tools/hash", R"({"input":"YWJj"})").text("data|sum") ==
             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(write("sys/tools/hash/sha3-256", R"({"input":"YWJj"})").text("data|sum") ==
             "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
  BOOST_TEST(write("sys/tools/hash/sha2-224", R"({"input":"YWJj","format":"base64"})").text("data|sum") ==
             "Iwl9IjQF2CKGQqR3vaJVsyqtvOS9oLP342ydpw==");
  BOOST_TEST(write("sys/tools/hash", R"({"input":"no base64!"})").status == 400);
  BOOST_TEST(write("sys/tools/hash/md5", R"({"input":"YWJj"})").status == 400);
  BOOST_TEST(write("sys/tools/random/4", R"({"format":"hex"})").text("data|random_bytes").size() == 8u);
  BOOST_TEST(write("sys/tools/random/platform/5", R"({"format":"hex"})").text("data|random_bytes").size() == 10u);
  BOOST_TEST(write("sys/tools/random/seal", R"({"format":"hex","bytes":3})").text("data|random_bytes").size() == 6u);
  for (const std::string_view path : {"sys/tools/random/0", "sys/tools/random/131073", "sys/tools/random/x",
                                      "sys/tools/random/moon/4", "sys/tools/random/platform/-1"})
    BOOST_TEST(write(path).status == 400);
  BOOST_TEST(write("sys/tools/random", R"({"bytes":131073})").status == 400);
}

BOOST_AUTO_TEST_SUITE_END()
