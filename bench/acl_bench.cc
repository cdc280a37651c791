// One access decision for a usual token (default and one team policy) and for a large set of rules, with a bare hash
// look-up of the same path as the ceiling.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/acl.h"

namespace coffer::core {
namespace {

std::shared_ptr<const Policy> policy_of(std::string_view name, std::string_view text) {
  return std::make_shared<const Policy>(parse_policy(name, text).value());
}

std::shared_ptr<const Acl> usual() {
  const std::shared_ptr<const Policy> policies[] = {policy_of("default", default_policy_text()), policy_of("team", R"(
path "secret/data/team-alpha/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "secret/metadata/team-alpha/*" { capabilities = ["list"] }
path "secret/+/shared/*" { capabilities = ["read"] }
path "sys/auth" { capabilities = ["read", "list"] })")};
  return Acl::compile(policies);
}

// `rules` exact, prefix and '+' rules each.
std::shared_ptr<const Acl> large(std::int64_t rules) {
  std::string text;
  for (std::int64_t i = 0; i < rules; ++i) {
    const std::string n = std::to_string(i);
    text += "path \"secret/data/exact/" + n + "\" { capabilities = [\"read\"] }\n";
    text += "path \"secret/data/team-" + n + "/*\" { capabilities = [\"read\"] }\n";
    text += "path \"kv-" + n + "/+/config\" { capabilities = [\"read\"] }\n";
  }
  const std::shared_ptr<const Policy> policies[] = {policy_of("large", text)};
  return Acl::compile(policies);
}

void decide(benchmark::State& state, const std::shared_ptr<const Acl>& acl, const std::string& path,
            Capability capability) {
  for (auto _ : state) {
    Decision decision = acl->allows(path, capability);
    benchmark::DoNotOptimize(decision);
  }
}

void prefix_rule(benchmark::State& state) {
  decide(state, usual(), "secret/data/team-alpha/app/database-0001", Capability::kRead);
}
void exact_rule(benchmark::State& state) { decide(state, usual(), "auth/token/lookup-self", Capability::kRead); }
void plus_rule(benchmark::State& state) {
  decide(state, usual(), "secret/data/shared/database-0001", Capability::kRead);
}
void no_rule(benchmark::State& state) { decide(state, usual(), "database/creds/readonly", Capability::kRead); }
void list_of_folder(benchmark::State& state) {
  decide(state, usual(), "secret/metadata/team-alpha/app/", Capability::kList);
}
BENCHMARK(prefix_rule);
BENCHMARK(exact_rule);
BENCHMARK(plus_rule);
BENCHMARK(no_rule);
BENCHMARK(list_of_folder);

void prefix_rule_of_many(benchmark::State& state) {
  decide(state, large(state.range(0)), "secret/data/team-7/app/database-0001", Capability::kRead);
}
void plus_rule_of_many(benchmark::State& state) {
  decide(state, large(state.range(0)), "kv-7/app/config", Capability::kRead);
}
BENCHMARK(prefix_rule_of_many)->Arg(100)->Arg(3000);
BENCHMARK(plus_rule_of_many)->Arg(100)->Arg(3000);

void compile_usual(benchmark::State& state) {
  const std::shared_ptr<const Policy> policies[] = {policy_of("default", default_policy_text())};
  for (auto _ : state) {
    auto acl = Acl::compile(policies);
    benchmark::DoNotOptimize(acl);
  }
}
BENCHMARK(compile_usual);

void ceiling_hash_look_up(benchmark::State& state) {
  const std::unordered_map<std::string, int> rules{{"secret/data/team-alpha/app/database-0001", 1}, {"other", 2}};
  const std::string path = "secret/data/team-alpha/app/database-0001";
  for (auto _ : state) {
    auto found = rules.find(path);
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK(ceiling_hash_look_up);

}  // namespace
}  // namespace coffer::core
