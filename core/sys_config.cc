// Settings of the server that are stored: audited headers, other sites, headers of the web page.
#include <algorithm>

#include "base/ascii.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr Nanos kApprovalTtlMax = std::chrono::hours(24 * 366);

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kValueBytesMax = 4096;
constexpr std::size_t kHeadersMax = 128;
constexpr std::size_t kOriginsMax = 256;

store::StoreKey setting_key(CallContext& ctx, std::string_view name) {
  return layout::core_key(ctx.arena.copy(std::string(layout::kConfigPrefix).append(name)));
}

// The settings as this transaction sees them, so that two changes at once do not lose each other.
Result<ServerSettings> read_setting(CallContext& ctx, std::string_view name) {
  ServerSettings settings;
  COFFER_ASSIGN(const auto stored, ctx.txn.get(setting_key(ctx, name)));
  if (stored) {
    const std::string plaintext(*stored);
    COFFER_TRY(take_setting(name, &plaintext, settings));
  }
  return settings;
}

// A header's name as RFC 9110 has it.
bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view value) {
  return value.size() <= kValueBytesMax &&
         std::ranges::all_of(value, [](char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; });
}

json::Value audited_value(CallContext& ctx, bool hashed) {
  return json::ObjectBuilder(ctx.arena, 1).add("hmac", hashed).build();
}

Status handle_audited_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  json::ObjectBuilder headers(ctx.arena);
  if (const auto& all = ctx.published.settings->audited_headers)
    for (const auto& [name, hashed] : *all)
      headers.add(name, audited_value(ctx, hashed));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("headers", headers.build()).build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status handle_audited_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const auto& all = ctx.published.settings->audited_headers;
  const auto found = all ? all->find(lower_ascii(ctx.captures.front())) : decltype(all->end()){};
  if (!all || found == all->end())
    return Status(Code::kInvalid, "Could not find header in config");
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 1).add(ctx.captures.front(), audited_value(ctx, found->second)).build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

// What authenticates is told as the token, hashed; as a header it could be told in clear.
bool authenticates(std::string_view name) {
  return name == "x-vault-token" || name == "authorization" || name == "cookie" || name == "proxy-authorization";
}

Status handle_audited_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string name = lower_ascii(ctx.captures.front());
  if (!is_header_name(name))
    return Status(Code::kInvalid, "the name is no name of a header");
  COFFER_ASSIGN(const bool hashed, ctx.bool_field("hmac", false));
  if (authenticates(name) && !hashed)
    return Status(Code::kInvalid, "a header that authenticates is audited with hmac=true only");
  COFFER_ASSIGN(ServerSettings settings, read_setting(ctx, kAuditedHeadersRecord));
  auto headers = settings.audited_headers ? *settings.audited_headers : ServerSettings::AuditedHeaders();
  headers[name] = hashed;
  if (headers.size() > kHeadersMax)
    return Status(Code::kInvalid, "at most 128 headers can be audited");
  settings.audited_headers = std::make_shared<const ServerSettings::AuditedHeaders>(std::move(headers));
  return ctx.txn.put(setting_key(ctx, kAuditedHeadersRecord), encode_audited_headers(settings));
}

Status handle_audited_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(ServerSettings settings, read_setting(ctx, kAuditedHeadersRecord));
  if (!settings.audited_headers)
    return ok_status();
  auto headers = *settings.audited_headers;
  headers.erase(lower_ascii(ctx.captures.front()));
  settings.audited_headers = std::make_shared<const ServerSettings::AuditedHeaders>(std::move(headers));
  return ctx.txn.put(setting_key(ctx, kAuditedHeadersRecord), encode_audited_headers(settings));
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

Status handle_cors_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const ServerSettings& settings = *ctx.published.settings;
  json::ObjectBuilder data(ctx.arena, 4);
  data.add("enabled", settings.cors_enabled);
  if (settings.cors_enabled) {
    std::vector<std::string_view> headers = views(kCorsHeadersAlways);
    headers.insert(headers.end(), settings.cors_headers.begin(), settings.cors_headers.end());
    data.add("allowed_origins", text_list(ctx.arena, views(settings.cors_origins)));
    data.add("allowed_headers", text_list(ctx.arena, headers));
    data.add("allow_credentials", settings.cors_credentials);
  }
  ctx.response.data = data.build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

