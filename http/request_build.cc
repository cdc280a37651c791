#include "http/request_build.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "base/time_text.h"
#include "base/websocket.h"
#include "http/query.h"

namespace coffer::http {
namespace {

using core::Operation;
using core::Request;

struct Target {
  std::string_view path;   // after the leading '/'
  std::string_view query;  // after '?'
};

// Origin form and absolute form.
std::optional<Target> split_target(std::string_view target) {
  for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (target.substr(0, scheme.size()) != scheme)
      continue;
    const std::size_t slash = target.find_first_of("/?", scheme.size());
    if (slash == std::string_view::npos || target[slash] != '/')
      return std::nullopt;
    target.remove_prefix(slash);
    break;
  }
  if (target.empty() || target.front() != '/' || target.find('#') != std::string_view::npos)
    return std::nullopt;
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos)
    return Target{target.substr(1), {}};
  return Target{target.substr(1, mark - 1), target.substr(mark + 1)};
}

std::optional<Operation> operation_of(Method method, const Query& query) {
  switch (method) {
    case Method::kGet:
      if (query.help)
        return Operation::kHelp;
      return query.list ? Operation::kList : query.scan ? Operation::kScan : Operation::kRead;
    case Method::kHead:
      return Operation::kRead;
    case Method::kList:
      return Operation::kList;
    case Method::kScan:
      return Operation::kScan;
    case Method::kPost:
    case Method::kPut:
      return Operation::kWrite;
    case Method::kPatch:
      return Operation::kPatch;
    case Method::kDelete:
      return Operation::kDelete;
    case Method::kOptions:
    case Method::kOther:
      return std::nullopt;
  }
  return std::nullopt;
}

bool takes_query(Operation operation) { return operation != Operation::kWrite && operation != Operation::kPatch; }
bool takes_body(Operation operation) { return !takes_query(operation) || operation == Operation::kDelete; }

// A DELETE has fields in its query, in its body, or in both; none of them twice.
std::optional<Refusal> add_query_fields(core::Exchange& exchange, const json::Value& query) {
  json::Value& data = exchange.request.data;
  if (!data.is_object()) {
    data = query;  // the body is "null"
    return std::nullopt;
  }
  if (!query.is_object() || query.members().empty())
    return std::nullopt;
  json::ObjectBuilder both(exchange.arena);
  for (const json::Member& member : query.members()) {
    if (data.find(member.key()) != nullptr)
      return Refusal{400, "\"" + std::string(member.key()) + "\" stands in the query and in the body"};
    both.add(member.key(), member.value);
  }
  for (const json::Member& member : data.members())
    both.add(member.key(), member.value);
  data = both.build();
  return std::nullopt;
}

std::string_view media_type(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t'))
    content_type.remove_suffix(1);
  return content_type;
}

bool same_ignoring_case(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size())
    return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] | 0x20) : a[i];
    if (c != lower[i])
      return false;
  }
  return true;
}

std::optional<Refusal> build_path(std::string_view encoded, Request& request, core::Exchange& exchange) {
  // A LIST or SCAN is of a folder, with or without the slash.
  if (core::lists(request.operation) && !encoded.empty() && encoded.back() != '/') {
    char* folder = static_cast<char*>(exchange.arena.allocate(encoded.size() + 1, 1));
    encoded.copy(folder, encoded.size());
    folder[encoded.size()] = '/';
    encoded = {folder, encoded.size() + 1};
  }
  auto path = CanonicalPath::from_percent_encoded(encoded);
  if (!path.ok())
    return Refusal{400, path.status().message()};
  request.path = std::move(path).value();
  return std::nullopt;
}

std::optional<Refusal> build_namespace(std::string_view text, Request& request) {
  while (!text.empty() && text.front() == '/')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == '/')
    text.remove_suffix(1);
  if (text.empty() || text == "root")
    return std::nullopt;
  if (!CanonicalPath::from_text(text).ok())
    return Refusal{400, "X-Vault-Namespace: not a canonical namespace path"};
  request.namespace_path = text;
  return std::nullopt;
}

