#include "engines/cubbyhole/cubbyhole.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "core/path_table.h"

namespace coffer::engines {
namespace {

using core::HandlerContext;

constexpr std::uint8_t kFormat = 1;

// "<token's key>/<path>" in the arena; kDenied for a request without a token, which has no cubbyhole.
Result<std::string_view> record_name(HandlerContext& ctx) {
  if (ctx.token_key.empty())
    return Status(Code::kDenied, "permission denied");
  const std::string_view path = ctx.captures[0];
  const std::size_t size = ctx.token_key.size() + 1 + path.size();
  auto* at = static_cast<char*>(ctx.arena.allocate(size, 1));
  std::memcpy(at, ctx.token_key.data(), ctx.token_key.size());
  at[ctx.token_key.size()] = '/';
  if (!path.empty())
    std::memcpy(at + ctx.token_key.size() + 1, path.data(), path.size());
  return std::string_view(at, size);
}

bool names_a_folder(HandlerContext& ctx) { return ctx.captures[0].empty() || ctx.captures[0].back() == '/'; }

Status read_record(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, record_name(ctx));
  std::optional<std::string_view> record;
  if (!names_a_folder(ctx)) {
    COFFER_ASSIGN(record, ctx.storage.get(name));
  }
  if (!record) {
    ctx.response.status = 404;
    return ok_status();
  }
  if (record->empty() || static_cast<std::uint8_t>(record->front()) != kFormat)
    return Status(Code::kDataLoss, "cubbyhole record: unknown format");
  ctx.response.data = json::Value::raw(record->substr(1));
  return ok_status();
}

Status write_record(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, record_name(ctx));
  if (names_a_folder(ctx))
    return Status(Code::kInvalid, "cannot write to a path ending in '/'");
  if (ctx.request.data.size() == 0)
    return Status(Code::kInvalid, "missing data fields");
  std::string record;
  record.reserve(ctx.arena.bytes_used() + 64);  // room enough for the text, so that it does not grow and leave pieces
  record.push_back(static_cast<char>(kFormat));
  json::write(ctx.request.data, record, {.sort_keys = true});
  const Status status = ctx.storage.put(name, record);
  wipe(record.data(), record.size());
  return status;
}

Status delete_record(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, record_name(ctx));
  return ctx.storage.erase(name);
}

Status list_records(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, record_name(ctx));
  const std::string folder = std::string(name) + (names_a_folder(ctx) ? "" : "/");
  COFFER_ASSIGN(const core::ListPage page, ctx.storage.list(folder));
  if (page.names.empty()) {
    ctx.response.status = 404;
    return ok_status();
  }
  json::ArrayBuilder keys(ctx.arena, page.names.size());
  for (const std::string_view key : page.names)
    keys.add(key);
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("keys", keys.build()).build();
  return ok_status();
}

Result<bool> record_exists(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view name, record_name(ctx));
  COFFER_ASSIGN(const std::optional<std::string_view> record, ctx.storage.get(name));
  return record.has_value();
}

core::PathSpec spec() {
  using core::Effect;
  using core::Operation;
  return {
      .pattern = "*path?",
      .help = "What the calling token keeps for itself: any JSON object.",
      .fields = {{"path", core::FieldType::kString, "Where it stands."}},
      .operations = {{Operation::kRead, Effect::kReads, read_record, "Read it."},
                     {Operation::kWrite, Effect::kWrites, write_record, "Replace it."},
                     {Operation::kDelete, Effect::kWrites, delete_record, "Remove it."},
                     {Operation::kList, Effect::kReads, list_records, "Names in a folder."}},
      .exists = record_exists,
      .any_fields = true,
  };
}

class CubbyholeEngine final : public core::Engine {
 public:
  CubbyholeEngine() : table_({spec()}) {}
  std::string_view type() const override { return "cubbyhole"; }
  const core::PathTable& paths(const core::MountInfo&) const override { return table_; }

 private:
  const core::PathTable table_;
};

}  // namespace

std::unique_ptr<core::Engine> make_cubbyhole_engine() { return std::make_unique<CubbyholeEngine>(); }

}  // namespace coffer::engines
