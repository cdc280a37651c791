#include "core/sys_observe.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "base/time_text.h"
#include "base/version.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/log_stream.h"
#include "core/sys_engine.h"
#include "core/token_store.h"
#include "core/work_pool.h"

namespace coffer::core {
namespace {

constexpr std::string_view kPlainText = "text/plain";
constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};

std::string_view name_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

void raw(Response& response, json::Arena& arena, int status, std::string_view type, std::string_view body) {
  response.status = status;
  response.content_type = type;
  response.raw_body = arena.copy(body);
}

Result<const Instruments*> instruments_of(CallContext& ctx) {
  if (ctx.services.instruments == nullptr)
    return Status(Code::kNotFound, "this server tells nothing of itself");
  return ctx.services.instruments;
}

Status handle_metrics(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  if (!ctx.published.settings->metrics_enabled)
    return Status(Code::kInvalid, "metrics are not enabled");
  answer_metrics(*instruments, ctx.request, ctx.response, ctx.arena);
  return ok_status();
}

Status handle_metrics_config_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 1).add("enable", ctx.published.settings->metrics_enabled).build();
  return ok_status();
}

Status handle_metrics_config_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.field("enable").is_null())
    return Status(Code::kInvalid, "missing required field \"enable\"");
  ServerSettings settings;
  COFFER_ASSIGN(settings.metrics_enabled, ctx.bool_field("enable", true));
  return ctx.txn.put(layout::core_key(std::string(layout::kConfigPrefix).append(kMetricsRecord)),
                     encode_metrics(settings));
}

// What is asked of threads or files of the system, and so of no thread that serves requests.
class Looking final : public WaitingWork {
 public:
  using Look = std::string (*)(const Instruments&);
  Looking(const Instruments& instruments, Look look) : instruments_(instruments), look_(look) {}
  void perform() override { found_ = look_(instruments_); }
  const std::string& found() const { return found_; }

 private:
  const Instruments& instruments_;
  const Look look_;
  std::string found_;
};

template <Looking::Look look>
Result<std::unique_ptr<PreparedWork>> prepare_look(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.prepared != nullptr || ctx.services.instruments == nullptr)
    return std::unique_ptr<PreparedWork>();
  return std::unique_ptr<PreparedWork>(std::make_unique<Looking>(*ctx.services.instruments, look));
}

// Kept by no reading inside of another request.
Result<std::string_view> looked_up(CallContext& ctx) {
  COFFER_TRY(instruments_of(ctx).status());
  if (ctx.prepared == nullptr)
    return Status(Code::kUnsupported, "this path can be read by a request of its own only");
  return std::string_view(static_cast<const Looking*>(ctx.prepared)->found());
}

std::string in_flight_text(const Instruments& instruments) {
  json::Arena arena;
  json::ObjectBuilder all(arena);
  for (const Instruments::InFlight& one : instruments.in_flight())
    all.add(one.id, json::ObjectBuilder(arena, 5)
                        .add("start_time", format_time(one.started))
                        .add("client_remote_address", one.remote_address)
                        .add("request_path", one.path)
                        .add("request_method", one.method)
                        .add("client_id", "")
                        .build());
  std::string out;
  json::write(all.build(), out);
  return out;
}

std::string host_text(const Instruments& instruments) { return instruments.host_info(); }

Status handle_in_flight(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view found, looked_up(ctx));
  raw(ctx.response, ctx.arena, 200, "application/json", found);
  return ok_status();
}

Status handle_host_info(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view found, looked_up(ctx));
  ctx.response.data = json::Value::raw(ctx.arena.copy(found));
  return ok_status();
}

Status handle_sanitized(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  ctx.response.data = json::Value::raw(ctx.arena.copy(instruments->sanitized_config()));
  return ok_status();
}

Status handle_loggers_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  json::ObjectBuilder out(ctx.arena);
  for (const auto& [name, level] : instruments->logger().levels())
    if (ctx.captures.empty() || ctx.captures.front() == name)
      out.add(name, name_of(level));
  ctx.response.data = out.build();
  return ok_status();
}

