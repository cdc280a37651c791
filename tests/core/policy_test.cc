#include <boost/test/unit_test.hpp>

#include <string>

#include "core/acl.h"
#include "core/policy.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using testing::ScopedMutant;

std::string error_of(std::string_view text) {
  const auto policy = parse_policy("p", text);
  return policy.ok() ? "" : policy.status().message();
}

BOOST_AUTO_TEST_SUITE(policy)

BOOST_AUTO_TEST_CASE(s0_13_and_s4_60_parse) {
  const auto read = parse_policy("team-read", "path \"kv/data/team/*\" {\n  capabilities = [\"read\", \"list\"]\n}\n");
  BOOST_REQUIRE(read.ok());
  BOOST_REQUIRE(read->paths.size() == 1u);
  BOOST_TEST(read->paths[0].path == "kv/data/team/*");
  BOOST_TEST(read->paths[0].capabilities == (bit(Capability::kRead) | bit(Capability::kList)));
  const auto team = parse_policy("t", R"(# one-line blocks and comments
path "secret/data/team-alpha/*" {capabilities=["read","list"]} // c
/* x */ path "secret/data/team-alpha/config" {
  capabilities = ["create", "read", "update", "delete", "list"] }
path "secret/metadata/team-alpha/*" {capabilities = ["list"]})");
  BOOST_REQUIRE(team.ok());
  BOOST_TEST(team->paths.size() == 3u);
}

