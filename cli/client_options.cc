#include <algorithm>
#include <array>
#include <charconv>

#include "base/limits.h"
#include "cli/client.h"
#include "cli/duration.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kDefaultAddress = "https://127.0.0.1:8200";


Status add_headers(const FlagSet& flags, Headers& headers) {
  for (const auto& [name, value] : flags.map("header")) {
    if (lower(name).starts_with("x-vault-"))
      return Status(Code::kInvalid,
                    "failed to setup Headers[" + name + "]: Header starting by 'X-Vault-' are for internal usage only");
    bool clean = (name + value).find_first_of("\r\n") == std::string::npos;
    if (name.empty() || !clean)
      return Status(Code::kInvalid, "failed to setup Headers[" + name + "]: not a header line");
    headers.emplace_back(name, value);
  }
  return ok_status();
}

std::string proxy_for(const Invocation& invocation, const std::string& address) {
  for (const char* own : {"VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"}) {
    if (std::string value = invocation.env_or(own); !value.empty())
      return value;
  }
  bool secure = address.starts_with("https://");
  const std::size_t scheme = address.find("://");
  const std::size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  std::string host = address.substr(start, address.find_first_of("/:", start) - start);
  if (host == "localhost" || host.starts_with("127.") || host.starts_with("["))
    return "";
  std::string except = invocation.env_or("NO_PROXY", invocation.env_or("no_proxy"));
  for (const std::string& entry : split(except, ',')) {
    std::string name(trim(entry));
    std::string dotted = name.starts_with('.') ? name : "." + name;
    if (!name.empty() && (name == "*" || name == host || host.ends_with(dotted)))
      return "";
  }
  return secure ? invocation.env_or("HTTPS_PROXY", invocation.env_or("https_proxy"))
                : invocation.env_or("HTTP_PROXY", invocation.env_or("http_proxy"));
}

Status add_limits(const Invocation& invocation, ClientOptions& options) {
  if (std::string text = invocation.env_or("VAULT_MAX_RETRIES"); !text.empty()) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.retries);
    if (error != std::errc() || end != text.data() + text.size() || options.retries < 0)
      return Status(Code::kInvalid, "failed to read environment: VAULT_MAX_RETRIES is not a whole number");
    options.retries = std::min(options.retries, limits::kClientRetriesMax);
  }
  if (std::string text = invocation.env_or("VAULT_CLIENT_TIMEOUT"); !text.empty()) {
    Result<std::int64_t> nanos = parse_duration(text);
    if (!nanos.ok() || *nanos < 0)
      return Status(Code::kInvalid, "failed to read environment: could not parse \"VAULT_CLIENT_TIMEOUT\"");
    options.transport.timeout = std::chrono::milliseconds(*nanos / 1'000'000);
  }
  return ok_status();
}

}  // namespace

Result<ClientOptions> client_options(const FlagSet& flags, const Invocation& invocation, std::string program_name) {
  ClientOptions options;
  options.program_name = std::move(program_name);
  options.address = flags.text("address");
  if (const std::string& agent = flags.text("agent-address"); !agent.empty())
    options.address = agent;
  options.address_is_default =
      options.address == kDefaultAddress && !flags.given_or_env("address") && !flags.given_or_env("agent-address");
  options.namespace_path = flags.given("ns") ? flags.text("ns") : flags.text("namespace");
  options.namespace_path = with_trailing_slash(sanitize_path(options.namespace_path));
  if (options.namespace_path == "root/")
    options.namespace_path.clear();
  COFFER_TRY(add_headers(flags, options.headers));
  options.mfa = flags.list("mfa");
  options.policy_override = flags.boolean("policy-override");
  options.wrap_ttl_nanos = flags.duration_nanos("wrap-ttl");
  options.follow_redirects = !flags.boolean("disable-redirects");
  options.print_curl = flags.boolean("output-curl-string");
  options.print_policy = flags.boolean("output-policy");
  options.transport.ca_cert = flags.text("ca-cert");
  options.transport.ca_path = flags.text("ca-path");
  options.transport.ca_pem = flags.given("ca-cert") ? "" : invocation.env_or("VAULT_CACERT_BYTES");
  options.transport.client_cert = flags.text("client-cert");
  options.transport.client_key = flags.text("client-key");
  options.transport.server_name = flags.text("tls-server-name");
  options.transport.skip_verify = flags.boolean("tls-skip-verify");
  options.transport.proxy = proxy_for(invocation, options.address);
  COFFER_TRY(add_limits(invocation, options));
  return options;
}

std::string policy_for(const std::string& method, const std::string& path, bool list) {
  // Ends in '/' for everything below.
  static constexpr std::array<std::string_view, 22> kNeedSudo = {"auth/token/accessors",
                                                                 "sys/audit",
                                                                 "sys/audit/",
                                                                 "sys/auth/",
                                                                 "sys/config/auditing/",
                                                                 "sys/config/cors",
                                                                 "sys/config/ui/",
                                                                 "sys/internal/inspect/",
                                                                 "sys/leases",
                                                                 "sys/leases/lookup/",
                                                                 "sys/leases/revoke-force/",
                                                                 "sys/leases/revoke-prefix/",
                                                                 "sys/plugins/catalog/",
                                                                 "sys/plugins/runtimes/",
                                                                 "sys/raw",
                                                                 "sys/raw/",
                                                                 "sys/remount",
                                                                 "sys/revoke-force/",
                                                                 "sys/revoke-prefix/",
                                                                 "sys/rotate",
                                                                 "sys/seal",
                                                                 "sys/step-down"};
  std::vector<std::string> capabilities;
  if (method == "GET")
    capabilities = {list ? "list" : "read"};
  else if (method == "LIST")
    capabilities = {"list"};
  else if (method == "DELETE")
    capabilities = {"delete"};
  else if (method == "PATCH")
    capabilities = {"patch"};
  else
    capabilities = {"create", "update"};
  bool sudo = std::any_of(kNeedSudo.begin(), kNeedSudo.end(), [&](std::string_view entry) {
    return entry.ends_with('/') ? path.starts_with(entry) && path.size() > entry.size() : path == entry;
  });
  if (sudo)
    capabilities.emplace_back("sudo");
  return "path \"" + path + "\" {\n  capabilities = [\"" + join(capabilities, "\", \"") + "\"]\n}";
}

}  // namespace coffer::cli
