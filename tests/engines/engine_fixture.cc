#include "tests/engines/engine_fixture.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace coffer::testing {

Result<std::optional<std::string_view>> MapTxn::get(const store::StoreKey& key) {
  ++reads_;
  const auto at = records_.find(std::string(key.rest));
  if (at == records_.end())
    return std::optional<std::string_view>();
  return std::optional<std::string_view>(arena_.copy(at->second));
}

Status MapTxn::put(const store::StoreKey& key, std::string_view plaintext) {
  ++writes_;
  records_[std::string(key.rest)] = plaintext;
  return ok_status();
}

Status MapTxn::erase(const store::StoreKey& key) {
  ++writes_;
  records_.erase(std::string(key.rest));
  return ok_status();
}

Result<core::ListPage> MapTxn::list(const store::StoreKey& folder, std::string_view after, std::size_t limit) {
  core::ListPage page;
  const std::string prefix(folder.rest);
  for (auto at = records_.lower_bound(prefix); at != records_.end() && at->first.starts_with(prefix); ++at) {
    std::string_view name = std::string_view(at->first).substr(prefix.size());
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos)
      name = name.substr(0, slash + 1);
    if (name <= after || (!page.names.empty() && page.names.back() == name))
      continue;
    if (limit != 0 && page.names.size() == limit) {
      page.more = true;
      break;
    }
    page.names.push_back(arena_.copy(name));
  }
  return page;
}

Status FakeCaller::may(core::Operation operation, std::string_view path, bool, const json::Value&) const {
  for (const auto& [what, where] : denied)
    if (what == operation && where == path)
      return Status(Code::kDenied, "permission denied");
  return ok_status();
}

bool FakeCaller::reaches(std::string_view path) const {
  return std::find(unreached.begin(), unreached.end(), path) == unreached.end();
}

EngineMount::EngineMount(std::unique_ptr<core::Engine> engine, std::string path)
    : caller(path), engine_(std::move(engine)) {
  info.id = MountId(7);
  info.path = std::move(path);
  info.type = std::string(engine_->type());
}

Result<core::Tended> EngineMount::tend() {
  json::Arena arena;
  std::map<std::string, std::string> records_after = records;
  MapTxn txn(records_after, arena, now);
  core::Storage storage(txn, NamespaceId(0), info.id, store::KeyClass::kShared);
  core::TendContext ctx{storage, info, arena, now};
  const Result<core::Tended> tended = engine_->tend(ctx);
  if (tended.ok())
    records = std::move(records_after);
  return tended;
}

Answer EngineMount::call(core::Operation operation, std::string_view path, std::string_view body) {
  now += std::chrono::seconds(1);
  json::Arena arena;
  core::Request request;
  request.operation = operation;
  request.content_type = content_type;
  request.remote_address = remote_address;
  if (!body.empty()) {
    auto parsed = json::parse_copy(arena, body);
    COFFER_CHECK(parsed.ok());
    request.data = *parsed;
  }
  Answer answer;
  const core::PathTable& table = engine_->paths(info);
  const std::string path_text(path);
  const auto match = table.match(path_text, operation);
  if (!match || match->operation == nullptr) {
    answer.status = match ? 405 : 404;
    return answer;
  }
  core::Response response;
  std::map<std::string, std::string> records_after = records;
  MapTxn txn(records_after, arena, now);
  core::Storage storage(txn, NamespaceId(0), info.id, store::KeyClass::kShared);
  core::HandlerContext ctx{request,         response, arena,  storage,   info, now, system_random(), path_text,
                           match->captures, token_key, operation};
  ctx.caller = &caller;
  if (operation == core::Operation::kWrite && match->spec->exists != nullptr) {
    auto exists = match->spec->exists(ctx);
    answer.update = exists.ok() && *exists;
  }
  std::unique_ptr<core::PreparedWork> work;
  while (match->operation->prepare != nullptr) {
    auto more = match->operation->prepare(ctx);
    if (!more.ok()) {
      answer.status = core::http_status(more.status().code());
      answer.error = more.status().message();
      return answer;
    }
    if (*more == nullptr)
      break;
    work = std::move(*more);
    work->perform();
    ctx.prepared = work.get();
    ++answer.prepared;
  }
  const std::size_t reads_before = txn.read_count();
  const Status status = match->operation->handler(ctx);
  answer.reads = txn.read_count() - reads_before;
  answer.writes = txn.write_count();
  COFFER_CHECK(match->operation->effect == core::Effect::kWrites || !txn.writes());
  if (!status.ok()) {
    answer.status = core::http_status(status.code());
    answer.error = status.message();
    return answer;
  }
  records = std::move(records_after);
  if (!response.data.is_null())
    json::write(response.data, answer.data);
  if (ctx.login) {
    std::string metadata;
    json::write(ctx.login->metadata, metadata, {.sort_keys = true});
    answer.login = std::string(ctx.login->display_name) + "|" + std::string(ctx.login->alias) + "|" +
                   std::string(ctx.login->role) + "|" + metadata;
    answer.params = ctx.login->params;
  }
  answer.status = response.status != 0                     ? response.status
                  : response.data.is_null() && !ctx.login ? 204
                                                           : 200;
  if (!response.errors.empty())
    answer.error = response.errors.front();
  if (!response.warnings.empty())
    answer.warning = response.warnings.front();
  answer.lease = response.lease_duration;
  return answer;
}

Result<core::TokenParams> EngineMount::renew(std::string_view role, const std::vector<std::string_view>& policies) {
  json::Arena arena;
  const core::Request request;
  core::Response response;
  MapTxn txn(records, arena, now);
  core::Storage storage(txn, NamespaceId(0), info.id, store::KeyClass::kShared);
  core::HandlerContext ctx{request, response, arena, storage, info, now, system_random(), {}, {}, {},
                           core::Operation::kWrite};
  return engine_->renew_login(ctx, role, policies);
}

}  // namespace coffer::testing