BOOST_AUTO_TEST_CASE(json_says_the_same) {
  const auto json = parse_policy(
      "j", R"({"path": {"a/*": {"capabilities": ["read"], "min_wrapping_ttl": "1h"}, "/b": {"policy": "write"}}})");
  BOOST_REQUIRE(json.ok());
  BOOST_TEST(json->paths[0].capabilities == bit(Capability::kRead));
  BOOST_TEST((json->paths[0].constraints->min_wrapping_ttl == std::chrono::hours(1)));
  BOOST_TEST(json->paths[1].path == "b");
  BOOST_TEST((json->paths[1].capabilities & bit(Capability::kUpdate)) != 0);
}

BOOST_AUTO_TEST_CASE(deny_stands_alone) {
  const auto policy = parse_policy("p", R"(path "a" { capabilities = ["read", "deny", "sudo"] })");
  BOOST_TEST(policy->paths[0].capabilities == bit(Capability::kDeny));
}

BOOST_AUTO_TEST_CASE(errors_name_what_is_wrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"path \"a\" { capabilities = [\"write\"] }",
       "failed to parse policy: line 1, column 28: path \"a\": invalid capability \"write\""},
      {"path \"a\" {\n  capability = [\"read\"] }",
       "failed to parse policy: line 2, column 3: path \"a\": invalid key \"capability\""},
      {"paths \"a\" { }", "failed to parse policy: line 1, column 1: invalid key \"paths\""},
      {"path \"a/+*\" { capabilities = [\"read\"] }",
       "failed to parse policy: line 1, column 1: path \"a/+*\": invalid use of wildcards ('+*' is forbidden)"},
      {"path { capabilities = [\"read\"] }", "failed to parse policy: line 1, column 24: \"path\" must be a block"},
      {"path \"a\" { capabilities = 7 }",
       "failed to parse policy: line 1, column 12: path \"a\": \"capabilities\" must be a list of texts"},
      {"path \"a\" { mfa_methods = [\"x\"] }",
       "failed to parse policy: line 1, column 26: path \"a\": \"mfa_methods\" is not enforced by this server"},
      {"path \"a\" { min_wrapping_ttl = \"2h\" max_wrapping_ttl = \"1h\" }",
       "failed to parse policy: line 1, column 1: path \"a\": max_wrapping_ttl cannot be less than min_wrapping_ttl"},
      {"path \"a\" { min_wrapping_ttl = \"soon\" }",
       "failed to parse policy: line 1, column 31: path \"a\": \"min_wrapping_ttl\" must be a duration such as 60 or "
       "\"1h\""},
      {"path \"a/{{x\" { }", "failed to parse policy: line 1, column 1: path \"a/{{x\": a template has no '}}'"},
      {"path \"a\" { allowed_parameters = [] }",
       "failed to parse policy: line 1, column 12: path \"a\": \"allowed_parameters\" must be a map of lists"},
      {"path \"a\" { capabilities = [\"read\"",
       "failed to parse policy: line 1, column 27: this list has no closing ']'"},
  };
  for (const auto& [text, message] : cases)
    BOOST_TEST(error_of(text) == message);
  for (const char* text : {"7", "{\"path\": 7}", "path \"a\" \"b\" {}", "path \"a\" { policy = \"admin\" }",
                           "path \"a\" { denied_parameters = { x = 1 } }", "path \"a\" { capabilities = [7] }",
                           "path \"a\" { min_wrapping_ttl = \"-1h\" }"})
    BOOST_TEST(error_of(text) != "", text);
  BOOST_TEST(error_of("") == "");
  BOOST_TEST(error_of("name = \"x\"") == "");
}

BOOST_AUTO_TEST_CASE(names) {
  for (const char* name : {"default", "team-read", "a b", "t\xc3\xa9"})
    BOOST_TEST(check_policy_name(name).ok(), name);
  for (const char* name : {"", "root", "Root", "Team", "a/b", "../ns/root", "..", "a\nb"})
    BOOST_TEST(!check_policy_name(name).ok(), name);
  ScopedMutant on(Mutant::kPolicyNameUnchecked);
  BOOST_TEST(check_policy_name("../ns/root").ok());
}

BOOST_AUTO_TEST_CASE(capability_names_are_sorted) {
  const auto names = capability_names(bit(Capability::kUpdate) | bit(Capability::kCreate) | bit(Capability::kSudo));
  BOOST_TEST(names == (std::vector<std::string_view>{"create", "sudo", "update"}), boost::test_tools::per_element());
  BOOST_TEST(capability_names(0).front() == "deny");
}

BOOST_AUTO_TEST_CASE(default_policy_looks_after_the_token) {
  const auto policy = parse_policy(kDefaultPolicyName, default_policy_text());
  BOOST_REQUIRE_MESSAGE(policy.ok(), policy.status().message());
  const std::shared_ptr<const Policy> shared = std::make_shared<const Policy>(*policy);
  const auto acl = Acl::compile({&shared, 1});
  const std::pair<const char*, Capability> granted[] = {{"auth/token/lookup-self", Capability::kRead},
                                                        {"auth/token/renew-self", Capability::kUpdate},
                                                        {"auth/token/revoke-self", Capability::kUpdate},
                                                        {"sys/capabilities-self", Capability::kUpdate},
                                                        {"sys/internal/ui/resultant-acl", Capability::kRead},
                                                        {"sys/renew", Capability::kUpdate},
                                                        {"sys/leases/renew", Capability::kUpdate},
                                                        {"sys/leases/lookup", Capability::kUpdate},
                                                        {"cubbyhole/a/b", Capability::kDelete},
                                                        {"cubbyhole/", Capability::kList},
                                                        {"sys/wrapping/wrap", Capability::kUpdate},
                                                        {"sys/wrapping/lookup", Capability::kUpdate},
                                                        {"sys/wrapping/unwrap", Capability::kUpdate},
                                                        {"sys/tools/hash", Capability::kUpdate},
                                                        {"sys/tools/hash/sha2-256", Capability::kUpdate},
                                                        {"sys/control-group/request", Capability::kUpdate},
                                                        {"identity/oidc/provider/x/authorize", Capability::kRead}};
  for (const auto& [path, capability] : granted)
    BOOST_TEST(acl->allows(path, capability).allowed, path);
  for (const char* path :
       {"secret/data/a", "auth/token/create", "sys/mounts", "identity/entity/id/", "identity/entity/id/x", "sys/seal"})
    BOOST_TEST(!acl->capabilities(path).allowed, path);
  BOOST_TEST(!acl->allows("auth/token/lookup-self", Capability::kUpdate).allowed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