std::optional<Refusal> build_headers(const Head& head, const Config& config, Request& request) {
  if (config.require_request_header && !head.request_header)
    return Refusal{412, "missing 'X-Vault-Request' header"};
  request.token = head.token.empty() ? head.bearer : head.token;
  if (request.token.size() > limits::kTokenBytesMax)
    return Refusal{400, "token: longer than " + std::to_string(limits::kTokenBytesMax) + " bytes"};
  if (auto refusal = build_namespace(head.namespace_path, request))
    return refusal;
  if (!head.wrap_ttl.empty()) {
    const auto ttl = parse_duration(head.wrap_ttl);
    if (!ttl.ok())
      return Refusal{400, "X-Vault-Wrap-TTL: not a duration such as 60, 60s or 1h30m"};
    if (*ttl < Nanos(0))
      return Refusal{400, "X-Vault-Wrap-TTL: must not be negative"};
    if (*ttl > Nanos(0))
      request.wrap_ttl = *ttl;
  }
  request.content_type = media_type(head.content_type);
  return std::nullopt;
}

// Base64url without padding of {"key":…,"value":…}.
Result<json::Value> read_parameter(std::string_view text, core::Exchange& exchange) {
  std::string decoded;
  COFFER_ASSIGN(decoded, base64url_decode(text));
  const std::string_view kept = exchange.arena.copy(decoded);
  wipe(decoded.data(), decoded.size());
  COFFER_ASSIGN(const json::Value pair, json::parse(exchange.arena, kept));
  const json::Value* key = pair.find("key");
  if (key == nullptr || !key->is_string() || key->as_string().empty() || pair.find("value") == nullptr ||
      pair.size() != 2)
    return Status(Code::kInvalid, "no pair");
  return pair;
}

// A login in the request's own head (docs/api.md).
std::optional<Refusal> build_inline_login(const Head& head, Request& request, core::Exchange& exchange) {
  if (head.inline_path.data() == nullptr) {
    if (head.inline_parameters != nullptr || head.inline_operation.data() != nullptr ||
        head.inline_namespace.data() != nullptr)
      return Refusal{400, "X-Vault-Inline-Auth-Path is missing"};
    return std::nullopt;
  }
  if (!request.token.empty())
    return Refusal{400, "failed to perform inline authentication: cannot layer inline authentication with token "
                        "authentication"};
  const auto path = CanonicalPath::from_text(head.inline_path);
  if (!path.ok() || head.inline_path.ends_with('/'))
    return Refusal{400, "X-Vault-Inline-Auth-Path: not a canonical path"};
  // Whatever else a method offers, only a login is one (advisory A1).
  if (!head.inline_operation.empty() && head.inline_operation != "update")
    return Refusal{405, "failed to perform inline authentication: unsupported operation"};
  Request of_login;
  if (auto refusal = build_namespace(
          head.inline_namespace.data() == nullptr ? head.namespace_path : head.inline_namespace, of_login))
    return refusal;
  json::ObjectBuilder data(exchange.arena);
  std::vector<std::string_view> names;
  for (const core::HeaderLine* line = head.inline_parameters; line != nullptr; line = line->next) {
    const Result<json::Value> pair = read_parameter(line->value, exchange);
    if (!pair.ok())
      return Refusal{400, "X-Vault-Inline-Auth-Parameter: not base64url of {\"key\":…,\"value\":…}"};
    const std::string_view name = pair->find("key")->as_string();
    if (std::find(names.begin(), names.end(), name) != names.end())
      return Refusal{400, "X-Vault-Inline-Auth-Parameter: a key was sent twice"};
    names.push_back(name);
    data.add(name, *pair->find("value"));
  }
  request.inline_login =
      std::make_shared<const core::InlineLogin>(core::InlineLogin{*path, of_login.namespace_path, data.build()});
  return std::nullopt;
}

// How the answer shall be given, and what the client knows already.
std::optional<Refusal> build_wishes(const Head& head, Request& request) {
  if (head.wrap_format.data() != nullptr && !head.wrap_format.empty()) {
    if (!same_ignoring_case(head.wrap_format, "jwt"))
      return Refusal{400, "X-Vault-Wrap-Format: only jwt is known"};
    request.wrap_format = core::WrapFormat::kJwt;
  }
  request.explain = same_ignoring_case(head.explain, "true");
  request.at_leader = head.forward == "active-node";
  request.leader_if_behind = head.inconsistent == "forward-active-node";
  for (const std::string_view known : {"", "fail", "retry", "forward-active-node"})
    if (head.inconsistent == known)
      return std::nullopt;
  return Refusal{400, "X-Vault-Inconsistent: must be fail, retry or forward-active-node"};
}