// The logger that the path names; empty when it names none, which is all of them.
Result<std::string> logger_named(const CallContext& ctx, const Logger& logger) {
  if (ctx.captures.empty())
    return std::string();
  const std::string name(ctx.captures.front());
  const auto all = logger.levels();
  if (std::ranges::none_of(all, [&name](const auto& row) { return row.first == name; }))
    return Status(Code::kInvalid, "logger \"" + name + "\" not found");
  return name;
}

Status handle_loggers_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("level", ""));
  if (text.empty())
    return Status(Code::kInvalid, "level is required");
  const Result<LogLevel> level = parse_log_level(text);
  if (!level.ok())
    return Status(Code::kInvalid, "invalid level provided: " + level.status().message());
  COFFER_ASSIGN(const std::string name, logger_named(ctx, instruments->logger()));
  after_audit(ctx, [&logger = instruments->logger(), level = *level, name] {
    name.empty() ? logger.set_level_of_all(level) : logger.set_level(name, level);
  });
  return ok_status();
}

Status handle_loggers_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  COFFER_ASSIGN(const std::string name, logger_named(ctx, instruments->logger()));
  after_audit(ctx, [&logger = instruments->logger(), name] { logger.revert_level(name); });
  return ok_status();
}

// Whether who began to watch still may: the server is unsealed, and the token alive.
std::function<bool()> may_watch(const CallContext& ctx) {
  return [&services = ctx.services, token = std::make_shared<const SecretBytes>(
              SecretBytes::copy_of(ctx.request.token))] {
    const auto view = services.backend.view();
    const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
    if (published == nullptr || published->sealed || !published->damage.ok())
      return false;
    json::Arena arena;
    TxnImpl::Buffers buffers;
    TxnImpl txn(**view, *published->barrier, arena, services.committer.cluster_now(), buffers);
    const auto live = TokenStore(txn, *published, arena).live_by_text(token->reveal_text());
    return live.ok() && live->has_value();
  };
}

Status handle_monitor(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  COFFER_ASSIGN(const std::string_view level_text, ctx.string_field("log_level", "info"));
  COFFER_ASSIGN(const std::string_view format, ctx.string_field("log_format", "standard"));
  const Result<LogLevel> level = parse_log_level(level_text.empty() ? std::string_view("info") : level_text);
  if (!level.ok())
    return Status(Code::kInvalid, "unknown log level");
  if (format != "standard" && format != "json" && !format.empty())
    return Status(Code::kInvalid, "unknown log format");
  auto stream = LogStream::open(instruments->logger(), *level, format == "json", may_watch(ctx));
  if (!stream)
    return Status(Code::kExhausted, "too many clients watch the log already");
  raw(ctx.response, ctx.arena, 200, kPlainText, {});
  ctx.response.stream = std::move(stream);
  return ok_status();
}

Status handle_versions(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::core_key(layout::kVersionPrefix), {}, 0));
  struct Row {
    std::string_view version;
    std::string_view installed;
  };
  std::vector<Row> rows;
  for (const std::string_view version : page.names) {
    const std::string name = std::string(layout::kVersionPrefix).append(version);
    COFFER_ASSIGN(const auto record, ctx.txn.get(layout::core_key(ctx.arena.copy(name))));
    if (record)
      rows.push_back({version, *record});
  }
  std::ranges::sort(rows, {}, &Row::installed);
  json::ObjectBuilder info(ctx.arena);
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::ObjectBuilder row(ctx.arena, 3);
    row.add("build_date", rows[i].version == kVaultVersion ? build_date() : std::string_view());
    if (i == 0)
      row.add("previous_version", nullptr);
    else
      row.add("previous_version", rows[i - 1].version);
    row.add("timestamp_installed", rows[i].installed);
    info.add(rows[i].version, row.build());
    keys.push_back(rows[i].version);
  }
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 2).add("key_info", info.build()).add("keys", text_list(ctx.arena, keys)).build();
  return ok_status();
}

Status counted(CallContext& ctx, std::string_view what, std::uint64_t total) {
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 1)
          .add("counters",
               json::ObjectBuilder(ctx.arena, 1)
                   .add(what, json::ObjectBuilder(ctx.arena, 1).add("total", total).build())
                   .build())
          .build();
  return ok_status();
}

