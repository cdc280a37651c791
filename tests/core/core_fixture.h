// A whole core on one thread: memory backend, fake committer, KV and cubbyhole, the pipeline. A request goes in as
// method, path, JSON and comes back as status and JSON.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/audit_broker.h"
#include "core/bootstrap.h"
#include "core/lockout.h"
#include "core/pipeline.h"
#include "core/sys_engine.h"
#include "core/token_engine.h"
#include "store/memory_backend.h"
#include "tests/core/fake_committer.h"

namespace coffer::core::testing {

// The same bytes in every run.
class CountingRandom final : public RandomSource {
 public:
  Status fill(std::span<std::uint8_t> out) override;
  bool failing = false;
  bool out_of_memory = false;  // throws, as an allocation would

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

struct Answer {
  int status = 0;
  bool late = false;
  std::string lease_id;
  std::int64_t lease_duration = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;    // {"data":…,"auth":…,"wrap_info":…,"warnings":…,"errors":…}, absent ones left out
  json::Document json;
  // The member at "data/keys/0", or null.
  json::Value at(std::string_view path) const;
  std::string text(std::string_view path) const;  // a string, or the JSON text of anything else
};

struct Call {
  std::string_view token = "root";
  std::string_view wrap_ttl;
  std::string_view ns;
  Operation operation = Operation::kRead;
};

class CoreFixture : private Home {
 public:
  explicit CoreFixture(AuditEnvironment audit = {});
  ~CoreFixture() override;

  Answer request(Operation operation, std::string_view path, std::string_view body = {},
                 std::string_view token = "root", std::string_view wrap_ttl = {}, std::string_view ns = {});
  Answer read(std::string_view path, std::string_view token = "root") {
    return request(Operation::kRead, path, {}, token);
  }
  Answer write(std::string_view path, std::string_view body = "{}", std::string_view token = "root") {
    return request(Operation::kWrite, path, body, token);
  }
  Answer list(std::string_view path, std::string_view token = "root") {
    return request(Operation::kList, path, {}, token);
  }
  Answer erase(std::string_view path, std::string_view token = "root") {
    return request(Operation::kDelete, path, {}, token);
  }
  // A token with these policies (JSON list) and further fields (", \"ttl\":…").
  std::string token(std::string_view policies, std::string_view fields = {}, std::string_view parent = "root");

  void advance(Nanos by) { committer.now += by; clock.advance(by); }
  // Bytes of the whole state, as stored.
  std::size_t records(store::KeyClass cls, MountId mount, std::string_view prefix = {});

  ManualClock clock;
  CountingRandom random;
  store::MemoryBackend backend;
  EngineRegistry engines;
  AuditRegistry audit;
  std::unique_ptr<StateDeriver> deriver;
  FakeCommitter committer;
  Lockouts lockouts;
  Services services;
  std::unique_ptr<Pipeline> pipeline;
  SecretBytes root_key;
  Nanos time_max{0};  // of each request

 private:
  void resume_later(std::unique_ptr<Exchange> exchange) override;
  void respond(std::unique_ptr<Exchange> exchange) override;

  std::unique_ptr<Engine> sys_, token_, identity_, kv_, cubbyhole_, userpass_, approle_;
  struct Mailbox;
  std::unique_ptr<Mailbox> mailbox_;
};

}  // namespace coffer::core::testing