bool is_origin(std::string_view text) {
  if (text == "*")
    return true;
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  return scheme && text.size() <= 512 && text.find_first_of(" \t\r\n,;") == std::string_view::npos &&
         is_header_value(text);
}

Status handle_cors_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const auto origins, ctx.list_field("allowed_origins"));
  COFFER_ASSIGN(const auto headers, ctx.list_field("allowed_headers"));
  COFFER_ASSIGN(const bool enable, ctx.bool_field("enable", true));
  ServerSettings settings;
  settings.cors_enabled = enable;
  COFFER_ASSIGN(settings.cors_credentials, ctx.bool_field("allow_credentials", false));
  if (enable && origins.empty())
    return Status(Code::kInvalid, "at least one origin or the wildcard must be provided");
  if (origins.size() > kOriginsMax || headers.size() > kHeadersMax)
    return Status(Code::kInvalid, "allowed_origins, allowed_headers: too many");
  const bool wildcard = std::ranges::find(origins, "*") != origins.end();
  if (wildcard && origins.size() > 1)
    return Status(Code::kInvalid, "wildcard must be the only value");
  if (wildcard && settings.cors_credentials)
    return Status(Code::kInvalid, "allow_credentials: not with the wildcard");
  for (const std::string_view origin : origins) {
    if (!is_origin(origin))
      return Status(Code::kInvalid, "allowed_origins: must be origins such as https://example.com, or *");
    settings.cors_origins.emplace_back(origin);
  }
  for (const std::string_view header : headers) {
    if (!is_header_name(header))
      return Status(Code::kInvalid, "allowed_headers: must be names of headers");
    settings.cors_headers.emplace_back(header);
  }
  return ctx.txn.put(setting_key(ctx, kCorsRecord), encode_cors(settings));
}

Status handle_cors_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  return ctx.txn.erase(setting_key(ctx, kCorsRecord));
}

Status handle_ui_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::vector<std::string_view> names;
  for (const auto& [name, values] : ctx.published.settings->ui_headers)
    names.push_back(name);
  if (names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, names);
  return ok_status();
}

Status handle_ui_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const auto found = ctx.published.settings->ui_headers.find(ctx.captures.front());
  if (found == ctx.published.settings->ui_headers.end())
    return Status(Code::kNotFound, "");
  COFFER_ASSIGN(const bool all, ctx.bool_field("multivalue", false));
  json::ObjectBuilder data(ctx.arena, 1);
  if (all)
    data.add("values", text_list(ctx.arena, views(found->second)));
  else
    data.add("value", found->second.front());
  ctx.response.data = data.build();
  return ok_status();
}

Status handle_ui_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  if (!is_header_name(name))
    return Status(Code::kInvalid, "the name is no name of a header");
  if (lower_ascii(name).starts_with("x-vault-"))
    return Status(Code::kInvalid, "X-Vault headers cannot be set");
  COFFER_ASSIGN(const auto values, ctx.list_field("values"));
  if (values.empty())
    return Status(Code::kInvalid, "header values must be configured");
  COFFER_TRY(ctx.bool_field("multivalue", false).status());
  if (values.size() > kHeadersMax || !std::ranges::all_of(values, is_header_value))
    return Status(Code::kInvalid, "values: must be values of a header");
  COFFER_ASSIGN(ServerSettings settings, read_setting(ctx, kUiHeadersRecord));
  settings.ui_headers[std::string(name)].assign(values.begin(), values.end());
  if (settings.ui_headers.size() > kHeadersMax)
    return Status(Code::kInvalid, "at most 128 headers can be set");
  return ctx.txn.put(setting_key(ctx, kUiHeadersRecord), encode_ui_headers(settings));
}

Status handle_ui_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(ServerSettings settings, read_setting(ctx, kUiHeadersRecord));
  settings.ui_headers.erase(std::string(ctx.captures.front()));
  return ctx.txn.put(setting_key(ctx, kUiHeadersRecord), encode_ui_headers(settings));
}

Status handle_approval_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  const Nanos most = ctx.published.settings->approval_ttl_max;
  if (most == Nanos(0))
    return Status(Code::kNotFound, "");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("max_ttl", format_duration(most)).build();
  return ok_status();
}

