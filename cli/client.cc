#include "cli/client.h"

#include <algorithm>
#include <limits>

#include "base/limits.h"
#include "base/version.h"
#include "cli/duration.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kMergePatch = "application/merge-patch+json";

std::string go_verb(std::string method) {
  method = lower(method);
  if (!method.empty())
    method[0] = static_cast<char>(method[0] - 'a' + 'A');
  return method;
}

bool is_error(int status) { return status >= 400 && status != 429; }
bool is_redirect(int status) { return status == 301 || status == 302 || status == 307; }
bool is_worth_retrying(int status) { return status == 412 || (status >= 500 && status != 501); }

std::string base_of(const ClientOptions& options) {
  if (options.address.starts_with("unix://"))
    return "http://localhost";
  std::string base = options.address;
  while (base.ends_with('/'))
    base.pop_back();
  return base;
}

// HTTP answers a dead lease with one short text that clients match; people are told more.
std::string for_people(const std::string& error, const std::string& path) {
  if (error == "lease not found" && path.starts_with("sys/leases/"))
    return error + " or expired";
  return error;
}

std::string error_text(const HttpRequest& request, const Call& call, const ClientOptions& options, const Reply& reply,
                       bool raw) {
  std::string text = "Error making API request.\n\n";
  if (!options.namespace_path.empty())
    text += "Namespace: " + options.namespace_path + "\n";
  text += "URL: " + request.method + " " + request.url + "\n";
  text += "Code: " + std::to_string(reply.status) + (raw ? ". Raw Message:\n\n" : ". Errors:\n\n");
  if (raw)
    return text + reply.body;
  for (std::size_t i = 0; i < reply.errors.size(); ++i)
    text += (i > 0 ? "\n* " : "* ") + for_people(reply.errors[i], call.path);
  return text;
}

}  // namespace

Client::Client(ClientOptions options, Hooks hooks, Arena& arena, std::unique_ptr<Transport> transport)
    : options_(std::move(options)), hooks_(std::move(hooks)), arena_(arena), transport_(std::move(transport)) {}

Result<std::unique_ptr<Client>> Client::create(ClientOptions options, Hooks hooks, Arena& arena) {
  if (options.address.find("://") == std::string::npos)
    return Status(Code::kInvalid, "failed to create client: address " + quoted(options.address) +
                                      " has no scheme; it begins with http://, https:// or unix://");
  if (options.address.starts_with("unix://"))
    options.transport.unix_socket = options.address.substr(7);
  COFFER_ASSIGN(std::unique_ptr<Transport> transport, hooks.transport(options.transport));
  return std::unique_ptr<Client>(new Client(std::move(options), std::move(hooks), arena, std::move(transport)));
}

