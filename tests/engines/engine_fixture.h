// One mount of one engine on a transaction that is a map: what a request becomes after the pipeline has let it through.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "core/caller.h"
#include "core/engine.h"
#include "core/path_table.h"

namespace coffer::testing {

// Reads and writes a map at once; commit is the caller's keeping the map.
class MapTxn final : public core::Txn {
 public:
  MapTxn(std::map<std::string, std::string>& records, json::Arena& arena, WallTime now)
      : records_(records), arena_(arena), now_(now) {}

  Index view_index() const override { return Index(1); }
  WallTime now() const override { return now_; }
  Result<std::optional<std::string_view>> get(const store::StoreKey& key) override;
  Status put(const store::StoreKey& key, std::string_view plaintext) override;
  Status erase(const store::StoreKey& key) override;
  Result<core::ListPage> list(const store::StoreKey& folder, std::string_view after, std::size_t limit) override;
  void note(const core::Change&) override {}
  bool writes() const override { return writes_ != 0; }
  std::size_t write_count() const { return writes_; }
  std::size_t read_count() const { return reads_; }

 private:
  std::map<std::string, std::string>& records_;
  json::Arena& arena_;
  WallTime now_;
  std::size_t writes_ = 0;
  std::size_t reads_ = 0;
};

struct Answer {
  int status = 0;                  // 200, 204 or what the handler set; 405 and 404 when no handler was found
  std::string data;                // JSON text of data, members as built; empty when null
  std::string error;               // the first error, or the Status's text
  std::string warning;             // the first one
  bool update = false;             // a write of what exists
  std::size_t reads = 0;           // records read and written
  std::size_t writes = 0;
  Nanos lease{0};
  std::string login;               // of a login: "display name|alias|role|metadata"; empty otherwise
  core::TokenParams params;        // of a login
  std::size_t prepared = 0;        // works performed before the handler ran
};

// A caller who may do everything but what is denied. There is one mount.
class FakeCaller final : public core::Caller {
 public:
  explicit FakeCaller(std::string prefix) : prefix_(std::move(prefix)) {}
  std::vector<std::pair<core::Operation, std::string>> denied;   // operation, path
  std::vector<std::string> unreached;
  std::string name = "tester";

  std::string_view display_name() const override { return name; }
  std::string_view entity_id() const override { return "entity-1"; }
  std::string_view prefix() const override { return prefix_; }
  Status may(core::Operation operation, std::string_view path, bool exists, const json::Value& data) const override;
  bool reaches(std::string_view path) const override;
  std::optional<core::Place> place_of(std::string_view) const override { return std::nullopt; }

 private:
  std::string prefix_;
};

class EngineMount {
 public:
  EngineMount(std::unique_ptr<core::Engine> engine, std::string path);

  core::MountInfo info;
  FakeCaller caller;
  std::string token_key = "token-1";
  std::string content_type = "application/merge-patch+json";
  std::string remote_address = "127.0.0.1";
  WallTime now{std::chrono::hours(24 * 365 * 50)};
  std::map<std::string, std::string> records;

  // `body` is JSON text of an object, or empty. Like the pipeline: nothing is kept of a run that failed. Time moves a
  // second a call.
  Answer call(core::Operation operation, std::string_view path, std::string_view body = {});
  Answer read(std::string_view path, std::string_view body = {}) { return call(core::Operation::kRead, path, body); }
  Answer write(std::string_view path, std::string_view body) { return call(core::Operation::kWrite, path, body); }
  Answer patch(std::string_view path, std::string_view body) { return call(core::Operation::kPatch, path, body); }
  Answer erase(std::string_view path) { return call(core::Operation::kDelete, path); }
  Answer scan(std::string_view path, std::string_view body = {}) { return call(core::Operation::kScan, path, body); }
  // One step of the engine's own work.
  Result<core::Tended> tend();
  Answer list(std::string_view path) { return call(core::Operation::kList, path); }
  // What the method says of a token of a login with `role`, which has these policies.
  Result<core::TokenParams> renew(std::string_view role, const std::vector<std::string_view>& policies);

 private:
  std::unique_ptr<core::Engine> engine_;
};

}  // namespace coffer::testing