Status handle_approval_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  ServerSettings settings;
  COFFER_ASSIGN(settings.approval_ttl_max, ctx.duration_field("max_ttl", Nanos(0)));
  if (settings.approval_ttl_max > kApprovalTtlMax)
    return Status(Code::kInvalid, "field \"max_ttl\" must be at most a year");
  return ctx.txn.put(setting_key(ctx, kApprovalRecord), encode_approval(settings));
}

Status handle_approval_delete(HandlerContext& base) {
  CallContext& ctx = call(base);
  return ctx.txn.erase(setting_key(ctx, kApprovalRecord));
}

// Groups hold people of their own namespace, so there is one mode to be in.
constexpr std::string_view kGroupMode = "within_namespace_hierarchy";

Status handle_group_mode_read(HandlerContext& ctx) {
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("group_policy_application_mode", kGroupMode).build();
  return ok_status();
}

Status handle_group_mode_write(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view mode, ctx.string_field("group_policy_application_mode", ""));
  if (mode == kGroupMode)
    return ok_status();
  return Status(Code::kInvalid, "field \"group_policy_application_mode\" must be \"" + std::string(kGroupMode) +
                                    "\": groups hold people of their own namespace only");
}

}  // namespace

std::vector<PathSpec> sys_config_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"config/group-policy-application", "Whose groups' policies count in a namespace.",
                   {{"group_policy_application_mode", FieldType::kString, "within_namespace_hierarchy.", true}},
                   {{Operation::kRead, Effect::kReads, handle_group_mode_read, "Reads the mode."},
                    {Operation::kWrite, Effect::kWrites, handle_group_mode_write, "Takes the mode that there is."}},
                   nullptr, false, true});
  specs.push_back({"config/control-group", "How long a request may wait for others to agree.",
                   {{"max_ttl", FieldType::kDuration, "The longest wait, whatever policies say."}},
                   {{Operation::kRead, Effect::kReads, handle_approval_read, "Reads the setting."},
                    {Operation::kWrite, Effect::kWrites, handle_approval_write, "Changes the setting."},
                    {Operation::kDelete, Effect::kWrites, handle_approval_delete, "Leaves it to policies."}},
                   nullptr, false, true});
  specs.push_back({"config/auditing/request-headers", "Headers that audit lines tell.", {},
                   {{Operation::kRead, Effect::kReads, handle_audited_list, "Lists the headers."}}, nullptr, false,
                   true});
  specs.push_back({"config/auditing/request-headers/:header", "One header that audit lines tell.",
                   {{"hmac", FieldType::kBool, "Whether its values are hashed."}},
                   {{Operation::kRead, Effect::kReads, handle_audited_read, "Reads how it is told."},
                    {Operation::kWrite, Effect::kWrites, handle_audited_write, "Tells it from now on."},
                    {Operation::kDelete, Effect::kWrites, handle_audited_delete, "Tells it no longer."}},
                   nullptr, false, true});
  specs.push_back({"config/cors", "Which other sites may speak to the server from a browser.",
                   {{"enable", FieldType::kBool, "Whether any may."},
                    {"allowed_origins", FieldType::kStringList, "Their origins, or *."},
                    {"allowed_headers", FieldType::kStringList, "Headers that they may send beside the usual ones."},
                    {"allow_credentials", FieldType::kBool, "Whether their cookies are sent; not with *."}},
                   {{Operation::kRead, Effect::kReads, handle_cors_read, "Reads the setting."},
                    {Operation::kWrite, Effect::kWrites, handle_cors_write, "Changes the setting."},
                    {Operation::kDelete, Effect::kWrites, handle_cors_delete, "Lets no other site in."}},
                   nullptr, false, true});
  specs.push_back({"config/ui/headers", "Headers that are sent with the web page.", {},
                   {{Operation::kList, Effect::kReads, handle_ui_list, "Lists the headers."}}, nullptr, false, true});
  specs.push_back({"config/ui/headers/:header", "One header that is sent with the web page.",
                   {{"values", FieldType::kStringList, "Its values.", true},
                    {"multivalue", FieldType::kBool, "When reading: all values as a list."}},
                   {{Operation::kRead, Effect::kReads, handle_ui_read, "Reads it."},
                    {Operation::kWrite, Effect::kWrites, handle_ui_write, "Sets it."},
                    {Operation::kDelete, Effect::kWrites, handle_ui_delete, "Sends it no longer."}},
                   nullptr, false, true});
  return specs;
}

}  // namespace coffer::core