HttpRequest Client::build(const Call& call) const {
  HttpRequest request;
  request.method = call.method;
  request.url = base_of(options_) + escape_path(join_path({"/v1", call.path}));
  std::vector<std::pair<std::string, std::string>> query = call.query;
  std::stable_sort(query.begin(), query.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  char lead = '?';
  for (const auto& [key, value] : query) {
    request.url += lead + escape_query(key) + "=" + escape_query(value);
    lead = '&';
  }
  request.headers = options_.headers;
  if (call.merge_patch)
    request.headers.emplace_back("Content-Type", kMergePatch);
  request.headers.emplace_back("X-Vault-Request", "true");
  if (!options_.token.empty())
    request.headers.emplace_back("X-Vault-Token", options_.token);
  if (!options_.namespace_path.empty())
    request.headers.emplace_back("X-Vault-Namespace", options_.namespace_path);
  if (options_.policy_override)
    request.headers.emplace_back("X-Vault-Policy-Override", "true");
  for (const std::string& mfa : options_.mfa)
    request.headers.emplace_back("X-Vault-Mfa", mfa);
  if (wrapping_ && !call.aside && options_.wrap_ttl_nanos != 0)
    request.headers.emplace_back("X-Vault-Wrap-Ttl", format_duration(options_.wrap_ttl_nanos));
  else if (wrapping_ && call.path == "sys/wrapping/wrap" && call.has_body)
    request.headers.emplace_back("X-Vault-Wrap-Ttl", "5m");
  request.body = call.body;
  request.has_body = call.has_body;
  request.on_piece = call.on_piece;
  request.stream_time = call.stream_time;
  request.whole = call.whole;
  request.body_file = call.body_file;
  request.headers.insert(request.headers.end(), call.headers.begin(), call.headers.end());
  request.websocket = call.websocket;
  return request;
}

Result<HttpResponse> Client::send_with_retries(HttpRequest& request) {
  constexpr std::chrono::milliseconds kFirstWait{1000};
  constexpr std::chrono::milliseconds kLongestWait{1500};
  std::chrono::milliseconds wait = kFirstWait;
  bool begun = false;  // whoever has had a part of the answer cannot be given another one
  HttpRequest noted = request;
  if (request.on_piece)
    noted.on_piece = [&](std::string_view piece) {
      begun = true;
      return request.on_piece(piece);
    };
  for (int left = request.body_file.empty() ? options_.retries : 0;; --left) {
    Result<HttpResponse> response = transport_->perform(noted);
    bool again = response.ok() ? is_worth_retrying(response->status) : response.status().message() != kPlainHttpAnswer;
    if (!again || left <= 0 || begun)
      return response;
    hooks_.sleep(wait);
    wait = std::min(wait + kFirstWait / 2, kLongestWait);
  }
}

Result<HttpResponse> Client::send(HttpRequest& request) {
  Result<HttpResponse> response = send_with_retries(request);
  if (!response.ok() && options_.address_is_default && response.status().message() == kPlainHttpAnswer) {
    // Nobody chose https: it is only the default, and on loopback nothing is given away by going without.
    std::string secure = options_.address;
    options_.address = "http" + secure.substr(std::string_view("https").size());
    options_.address_is_default = false;
    hooks_.warn("WARNING! VAULT_ADDR and -address are unset and the server at the default address, " + secure +
                ", speaks plain HTTP: using " + options_.address + ".");
    request.url = options_.address + request.url.substr(secure.size());
    response = send_with_retries(request);
  }
  if (response.ok() && is_redirect(response->status) && options_.follow_redirects && !response->location.empty()) {
    if (request.url.starts_with("https://") && !response->location.starts_with("https://"))
      return Status(Code::kUnavailable, "redirect would cause protocol downgrade");
    request.url = response->location;
    response = send_with_retries(request);
  }
  return response;
}

Reply Client::reply_of(const Call& call, const HttpRequest& http, const HttpResponse& response) const {
  Reply reply;
  reply.status = response.status;
  reply.body = response.body;
  bool failed = is_error(response.status);
  bool parsed = trim(response.body).empty();
  if (!parsed) {
    json::Limits bounds;
    bounds.strings = std::numeric_limits<std::size_t>::max();
    bounds.memory_bytes = limits::kClientResponseBytesMax;
    Result<json::Value> value = json::parse_copy(arena_, response.body, bounds);
    parsed = value.ok();
    if (parsed)
      reply.json = *value;
  }
  if (!failed) {
    if (!parsed && response.status < 300) {
      reply.kind = Reply::Kind::kTransport;
      reply.error = "the answer to " + http.method + " " + http.url + " is not JSON";
    }
    return reply;
  }
  reply.kind = Reply::Kind::kHttp;
  const json::Value* errors = reply.json.find("errors");
  if (errors != nullptr && errors->is_array()) {
    for (const json::Value& error : errors->elements())
      reply.errors.push_back(value_text(error));
  }
  bool raw = !parsed || errors == nullptr || !errors->is_array();
  reply.error = error_text(http, call, options_, reply, raw);
  return reply;
}

Reply Client::call(const Call& call) {
  HttpRequest request = build(call);
  Reply reply;
  if ((options_.print_curl || options_.print_policy) && !call.aside) {
    bool list = std::any_of(call.query.begin(), call.query.end(), [](const auto& q) { return q.first == "list"; });
    printed_ = options_.print_curl ? curl_command(request) : policy_for(call.method, join_path({call.path}), list);
    reply.kind = Reply::Kind::kPrinted;
    return reply;
  }
  if (call.has_body && !call.merge_patch)
    request.headers.emplace_back("Content-Type", "application/json");
  if (!call.body_file.empty())
    request.headers.emplace_back("Content-Type", "application/octet-stream");
  request.headers.emplace_back("User-Agent", "Coffer/" + std::string(kVersion));
  Result<HttpResponse> response = send(request);
  if (!response.ok()) {
    reply.kind = Reply::Kind::kTransport;
    reply.error = go_verb(request.method) + " " + quoted(request.url) + ": " + response.status().message();
    return reply;
  }
  if (call.on_piece && response->status < 300) {
    reply.status = response->status;
    reply.ended = std::move(response->ended);
    return reply;
  }
  return reply_of(call, request, *response);
}

std::string Client::curl_command(const HttpRequest& request) const {
  auto in_quotes = [](const std::string& text) {
    std::string out = "'";
    for (char c : text)
      out += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    return out + "'";
  };
  std::string line = "curl ";
  if (options_.transport.skip_verify)
    line += "--insecure ";
  if (request.method != "GET")
    line += "-X " + request.method + " ";
  if (!options_.transport.ca_cert.empty())
    line += "--cacert " + in_quotes(options_.transport.ca_cert) + " ";
  if (!options_.transport.ca_path.empty())
    line += "--capath " + in_quotes(options_.transport.ca_path) + " ";
  if (!options_.transport.client_cert.empty())
    line += "--cert " + in_quotes(options_.transport.client_cert) + " ";
  if (!options_.transport.client_key.empty())
    line += "--key " + in_quotes(options_.transport.client_key) + " ";
  for (const auto& [name, value] : request.headers)
    line += "-H \"" + name + ": " + (name == "X-Vault-Token" ? "$(" + options_.program_name + " print token)" : value) +
            "\" ";
  if (request.has_body)
    line += "-d " + in_quotes(request.body) + " ";
  if (!request.body_file.empty())
    line += "--data-binary " + in_quotes("@" + request.body_file) + " ";
  return line + "\"" + request.url + "\"";
}

}  // namespace coffer::cli
