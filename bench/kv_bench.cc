// KV version 2's handlers on a transaction that is one map: what engine and codec cost without barrier and store.
#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

#include "base/check.h"
#include "core/path_table.h"
#include "engines/kv/kv.h"

namespace {

using namespace coffer;

class MapTxn final : public core::Txn {
 public:
  explicit MapTxn(std::map<std::string, std::string, std::less<>>& records) : records_(records) {}
  Index view_index() const override { return Index(1); }
  WallTime now() const override { return WallTime(std::chrono::seconds(1795315230)); }
  Result<std::optional<std::string_view>> get(const store::StoreKey& key) override {
    const auto at = records_.find(key.rest);
    return at == records_.end() ? std::optional<std::string_view>() : std::optional<std::string_view>(at->second);
  }
  Status put(const store::StoreKey& key, std::string_view plaintext) override {
    written_.emplace_back(key.rest, plaintext);
    return ok_status();
  }
  Status erase(const store::StoreKey&) override { return ok_status(); }
  Result<core::ListPage> list(const store::StoreKey&, std::string_view, std::size_t) override {
    return core::ListPage();
  }
  void note(const core::Change&) override {}
  bool writes() const override { return !written_.empty(); }
  void commit() {
    for (auto& [key, value] : written_)
      records_[key] = std::move(value);
  }

 private:
  std::map<std::string, std::string, std::less<>>& records_;
  std::vector<std::pair<std::string, std::string>> written_;
};

struct Mount {
  Mount() { info.options = {{"version", "2"}}; }
  // One request: match, handler, and the answer's text.
  std::size_t call(core::Operation operation, std::string_view path, std::string_view body, std::string& out) {
    core::Request request;
    request.operation = operation;
    if (!body.empty())
      request.data = *json::parse(arena, body);
    core::Response response;
    MapTxn txn(records);
    core::Storage storage(txn, NamespaceId(0), MountId(7), store::KeyClass::kShared);
    auto match = engine->paths(info).match(path, operation);
    core::HandlerContext ctx{request, response, arena, storage, info, txn.now(), system_random(), path,
                             std::move(match->captures), "token", operation};
    COFFER_CHECK(match->operation->handler(ctx).ok());
    txn.commit();
    json::write(response.data, out);
    arena.reset();
    return out.size();
  }
  std::unique_ptr<core::Engine> engine = engines::make_kv_engine();
  core::MountInfo info;
  json::Arena arena;
  std::map<std::string, std::string, std::less<>> records;
};

constexpr std::string_view kBody = R"({"data":{"username":"app_user","password":"P@ssw0rd!2026",)"
                                   R"("host":"postgres.internal","port":"5432"}})";

void read_newest(benchmark::State& state) {
  Mount mount;
  std::string out;
  for (int i = 0; i < 10; ++i)
    mount.call(core::Operation::kWrite, "data/team/app/database", kBody, out);
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(mount.call(core::Operation::kRead, "data/team/app/database", {}, out));
  }
}
BENCHMARK(read_newest);

void write_next_version(benchmark::State& state) {
  Mount mount;
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(mount.call(core::Operation::kWrite, "data/team/app/database", kBody, out));
  }
}
BENCHMARK(write_next_version);

// The least that either does: parse the body, write the answer.
void ceiling_parse_and_write(benchmark::State& state) {
  json::Arena arena;
  std::string out;
  for (auto _ : state) {
    out.clear();
    json::write(*json::parse(arena, kBody), out);
    benchmark::DoNotOptimize(out.data());
    arena.reset();
  }
}
BENCHMARK(ceiling_parse_and_write);

}  // namespace