// What a browser asks and is told about pages of other sites, while settings let any in.
std::optional<Refusal> check_origin(const Head& head, const core::DoorSettings& settings, core::Exchange& exchange) {
  if (!settings.cors || head.origin.empty())
    return std::nullopt;
  const bool any = settings.cors_origins.size() == 1 && settings.cors_origins.front() == "*";
  if (!any && std::find(settings.cors_origins.begin(), settings.cors_origins.end(), head.origin) ==
                  settings.cors_origins.end())
    return Refusal{403, "origin not allowed"};
  exchange.request.origin = any ? std::string_view("*") : head.origin;
  if (head.method != Method::kOptions)
    return std::nullopt;
  std::string lines = "Access-Control-Allow-Headers: ";
  for (std::size_t i = 0; i < settings.cors_headers.size(); ++i)
    lines.append(i == 0 ? "" : ",").append(settings.cors_headers[i]);
  lines += "\r\nAccess-Control-Allow-Methods: DELETE,GET,OPTIONS,POST,PUT,LIST,PATCH,SCAN\r\n";
  lines += "Access-Control-Max-Age: 300\r\n";
  if (settings.cors_credentials)
    lines += "Access-Control-Allow-Credentials: true\r\n";
  return Refusal{200, lines};
}

// curl sends JSON as a form unless told otherwise, so a form is what does not begin as JSON does.
bool is_form(std::string_view content_type, std::string_view body) {
  if (!same_ignoring_case(content_type, "application/x-www-form-urlencoded"))
    return false;
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && body[first] != '{' && body[first] != '[';
}

}  // namespace

std::optional<Refusal> build_head(const Head& head, const Config& config, const core::DoorSettings* cors,
                                  core::Exchange& exchange) {
  const auto target = split_target(head.target);
  if (!target)
    return Refusal{400, "malformed request target"};
  constexpr std::string_view kPrefix = "v1/";
  if (target->path.substr(0, kPrefix.size()) != kPrefix)
    return Refusal{404, ""};
  Request& request = exchange.request;
  request.surface = core::Surface::kHttp;
  if (cors != nullptr)
    if (auto told = check_origin(head, *cors, exchange))
      return told;
  const auto query = parse_query(
      exchange.arena, head.method == Method::kPost || head.method == Method::kPut ? std::string_view() : target->query);
  if (!query.ok())
    return Refusal{400, query.status().message()};
  const auto operation = operation_of(head.method, *query);
  if (!operation)
    return Refusal{405, ""};
  request.operation = *operation;
  if (takes_query(*operation))
    request.data = query->data;
  if (auto refusal = build_path(target->path.substr(kPrefix.size()), request, exchange))
    return refusal;
  if (auto refusal = build_headers(head, config, request))
    return refusal;
  if (auto refusal = build_wishes(head, request))
    return refusal;
  if (auto refusal = build_inline_login(head, request, exchange))
    return refusal;
  request.takes_feed = head.method == Method::kGet && head.upgrades && head.websocket_13 && head.http11 &&
                       websocket::is_key(head.websocket_key);
  const bool patch_type = same_ignoring_case(request.content_type, "application/merge-patch+json") ||
                          same_ignoring_case(request.content_type, "application/json-patch+json");
  if (*operation == Operation::kPatch && !patch_type)
    return Refusal{415, "PATCH requires Content-Type application/merge-patch+json or application/json-patch+json"};
  return std::nullopt;
}

namespace {

std::optional<Refusal> parse_body(std::string_view body, const Config& config, core::Exchange& exchange) {
  Request& request = exchange.request;
  if (is_form(request.content_type, body)) {
    auto form = parse_form(exchange.arena, body);
    if (!form.ok())
      return Refusal{400, "form: " + form.status().message()};
    request.data = *form;
    return std::nullopt;
  }
  json::Limits json_limits = config.limits.json;
  if (mutant(Mutant::kHttpJsonLimitsUnset))
    json_limits = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
  auto value = json::parse(exchange.arena, body, json_limits);
  if (!value.ok())
    return Refusal{value.code() == Code::kTooLarge ? 413 : 400,
                   "failed to parse JSON input: " + value.status().message()};
  const bool array_allowed = request.operation != Operation::kDelete &&
                             same_ignoring_case(request.content_type, "application/json-patch+json");
  if (!value->is_object() && !value->is_null() && !(array_allowed && value->is_array()))
    return Refusal{400, "failed to parse JSON input: the body is not an object"};
  request.data = *value;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> build_body(std::string_view body, const Config& config, core::Exchange& exchange) {
  Request& request = exchange.request;
  if (!takes_body(request.operation) || body.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return std::nullopt;
  const json::Value query = request.data;
  if (auto refusal = parse_body(body, config, exchange))
    return refusal;
  return takes_query(request.operation) ? add_query_fields(exchange, query) : std::nullopt;
}

}  // namespace coffer::http
