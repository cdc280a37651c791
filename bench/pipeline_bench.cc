// A KV read through the whole core (view, token, policy, router, engine), on the memory backend, without audit and
// without a network.
#include <benchmark/benchmark.h>

#include "core/bootstrap.h"
#include "core/identity_engine.h"
#include "core/pipeline.h"
#include "core/sys_engine.h"
#include "core/token_engine.h"
#include "engines/cubbyhole/cubbyhole.h"
#include "engines/kv/kv.h"
#include "engines/userpass/userpass.h"
#include "store/memory_backend.h"
#include "tests/core/fake_committer.h"

namespace {

using namespace coffer;        // NOLINT
using namespace coffer::core;  // NOLINT

AuditEnvironment environment() {
  AuditEnvironment made;
  made.clock = &system_clock();
  return made;
}

class Server final : public Home {
 public:
  Server() {
    engines.add(*sys, MountTable::kSecret, false);
    engines.add(*token, MountTable::kAuth, false);
    engines.add(*kv, MountTable::kSecret, true);
    engines.add(*cubbyhole, MountTable::kSecret, false);
    engines.add(*identity, MountTable::kSecret, false);
    engines.add(*userpass, MountTable::kAuth, true);
    auto keyring = seal::Keyring::create(KeyringId(0), committer.now, system_random());
    COFFER_CHECK(keyring.ok());
    auto first = bootstrap_ops(*seal::Barrier::create(*keyring), root_key,
                               {.now = committer.now, .dev = true, .root_token = "root"}, system_random());
    COFFER_CHECK(first.ok());
    committer.apply(first->ops);
    COFFER_CHECK(deriver.start(**backend.view(), root_key.clone()).ok());
    backend.publish(deriver.attachment());
    exchange = std::make_unique<Exchange>();
    call(Operation::kWrite, "sys/policies/acl/app",
         R"({"policy":"path \"secret/data/*\" { capabilities = [\"read\",\"create\",\"update\"] }"})", "root");
    call(Operation::kWrite, "auth/token/create", R"({"id":"app","policies":["app"]})", "root");
    for (int i = 0; i < 10000; ++i)
      call(Operation::kWrite, "secret/data/k" + std::to_string(i), R"({"data":{"username":"app_user",)"
                                                                   R"("password":"P@ssw0rd!2026"}})", "app");
  }

  void resume_later(std::unique_ptr<Exchange> waiting) override { pipeline.resume(std::move(waiting)); }
  void respond(std::unique_ptr<Exchange> done) override { exchange = std::move(done); }

  int call(Operation operation, std::string_view path, std::string_view body, std::string_view as) {
    std::unique_ptr<Exchange> next = std::move(exchange);
    next->reset();
    next->home = this;
    next->request.operation = operation;
    next->request.path = *CanonicalPath::from_text(path);
    next->request.token = as;
    if (!body.empty())
      next->request.data = *json::parse_copy(next->arena, body);
    pipeline.dispatch(std::move(next));
    return exchange->response.status;
  }

  std::unique_ptr<Engine> sys = make_sys_engine();
  std::unique_ptr<Engine> token = make_token_engine();
  std::unique_ptr<Engine> kv = engines::make_kv_engine();
  std::unique_ptr<Engine> identity = make_identity_engine();
  std::unique_ptr<Engine> userpass = engines::make_userpass_engine();
  std::unique_ptr<Engine> cubbyhole = engines::make_cubbyhole_engine();
  EngineRegistry engines;
  AuditRegistry audit{environment()};
  store::MemoryBackend backend;
  StateDeriver deriver{engines, audit, SystemConfig{}};
  coffer::core::testing::FakeCommitter committer{backend, deriver};
  Services services{backend, committer, engines, audit, system_random()};
  Pipeline pipeline{services, nullptr};
  SecretBytes root_key{32};
  std::unique_ptr<Exchange> exchange;
};

Server& server() {
  static Server one;
  return one;
}

void read_secret(benchmark::State& state) {
  Server& one = server();
  std::vector<std::string> paths;
  for (int i = 0; i < 10000; ++i)
    paths.push_back("secret/data/k" + std::to_string(i * 7919 % 10000));
  std::size_t next = 0;
  for (auto _ : state)
    COFFER_CHECK(one.call(Operation::kRead, paths[next++ % paths.size()], {}, "app") == 0);
}
BENCHMARK(read_secret);

// As read_secret, by the token of a login: its entity is in so many groups, one below the other, and the default policy
// has templates.
void read_secret_as_entity(benchmark::State& state) {
  Server& one = server();
  one.call(Operation::kWrite, "sys/auth/userpass", R"({"type":"userpass"})", "root");
  one.call(Operation::kWrite, "auth/userpass/users/ann", R"({"password":"x","token_policies":"app"})", "root");
  COFFER_CHECK(one.call(Operation::kWrite, "auth/userpass/login/ann", R"({"password":"x"})", "") == 0);
  const std::string token(one.exchange->response.auth->client_token);
  std::string member = R"("member_entity_ids":[")" + std::string(one.exchange->response.auth->entity_id) + R"("])";
  for (int i = 0; i < static_cast<int>(state.range(0)); ++i) {
    const std::string body = R"({"name":"g)" + std::to_string(i) + R"(","policies":["p"],)" + member + "}";
    COFFER_CHECK(one.call(Operation::kWrite, "identity/group", body, "root") == 0);
    if (const json::Value* id = one.exchange->response.data.find("id"))
      member = R"("member_group_ids":[")" + std::string(id->as_string()) + R"("])";
  }
  std::size_t next = 0;
  for (auto _ : state)
    COFFER_CHECK(one.call(Operation::kRead, "secret/data/k" + std::to_string(next++ * 7919 % 10000), {}, token) == 0);
}
BENCHMARK(read_secret_as_entity)->Arg(0)->Arg(3);

void lookup_self(benchmark::State& state) {
  Server& one = server();
  for (auto _ : state)
    COFFER_CHECK(one.call(Operation::kRead, "auth/token/lookup-self", {}, "root") == 0);
}
BENCHMARK(lookup_self);

// With the fake committer's own cost: its check, the entry's codec and a map.
void write_secret(benchmark::State& state) {
  Server& one = server();
  int next = 0;
  for (auto _ : state)
    COFFER_CHECK(one.call(Operation::kWrite, "secret/data/k" + std::to_string(next++ % 10000),
                          R"({"data":{"password":"P@ssw0rd!2026"}})", "app") == 0);
}
BENCHMARK(write_secret)->Iterations(20000);

}  // namespace
