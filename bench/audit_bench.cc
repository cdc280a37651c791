// What a KV read's two audit lines cost, with the ceiling beside: the HMACs in it and nothing else, and the copy of the
// text.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "base/check.h"
#include "core/audit_device.h"
#include "core/audit_format.h"
#include "core/audit_ring.h"
#include "core/pipeline_state.h"

namespace {

using namespace coffer;

struct Read {
  Read()
      : salt(SecretBytes::copy_of(std::string(32, 's'))),
        formatter(salt, core::AuditOptions(), "v1.21.0+builtin.coffer") {
    core::Request& q = exchange.request;
    q.id = "2b83dec2-3dc4-461a-a60e-b78bb3a877c7";
    q.path = *CanonicalPath::from_text("secret/data/team/app/database");
    q.token = "hvs.CAESIJlU9JMYEhOPYv4igdhm9PnZDrabYTobQ4Ymnlq1qY-LGh4KHGh2cy5UMzNPYWlXRThERVRDYmt2";
    q.remote_address = "127.0.0.1";
    q.remote_port = 50482;
    metadata = *json::parse_copy(exchange.arena, R"({"created_time":"2026-11-22T02:40:30.814566774Z",)"
                                                 R"("custom_metadata":null,"deletion_time":"","destroyed":false,)"
                                                 R"("version":1})");
    members[0] = {json::Value::borrowed("data"), json::Value::raw(R"({"password":"P@ssw0rd!2026"})")};
    members[1] = {json::Value::borrowed("metadata"), metadata};
    exchange.response.data = json::Value::object(members);
    facts.accessor = "9JHN8Q3cx0jsFsjkJ0OgyzFZ";
    facts.display_name = "token";
    facts.token_type = "service";
    facts.policies = {"default", "kv-reader"};
    facts.token_policies = {"default", "kv-reader"};
    facts.token_ttl = std::chrono::hours(1);
    facts.token_issue_time = now;
    facts.mount_point = "secret/";
    facts.mount_type = "kv";
    facts.mount_accessor = "kv_c800f02b";
    facts.client_token_known = true;
  }
  SecretBytes salt;
  core::AuditFormatter formatter;
  core::Exchange exchange;
  core::AuditFacts facts;
  json::Value metadata;
  json::Member members[2];
  WallTime now = WallTime(std::chrono::seconds(1795315230) + Nanos(824367385));
};

void two_lines_of_a_read(benchmark::State& state) {
  Read read;
  core::AuditLine line;
  line.text.reserve(4096);
  for (auto _ : state) {
    line.clear();
    read.formatter.append(read.exchange, core::AuditPhase::kRequest, read.facts, read.now, {}, line);
    read.formatter.append(read.exchange, core::AuditPhase::kResponse, read.facts, read.now, {}, line);
    benchmark::DoNotOptimize(line.text.data());
  }
  state.counters["bytes"] = static_cast<double>(line.text.size());
}
BENCHMARK(two_lines_of_a_read);

// Token, accessor, the secret's value and its creation time: what has to be hashed anew for every read.
void ceiling_four_hmacs(benchmark::State& state) {
  Read read;
  const crypto::HmacKey key(read.salt);
  for (auto _ : state) {
    benchmark::DoNotOptimize(key.mac(read.exchange.request.token));
    benchmark::DoNotOptimize(key.mac(read.facts.accessor));
    benchmark::DoNotOptimize(key.mac(std::string_view("P@ssw0rd!2026")));
    benchmark::DoNotOptimize(key.mac(std::string_view("2026-11-22T02:40:30.814566774Z")));
  }
}
BENCHMARK(ceiling_four_hmacs);

void ceiling_copy_of_the_text(benchmark::State& state) {
  const std::string text(2200, 'x');
  std::string to;
  to.reserve(4096);
  for (auto _ : state) {
    to.clear();
    to.append(text);
    benchmark::DoNotOptimize(to.data());
  }
}
BENCHMARK(ceiling_copy_of_the_text);

class NoSink final : public core::AuditSink {
 public:
  void audited(std::unique_ptr<core::Exchange>, const Status&) override {}
};

// A submission's way through the ring, 32 a batch.
void ring_offer(benchmark::State& state) {
  const std::string text = std::string(2199, 'x') + "\n";
  core::AuditRing ring;
  std::vector<core::AuditRing::Waiter> waiters;
  NoSink sink;
  for (auto _ : state) {
    for (int i = 0; i < 32; ++i) {
      core::AuditTicket ticket(std::unique_ptr<core::Exchange>(), sink);
      COFFER_CHECK(ring.offer(text, ticket, BootTime{}));
    }
    benchmark::DoNotOptimize(ring.take().data());
    ring.finish_batch(waiters);
  }
  state.SetItemsProcessed(state.iterations() * 32);
}
BENCHMARK(ring_offer);

}  // namespace