// It is a number of the whole server, which an inner namespace's administrator is not to learn.
Status handle_token_counter(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (!ctx.ns.is_root())
    return Status(Code::kNotFound, "unsupported path");
  COFFER_ASSIGN(const Instruments* instruments, instruments_of(ctx));
  return counted(ctx, "service_tokens", instruments->tokens_counted());
}

Status handle_request_counter(HandlerContext&) {
  return Status(Code::kNotFound, "The functionality has been removed on this path");
}

}  // namespace

void answer_metrics(const Instruments& instruments, const Request& request, Response& response, json::Arena& arena) {
  const std::string_view format = request.data.is_object() ? request.data.string_or("format", "") : std::string_view();
  if (!format.empty() && format != "prometheus" && format != "json")
    return raw(response, arena, 400, kPlainText, "metric response format unknown: expected prometheus or json");
  const bool prometheus = format == "prometheus";
  const std::string text = prometheus ? instruments.prometheus() : instruments.metrics_json();
  if (text.empty())
    return raw(response, arena, 400, kPlainText, "prometheus is not enabled");
  raw(response, arena, 200, prometheus ? "text/plain; version=0.0.4; charset=utf-8" : "application/json", text);
}

std::vector<PathSpec> sys_observe_specs() {
  std::vector<PathSpec> specs;
  const auto reading = [](Handler handler, std::string_view help, Prepare prepare = nullptr) {
    return std::vector<OperationSpec>{{Operation::kRead, Effect::kReads, handler, help, prepare}};
  };
  specs.push_back({"metrics", "What the server counts and times.",
                   {{"format", FieldType::kString, "prometheus or json."}},
                   reading(handle_metrics, "Reads all metrics.")});
  specs.push_back({"config/metrics", "Whether metrics can be read.",
                   {{"enable", FieldType::kBool, "Whether sys/metrics answers.", true}},
                   {{Operation::kRead, Effect::kReads, handle_metrics_config_read, "Reads the setting."},
                    {Operation::kWrite, Effect::kWrites, handle_metrics_config_write, "Changes the setting."}}});
  specs.push_back({"in-flight-req", "Requests that are being answered.", {},
                   reading(handle_in_flight, "Lists requests in flight.", prepare_look<in_flight_text>)});
  specs.push_back({"host-info", "The host that the server runs on.", {},
                   reading(handle_host_info, "Reads processors, memory, disks and kernel.", prepare_look<host_text>)});
  specs.push_back({"config/state/sanitized", "The running configuration without secrets.", {},
                   reading(handle_sanitized, "Reads the configuration.")});
  const std::vector<OperationSpec> loggers{
      {Operation::kRead, Effect::kReads, handle_loggers_read, "Reads levels."},
      {Operation::kWrite, Effect::kReads, handle_loggers_write, "Changes the level until the next start."},
      {Operation::kDelete, Effect::kReads, handle_loggers_delete, "Goes back to the configured level."}};
  const Field level{"level", FieldType::kString, "trace, debug, info, warn or error.", true};
  specs.push_back({"loggers", "Levels of the server's log.", {level}, loggers});
  specs.push_back({"loggers/:name", "The level of one part of the server's log.", {level}, loggers});
  specs.push_back({"monitor", "The server's log as it is written.",
                   {{"log_level", FieldType::kString, "Lines of this level and above; info when not given."},
                    {"log_format", FieldType::kString, "standard or json."}},
                   reading(handle_monitor, "Streams the log until the client goes."), nullptr, false, true});
  specs.push_back({"version-history", "Versions of the server that ran on this store.", {},
                   {{Operation::kList, Effect::kReads, handle_versions, "Lists versions."}}, nullptr, false, true});
  specs.push_back({"internal/counters/tokens", "How many tokens there are.", {},
                   reading(handle_token_counter, "Counts tokens.")});
  specs.push_back({"internal/counters/requests", "No longer kept.", {},
                   reading(handle_request_counter, "Refused: sys/metrics counts requests.")});
  return specs;
}

}  // namespace coffer::core
