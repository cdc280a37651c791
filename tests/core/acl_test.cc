#include <boost/test/unit_test.hpp>

#include <malloc.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "core/acl.h"
#include "tests/core/acl_oracle.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using testing::AclOracle;
using testing::ScopedMutant;

std::shared_ptr<const Acl> acl_of(std::initializer_list<std::string_view> texts, const TemplateValues& values = {}) {
  std::vector<std::shared_ptr<const Policy>> policies;
  for (const std::string_view text : texts) {
    auto policy = parse_policy("p" + std::to_string(policies.size()), text);
    BOOST_REQUIRE_MESSAGE(policy.ok(), policy.status().message());
    policies.push_back(std::make_shared<const Policy>(*std::move(policy)));
  }
  return Acl::compile(policies, values);
}

bool can(const std::shared_ptr<const Acl>& acl, std::string_view path, Capability capability) {
  return acl->allows(path, capability).allowed;
}

std::size_t from_env(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

#ifdef COFFER_DEBUG_CHECKS
constexpr std::size_t kShare = 20;  // sanitizers and debug builds do a part of the run
#else
constexpr std::size_t kShare = 1;
#endif

BOOST_AUTO_TEST_SUITE(acl)

BOOST_AUTO_TEST_CASE(s0_13_reads_and_lists_but_does_not_write) {
  const auto acl = acl_of({"path \"kv/data/team/*\" {\n  capabilities = [\"read\", \"list\"]\n}"});
  BOOST_TEST(can(acl, "kv/data/team/x", Capability::kRead));
  BOOST_TEST(can(acl, "kv/data/team/x/", Capability::kList));
  BOOST_TEST(can(acl, "kv/data/team/", Capability::kList));
  for (const Capability capability :
       {Capability::kCreate, Capability::kUpdate, Capability::kDelete, Capability::kPatch, Capability::kSudo})
    BOOST_TEST(!can(acl, "kv/data/team/x", capability));
  BOOST_TEST(!can(acl, "kv/data/teamx", Capability::kRead));
  BOOST_TEST(!can(acl, "kv/data/other/x", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(s4_61_each_capability_is_its_own) {
  const std::pair<const char*, Capability> all[] = {{"create", Capability::kCreate}, {"read", Capability::kRead},
                                                    {"update", Capability::kUpdate}, {"delete", Capability::kDelete},
                                                    {"list", Capability::kList},     {"sudo", Capability::kSudo},
                                                    {"patch", Capability::kPatch},   {"scan", Capability::kScan}};
  for (const auto& [name, granted] : all) {
    const auto acl = acl_of({"path \"a\" { capabilities = [\"" + std::string(name) + "\"] }"});
    for (const auto& [other, asked] : all)
      BOOST_TEST(can(acl, "a", asked) == (asked == granted), name << " " << other);
    BOOST_TEST(acl->allows("a", Capability::kRead).sudo == (granted == Capability::kSudo));
    BOOST_TEST(!can(acl, "b", granted));
  }
}

BOOST_AUTO_TEST_CASE(s4_62_admin_of_a_team) {
  const auto acl = acl_of({R"(
path "team-alpha/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "team-alpha/metadata/*" { capabilities = ["read", "list", "delete"] }
path "sys/auth" { capabilities = ["read", "list"] }
path "auth/token/renew-self" { capabilities = ["update"] })"});
  BOOST_TEST(can(acl, "team-alpha/data/x", Capability::kPatch));
  BOOST_TEST(!can(acl, "team-alpha/metadata/x", Capability::kPatch));
  BOOST_TEST(can(acl, "sys/auth", Capability::kRead));
  BOOST_TEST(!can(acl, "sys/auth/x", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(s4_70_deny_wins_in_any_order) {
  const std::string_view grant = "path \"a/*\" { capabilities = [\"read\", \"sudo\"] }";
  const std::string_view deny = "path \"a/*\" { capabilities = [\"deny\"] }";
  for (const auto& acl : {acl_of({grant, deny}), acl_of({deny, grant}), acl_of({grant, deny, grant})}) {
    BOOST_TEST(!can(acl, "a/x", Capability::kRead));
    BOOST_TEST(!acl->allows("a/x", Capability::kRead).sudo);
    BOOST_TEST(capability_names(acl->capabilities("a/x").capabilities).front() == "deny");
  }
  ScopedMutant on(Mutant::kAclDenyDoesNotWin);
  BOOST_TEST(can(acl_of({deny, grant}), "a/x", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(policies_unite) {
  const auto acl = acl_of({"path \"a\" { capabilities = [\"read\"] }", "path \"a\" { capabilities = [\"list\"] }"});
  BOOST_TEST(can(acl, "a", Capability::kRead));
  BOOST_TEST(can(acl, "a", Capability::kList));
}

BOOST_AUTO_TEST_CASE(the_most_specific_rule_decides) {
  // Each row: a better rule, a worse one, a path that both match.
  const std::array<const char*, 3> rows[] = {
      {"a/b", "a/*", "a/b"},
      {"a/b", "a/+", "a/b"},
      {"a/b/*", "a/*", "a/b/c"},
      {"a/b*", "a/*", "a/b/c"},
      {"a/b/+", "a/+/c", "a/b/c"},
      {"a/b*", "a/+/c", "a/b/c"},
      {"a/+/c", "a/+/*", "a/b/c"},
      {"a/+", "a/*", "a/b"},
      {"a/+/c", "a/+/+", "a/b/c"},
      {"a/+/c/*", "a/+/+/*", "a/b/c/d"},
      {"a/+/cc*", "a/+/c*", "a/b/ccc"},
      {"a/*", "a/+/*", "a/b/c"},
      {"a/*", "*", "a/b"},
      {"+/b", "*", "a/b"},
  };
  for (const auto& [better, worse, path] : rows) {
    const auto rule = [](const char* text, const char* capability) {
      return std::string("path \"") + text + "\" { capabilities = [\"" + capability + "\"] }\n";
    };
    const auto acl = acl_of({rule(worse, "read") + rule(better, "deny")});
    BOOST_TEST(!can(acl, path, Capability::kRead), better << " over " << worse);
    const auto other = acl_of({rule(worse, "deny") + rule(better, "read")});
    BOOST_TEST(can(other, path, Capability::kRead), better << " over " << worse);
  }
}

BOOST_AUTO_TEST_CASE(a_plus_beside_other_characters_is_only_a_character) {
  const auto acl = acl_of({R"(path "kv/foo+bar/+/x" { capabilities = ["deny"] }
                              path "kv/foo+b*" { capabilities = ["read"] }
                              path "kv/+a" { capabilities = ["read"] }
                              path "kv/+/b" { capabilities = ["update"] })"});
  // The wildcard of the first rule stands behind that of the second, so the first decides.
  BOOST_TEST(!can(acl, "kv/foo+bar/t/x", Capability::kRead));
  BOOST_TEST(can(acl, "kv/foo+bar/t/y", Capability::kRead));
  BOOST_TEST(!can(acl, "kv/foobar/t/y", Capability::kRead));
  BOOST_TEST(can(acl, "kv/+a", Capability::kRead));
  BOOST_TEST(!can(acl, "kv/xa", Capability::kRead));
  BOOST_TEST(can(acl, "kv/foo+bar/b", Capability::kRead));
  BOOST_TEST(can(acl, "kv/foo/b", Capability::kUpdate));
}

BOOST_AUTO_TEST_CASE(plus_is_one_segment) {
  const auto acl = acl_of({"path \"secret/+/team\" { capabilities = [\"read\"] }\n"
                           "path \"x/+y/z\" { capabilities = [\"read\"] }"});
  BOOST_TEST(can(acl, "secret/a/team", Capability::kRead));
  for (const char* path :
       {"secret/team", "secret/a/b/team", "secret/a/team/b", "secret/a/teams", "secretx/a/team", "secret/a", "x/qy/z"})
    BOOST_TEST(!can(acl, path, Capability::kRead), path);
  BOOST_TEST(can(acl, "x/+y/z", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(d3_a_denied_folder_is_not_listed) {
  const std::string_view text = R"(path "secret/metadata/*" { capabilities = ["list", "read"] }
path "secret/metadata/private/*" { capabilities = ["deny"] })";
  const auto acl = acl_of({text});
  BOOST_TEST(!can(acl, "secret/metadata/private/", Capability::kList));
  BOOST_TEST(!can(acl, "secret/metadata/private", Capability::kList));
  BOOST_TEST(!can(acl, "secret/metadata/private/app/", Capability::kList));
  BOOST_TEST(can(acl, "secret/metadata/public/", Capability::kList));
  BOOST_TEST(can(acl, "secret/metadata/", Capability::kList));
  ScopedMutant on(Mutant::kAclListSlashStripped);
  BOOST_TEST(can(acl, "secret/metadata/private/", Capability::kList));
}

BOOST_AUTO_TEST_CASE(list_takes_both_spellings) {
  for (const char* rule : {"a/b", "a/b/", "a/+", "a/+/", "a/b*", "a/*", "a/b/*"}) {
    const auto acl = acl_of({std::string("path \"") + rule + "\" { capabilities = [\"list\"] }"});
    BOOST_TEST(can(acl, "a/b/", Capability::kList), rule);
    BOOST_TEST(can(acl, "a/b", Capability::kList), rule);
  }
  const auto acl = acl_of({"path \"a/b/\" { capabilities = [\"read\"] }"});
  BOOST_TEST(!can(acl, "a/b", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(root_may_everything) {
  const auto acl = Acl::root();
  BOOST_TEST(acl->is_root());
  BOOST_TEST(can(acl, "sys/seal", Capability::kSudo));
  BOOST_TEST(acl->allows("x", Capability::kRead).sudo);
  BOOST_TEST(acl->has_access_below("secret/"));
  const auto named = std::make_shared<const Policy>(Policy{"root", {}});
  const std::shared_ptr<const Policy> policies[] = {named};
  BOOST_TEST(Acl::compile(policies)->is_root());
  BOOST_TEST(!can(Acl::compile({}), "a", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(templates_fill_one_literal_segment) {
  const std::string_view text = "path \"users/{{ identity.entity.name }}/*\" { capabilities = [\"read\"] }\n"
                                "path \"other/*\" { capabilities = [\"read\"] }";
  const auto with = [](std::string value) {
    return [value](std::string_view expression) {
      return expression == "identity.entity.name" ? std::optional(value) : std::nullopt;
    };
  };
  BOOST_TEST(can(acl_of({text}, with("anna")), "users/anna/x", Capability::kRead));
  BOOST_TEST(!can(acl_of({text}, with("anna")), "users/bob/x", Capability::kRead));
  BOOST_TEST(!can(acl_of({text}), "users//x", Capability::kRead));
  // D4: a value that would widen the path grants nothing.
  for (const char* value : {"+", "*", "a*", "a/b", "", "..", "a/+", "{{x}}", "a\\b"}) {
    const auto acl = acl_of({text}, with(value));
    for (const char* path : {"users/anna/x", "users/a/b/x", "users/ax/x", "users/+/x", "users//x"})
      BOOST_TEST(!can(acl, path, Capability::kRead), value << " " << path);
    BOOST_TEST(can(acl, "other/x", Capability::kRead));
  }
  ScopedMutant on(Mutant::kAclTemplateRaw);
  BOOST_TEST(can(acl_of({text}, with("+")), "users/anna/x", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(d5_a_deny_that_cannot_be_filled_denies_all) {
  const std::string_view text = "path \"*\" { capabilities = [\"read\"] }\n"
                                "path \"users/{{identity.entity.id}}/*\" { capabilities = [\"deny\"] }";
  const auto acl = acl_of({text});
  BOOST_TEST(!can(acl, "anything", Capability::kRead));
  BOOST_TEST(!acl->capabilities("anything").allowed);
  BOOST_TEST(!acl->has_access_below("anything/"));
  ScopedMutant on(Mutant::kAclTemplateDenyDropped);
  BOOST_TEST(can(acl_of({text}), "anything", Capability::kRead));
}

BOOST_AUTO_TEST_CASE(access_below_a_mount) {
  const auto below = [](std::string_view rule, std::string_view folder) {
    return acl_of({"path \"" + std::string(rule) + "\" { capabilities = [\"read\"] }"})->has_access_below(folder);
  };
  for (const char* rule : {"secret/data/x", "secret/*", "secret/data/+/x", "+/data/x", "*", "s*", "secret/", "+/*",
                           "secret/data/*", "sec*", "secret", "+"})
    BOOST_TEST(below(rule, "secret/"), rule);
  for (const char* rule : {"secrets/x", "kv/*", "kv/+/x", "t*"})
    BOOST_TEST(!below(rule, "secret/"), rule);
  const auto denied = acl_of({"path \"secret/*\" { capabilities = [\"deny\"] }"});
  BOOST_TEST(!denied->has_access_below("secret/"));
  // Of some capabilities only.
  const auto listing = acl_of({"path \"secret/*\" { capabilities = [\"list\", \"scan\"] }\n"
                               "path \"secret/team/+/x\" { capabilities = [\"read\"] }"});
  BOOST_TEST(listing->has_access_below("secret/other/"));
  BOOST_TEST(!listing->has_access_below("secret/other/", bit(Capability::kRead)));
  BOOST_TEST(listing->has_access_below("secret/team/", bit(Capability::kRead)));
  BOOST_TEST(listing->has_access_below("secret/team/a/", bit(Capability::kRead)));
}

std::string constraint_error(std::string_view rules, std::string_view data, Capability capability = Capability::kUpdate,
                             std::optional<Nanos> ttl = {}) {
  const auto acl = acl_of(
      {"path \"a\" { capabilities = [\"create\", \"read\", \"update\", \"delete\"]\n" + std::string(rules) + "}"});
  const auto document = json::Document::parse(data);
  return check_constraints(acl->allows("a", capability), capability, document->root, ttl).message();
}

BOOST_AUTO_TEST_CASE(parameters_are_enforced) {
  const char* allowed = "allowed_parameters = { Name = [] color = [\"red\", \"bl*\"] n = [5, true] }";
  for (const char* data : {"{}", "null", R"({"name":"x"})", R"({"NAME":7,"color":"red"})", R"({"color":"blue"})",
                           R"({"n":5})", R"({"n":true})"})
    BOOST_TEST(constraint_error(allowed, data) == "", data);
  for (const char* data : {R"({"other":1})", R"({"color":"green"})", R"({"n":6})", R"({"n":"5"})", R"({"color":null})",
                           R"({"color":{"a":"red"}})"})
    BOOST_TEST(constraint_error(allowed, data) != "", data);
  BOOST_TEST(constraint_error("allowed_parameters = { \"*\" = [] color = [\"red\"] }", R"({"x":1,)"
                                                                                       R"("color":"red"})") == "");
  BOOST_TEST(constraint_error("allowed_parameters = { \"*\" = [] color = [\"red\"] }", R"({"x":1,)"
                                                                                       R"("color":"blue"})") != "");
  BOOST_TEST(constraint_error("denied_parameters = { color = [\"red\"] }", R"({"color":"red"})") ==
             "parameter \"color\" is denied by the policy");
  BOOST_TEST(constraint_error("denied_parameters = { color = [\"red\"] }", R"({"COLOR":"red"})") != "");
  BOOST_TEST(constraint_error("denied_parameters = { color = [\"red\"] }", R"({"color":"blue"})") == "");
  BOOST_TEST(constraint_error("denied_parameters = { color = [] }", R"({"color":"blue"})") != "");
  BOOST_TEST(constraint_error("denied_parameters = { \"*\" = [] }", R"({"x":"blue"})") != "");
  BOOST_TEST(constraint_error("denied_parameters = { \"*\" = [] }", "{}") == "");
  BOOST_TEST(constraint_error("required_parameters = [\"Name\"]", R"({"name":1})") == "");
  BOOST_TEST(constraint_error("required_parameters = [\"name\"]", R"({"other":1})") ==
             "the policy requires parameter \"name\"");
  BOOST_TEST(constraint_error("required_parameters = [\"name\"]", "null", Capability::kDelete) == "");
  BOOST_TEST(constraint_error("allowed_parameters = { l = [[\"a\", \"b\"]] }", R"({"l":["a","b"]})") == "");
  BOOST_TEST(constraint_error("allowed_parameters = { l = [[\"a\", \"b\"]] }", R"({"l":["a"]})") != "");
}

BOOST_AUTO_TEST_CASE(wrapping_is_enforced) {
  using std::chrono::seconds;
  const char* rules = "min_wrapping_ttl = 10\nmax_wrapping_ttl = \"1m\"";
  BOOST_TEST(constraint_error(rules, "{}") == "the policy asks for a wrapped response");
  BOOST_TEST(constraint_error(rules, "{}", Capability::kRead, seconds(30)) == "");
  BOOST_TEST(constraint_error(rules, "{}", Capability::kDelete, seconds(9)) != "");
  BOOST_TEST(constraint_error(rules, "{}", Capability::kRead, seconds(61)) != "");
}

BOOST_AUTO_TEST_CASE(constraints_of_policies_merge) {
  const auto acl = acl_of(
      {R"(path "a" { capabilities = ["update"] allowed_parameters = { x = ["1"] } max_wrapping_ttl = 60 })",
       R"(path "a" { capabilities = ["update"] allowed_parameters = { x = ["2"] y = [] } max_wrapping_ttl = 30 )"
       R"(required_parameters = ["x"] })"});
  const auto check = [&](std::string_view data, std::int64_t ttl) {
    const auto document = json::Document::parse(data);
    return check_constraints(acl->allows("a", Capability::kUpdate), Capability::kUpdate, document->root,
                             std::chrono::seconds(ttl))
        .ok();
  };
  BOOST_TEST(check(R"({"x":"1"})", 30));
  BOOST_TEST(check(R"({"x":"2","y":3})", 30));
  BOOST_TEST(!check(R"({"x":"3"})", 30));
  BOOST_TEST(!check(R"({"y":"1"})", 30));
  BOOST_TEST(!check(R"({"x":"1"})", 31));
}

// Rules and paths over few names, so that they meet often.
class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed) {}

  std::string rule() {
    static constexpr std::array kParts{"a", "b", "ab", "abc", "c", "+", "+", "+a", "a+", ""};
    std::string text;
    for (std::size_t n = 1 + pick(4); n > 0; --n) {
      text += text.empty() ? "" : "/";
      text += kParts[pick(kParts.size())];
    }
    const std::size_t end = pick(8);
    if (end < 3 && text.back() != '+')
      text += "*";
    else if (end == 3)
      text += "/*";
    else if (end == 4)
      text += "/";
    return text.find("+*") == std::string::npos ? text : "a/*";
  }

  std::string path() {
    static constexpr std::array kParts{"a", "b", "ab", "abc", "abcd", "c", "d", "+a", "a+"};
    std::string text = kParts[pick(kParts.size())];
    for (std::size_t n = pick(4); n > 0; --n)
      text += std::string("/") + kParts[pick(kParts.size())];
    return pick(4) == 0 ? text + "/" : text;
  }

  CapabilitySet capabilities() {
    return pick(5) == 0 ? bit(Capability::kDeny)
                        : static_cast<CapabilitySet>(2u << pick(7)) | static_cast<CapabilitySet>(2u << pick(7));
  }

  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_()) % below; }

 private:
  std::mt19937_64 random_;
};

std::size_t differences(std::size_t decisions, std::uint64_t seed) {
  RandomWorld world(seed);
  const WallTime now = WallTime(std::chrono::seconds(1'900'000'000));
  std::size_t different = 0;
  while (decisions > 0) {
    AclOracle oracle;
    std::vector<std::shared_ptr<const Policy>> policies;
    for (std::size_t p = 1 + world.pick(3); p > 0; --p) {
      Policy policy{"p", {}};
      for (std::size_t r = world.pick(7); r > 0; --r) {
        const std::string text = world.rule();
        const CapabilitySet set = world.capabilities();
        PathRule rule{.path = text, .capabilities = set};
        const std::int64_t limit = world.pick(4) == 0 ? static_cast<std::int64_t>(1 + world.pick(9)) : 0;
        if (limit > 0) {
          Constraints constraints;
          constraints.pagination_limit = limit;
          rule.constraints = std::make_shared<const Constraints>(std::move(constraints));
        }
        if (world.pick(3) == 0)
          rule.expires = now + std::chrono::seconds(static_cast<int>(world.pick(5)) - 2);
        if (rule.expires > now)
          oracle.add(text, set, limit);
        policy.paths.push_back(std::move(rule));
      }
      policies.push_back(std::make_shared<const Policy>(std::move(policy)));
    }
    oracle.prepare();
    const auto acl = Acl::compile(policies, {}, now);
    different += !acl->holds_at(now);
    for (int i = 0; i < 500 && decisions > 0; ++i, --decisions) {
      const std::string path = world.path();
      const auto capability = static_cast<Capability>(2u << world.pick(8));
      const bool list = capability == Capability::kList || capability == Capability::kScan;
      const AclOracle::Said expected = oracle.decide(path, list);
      const Decision decision = acl->allows(path, capability);
      const std::int64_t limit = decision.constraints == nullptr ? 0 : decision.constraints->pagination_limit;
      different += decision.capabilities != expected.capabilities || limit != expected.limit ||
                   decision.allowed != ((expected.capabilities & bit(capability)) != 0);
    }
  }
  return different;
}

BOOST_AUTO_TEST_CASE(agrees_with_the_oracle) {
  const std::size_t decisions = from_env("COFFER_ACL_DECISIONS", 10'000'000 / kShare);
  const std::size_t found = differences(decisions, from_env("COFFER_SEED", 1));
  BOOST_TEST_MESSAGE(decisions << " random decisions, " << found << " differ from the oracle");
  BOOST_TEST(found == 0u);
  ScopedMutant list(Mutant::kAclListSlashStripped);
  BOOST_TEST(differences(100'000, 2) > 0u);
}

BOOST_AUTO_TEST_CASE(the_oracle_sees_a_rule_that_outlives_its_end) {
  ScopedMutant kept(Mutant::kAclExpirationIgnored);
  BOOST_TEST(differences(100'000, 2) > 0u);
}

BOOST_AUTO_TEST_CASE(the_oracle_sees_a_deny_that_does_not_win) {
  ScopedMutant deny(Mutant::kAclDenyDoesNotWin);
  BOOST_TEST(differences(100'000, 2) > 0u);
}

std::size_t resident_pages() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident;
}

// K3: checks take no memory that stays.
BOOST_AUTO_TEST_CASE(k3_checks_keep_no_memory) {
  const auto acl = acl_of({"path \"secret/*\" { capabilities = [\"read\"] }\n"
                           "path \"kv/+/x\" { capabilities = [\"read\"] }\n"
                           "path \"sys/health\" { capabilities = [\"read\"] }"});
  const std::array<std::string, 4> paths{"secret/data/a/b/c", "kv/team/x", "sys/health", "unknown/path/of/some/length"};
  const auto check_all = [&](std::size_t times) {
    std::size_t allowed = 0;
    for (std::size_t i = 0; i < times; ++i)
      allowed += can(acl, paths[i % 4], i % 8 < 4 ? Capability::kRead : Capability::kList);
    return allowed;
  };
  BOOST_TEST(check_all(1000) > 0u);
  const std::size_t checks = from_env("COFFER_ACL_CHECKS", 2'000'000 / kShare);
  [[maybe_unused]] const std::size_t pages = resident_pages();
  const auto heap = mallinfo2().uordblks;
  const std::size_t allowed = check_all(checks);
  const auto heap_after = mallinfo2().uordblks;
  [[maybe_unused]] const std::size_t pages_after = resident_pages();
  BOOST_TEST(allowed > 0u);
  BOOST_TEST_MESSAGE(checks << " access checks, " << heap_after - heap << " bytes more on the heap");
#ifndef COFFER_DEBUG_CHECKS  // sanitizers have an allocator and memory of their own
  BOOST_TEST(heap_after == heap);
  // A byte a check would be some 500 pages.
  BOOST_TEST(pages_after <= pages + 64);
  ScopedMutant on(Mutant::kAclCheckKeepsMemory);
  (void)check_all(1000);
  BOOST_TEST(mallinfo2().uordblks > heap + 100'000);
#endif
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
