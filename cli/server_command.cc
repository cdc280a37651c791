#include "cli/server_command.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/time_text.h"
#include "base/version.h"
#include "server/config.h"
#include "server/diagnose.h"
#include "server/run.h"
#include "server/snapshot_inspect.h"

namespace coffer::cli {
namespace {

std::vector<FlagGroup> server_flags() {
  return {
      {"Command Options",
       {
           {.name = "config",
            .kind = FlagKind::kList,
            .usage = "A configuration file in HCL or JSON, or a folder of them. May be given several times; later ones "
                     "are merged into earlier ones."},
           {.name = "log-level", .usage = "trace, debug, info, warn or error.", .env = "VAULT_LOG_LEVEL"},
           {.name = "log-format", .usage = "standard or json.", .env = "VAULT_LOG_FORMAT"},
           {.name = "log-file",
            .usage = "A file for the log instead of standard output. SIGHUP opens it anew.",
            .env = "VAULT_LOG_FILE"},
       }},
      {"Dev Options",
       {
           {.name = "dev",
            .kind = FlagKind::kBool,
            .usage = "A server for trying things out: in memory, initialized and unsealed, with KV version 2 at "
                     "secret/. Everything is lost when it ends. Never for production."},
           {.name = "dev-root-token-id", .usage = "The first root token.", .env = "VAULT_DEV_ROOT_TOKEN_ID"},
           {.name = "dev-listen-address",
            .usage = "Where HTTP is served in dev mode.",
            .fallback = "127.0.0.1:8200",
            .env = "VAULT_DEV_LISTEN_ADDRESS"},
           {.name = "dev-grpc-listen-address",
            .usage = "Where gRPC is served in dev mode; empty for nowhere.",
            .fallback = "127.0.0.1:8210",
            .env = "VAULT_DEV_GRPC_LISTEN_ADDRESS"},
           {.name = "dev-kv-v1", .kind = FlagKind::kBool, .usage = "KV version 1 at secret/ instead."},
           {.name = "dev-no-store-token",
            .kind = FlagKind::kBool,
            .usage = "Do not keep the root token in the token helper."},
           {.name = "dev-tls",
            .kind = FlagKind::kBool,
            .usage = "As -dev, over TLS, with an authority and a certificate made for this run."},
           {.name = "dev-tls-cert-dir",
            .usage = "A folder for vault-ca.pem, vault-cert.pem and vault-key.pem, which stay there. By default they "
                     "go to a temporary folder that is removed at the end."},
           {.name = "dev-tls-san",
            .kind = FlagKind::kList,
            .usage = "A further DNS name or IP address for the certificate. May be given several times."},
       }},
  };
}

// A server that stops waits for one that is under way.
constexpr std::chrono::seconds kPeerCallTimeMax{10};

// The API of another node, which a node asks to be let into its cluster.
Result<core::PeerAnswer> call_peer(const TransportFactory& make, const core::JoinTarget& target,
                                   const std::string& path, const std::string& body) {
  TransportOptions options;
  options.ca_cert = target.ca_file;
  options.ca_pem = target.ca_pem;
  options.client_cert = target.client_cert_file;
  options.client_key = target.client_key_file;
  options.client_cert_pem = target.client_cert_pem;
  options.client_key_pem = target.client_key_pem;
  options.server_name = target.server_name;
  options.timeout = kPeerCallTimeMax;
  COFFER_ASSIGN(const std::unique_ptr<Transport> transport, make(options));
  HttpRequest request;
  request.method = "POST";
  request.url = target.url + "/v1/" + path;
  request.headers = {{"Content-Type", "application/json"}, {"X-Vault-Request", "true"}};
  request.body = body;
  request.has_body = true;
  COFFER_ASSIGN(const HttpResponse response, transport->perform(request));
  return core::PeerAnswer{response.status, response.body};
}

Result<core::WebAnswer> call_web(const TransportFactory& make, const core::WebRequest& asked) {
  TransportOptions options;
  options.ca_cert = asked.ca_file;
  options.client_cert = asked.cert_file;
  options.client_key = asked.key_file;
  options.server_name = asked.server_name;
  options.skip_verify = asked.skip_verify;
  options.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(asked.time_max);
  COFFER_ASSIGN(const std::unique_ptr<Transport> transport, make(options));
  HttpRequest request;
  request.method = asked.method;
  request.url = asked.url;
  request.headers = asked.headers;
  request.body = asked.body;
  request.has_body = !asked.body.empty();
  request.gives_up = asked.gives_up;
  request.silence_max = std::chrono::duration_cast<std::chrono::milliseconds>(asked.silence_max);
  COFFER_ASSIGN(HttpResponse response, transport->perform(request));
  return core::WebAnswer{response.status, std::move(response.headers), std::move(response.body)};
}

core::WebCall web_of(Context& ctx) {
  return [make = ctx.ports().transport](const core::WebRequest& asked) { return call_web(make, asked); };
}

int run_server(Context& ctx, const std::vector<core::Engine*>& engines) {
  const FlagSet& flags = ctx.flags();
  if (!ctx.arity(0, 0))
    return 1;
  server::RunOptions options;
  options.further_engines = engines;
  options.product = ctx.product();
  options.config_paths = flags.list("config");
  options.log_level = flags.text("log-level");
  options.log_format = flags.text("log-format");
  options.log_file = flags.text("log-file");
  options.dev_tls = flags.boolean("dev-tls");
  options.dev_tls_cert_dir = flags.text("dev-tls-cert-dir");
  options.dev_tls_names = flags.list("dev-tls-san");
  options.dev = flags.boolean("dev") || options.dev_tls;
  options.dev_root_token = flags.text("dev-root-token-id");
  options.dev_listen = flags.text("dev-listen-address");
  options.dev_grpc_listen = flags.text("dev-grpc-listen-address");
  options.dev_kv_v1 = flags.boolean("dev-kv-v1");
  options.dev_no_store_token = flags.boolean("dev-no-store-token");
  const Invocation& invocation = ctx.invocation();
  options.variable = environment_of(invocation);
  options.call_peer = [make = ctx.ports().transport](const core::JoinTarget& target, const std::string& path,
                                                     const std::string& body) {
    return call_peer(make, target, path, body);
  };
  options.call_web = web_of(ctx);
  options.store_token = [&ctx](const std::string& token) -> Status {
    COFFER_ASSIGN(const std::unique_ptr<TokenHelper> helper, ctx.ports().token_helper(ctx.invocation()));
    return helper->store(token);
  };
  options.print = [&invocation](std::string_view text) { write_fd(invocation.out, text); };
  options.complain = [&invocation](std::string_view text) { write_fd(invocation.err, text); };
  return server::run(options);
}

int run_diagnose(Context& ctx) {
  if (!ctx.arity(0, 0))
    return 1;
  if (ctx.flags().list("config").empty())
    return ctx.fail(3, "Must specify a configuration file using -config.");
  server::RunOptions options;
  options.product = ctx.product();
  options.config_paths = ctx.flags().list("config");
  options.variable = environment_of(ctx.invocation());
  options.call_web = web_of(ctx);
  const server::Finding found = server::diagnose(options, ctx.flags().list("skip"));
  if (ctx.ui().format() == "json")
    write_fd(ctx.invocation().out, server::diagnosis_json(found, format_time(system_clock().wall_now())));
  else
    write_fd(ctx.invocation().out, ctx.product() + " v" + std::string(kVaultVersion) + " (" +
                                       std::string(build_revision()) + ")\n\nResults:\n" +
                                       server::diagnosis_text(found));
  const server::Finding::State worst = found.worst();
  return worst == server::Finding::State::kFailed ? 4 : worst == server::Finding::State::kWarning ? 2 : 0;
}

// 0: it would be taken. 1: it would not. 2: it would, with warnings.
int run_validate(Context& ctx) {
  if (!ctx.arity(0, 0))
    return 1;
  const std::vector<std::string>& paths = ctx.flags().list("config");
  if (paths.empty())
    return ctx.fail(3, "Must specify a configuration file using -config.");
  Result<server::Config> config = server::load_config(paths, environment_of(ctx.invocation()));
  Status status = config.ok() ? server::validate_config(*config) : config.status();
  const std::vector<std::string> warnings = config.ok() ? config->warnings : std::vector<std::string>();
  const std::string_view state = !status.ok() ? "fail" : !warnings.empty() ? "warn" : "ok";
  if (ctx.ui().format() == "json") {
    json::Arena arena;
    json::ObjectBuilder out(arena, 5);
    out.add("time", format_time(system_clock().wall_now())).add("name", "Validate Config").add("status", state);
    json::ArrayBuilder list(arena, warnings.size());
    for (const std::string& warning : warnings)
      list.add(warning);
    out.add("warnings", list.build());
    if (!status.ok())
      out.add("message", status.message());
    std::string text;
    json::write_pretty(out.build(), text);
    ctx.ui().out(text);
  } else {
    for (const std::string& warning : warnings)
      ctx.ui().out("[ warning ] Validate Config: " + warning);
    ctx.ui().out(status.ok() ? "[ success ] Validate Config"
                             : "[ failure ] Validate Config: " + status.message());
  }
  return !status.ok() ? 1 : warnings.empty() ? 0 : 2;
}

int run_inspect(Context& ctx) {
  if (const std::size_t given = ctx.args().size(); given != 1)
    return ctx.fail(1, "Incorrect arguments (expected 1, got " + std::to_string(given) + ")");
  if (ctx.flags().integer("depth") < 1)
    return ctx.fail(1, "-depth must be at least 1");
  server::InspectOptions options;
  options.details = ctx.flags().boolean("details");
  options.depth = static_cast<std::size_t>(ctx.flags().integer("depth"));
  options.filter = ctx.flags().text("filter");
  const Result<server::SnapshotSummary> summary = server::inspect_snapshot(ctx.args()[0], options);
  if (!summary.ok())
    return ctx.fail(1, "Error inspecting the snapshot: " + summary.status().message());
  const bool json = ctx.ui().format() == "json";
  write_fd(ctx.invocation().out, json ? server::summary_json(*summary, options.details)
                                      : server::summary_text(*summary, options.details));
  return 0;
}

}  // namespace

std::function<std::optional<std::string>(const std::string&)> environment_of(const Invocation& invocation) {
  return [&invocation](const std::string& name) -> std::optional<std::string> {
    const char* value = invocation.env ? invocation.env(name.c_str()) : nullptr;
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Command validate_command() {
  Command command;
  command.name = "operator validate-config";
  command.synopsis = "Check a server's configuration files";
  command.usage = "[options]";
  command.help =
      "Reads configuration files as a server does at its start and says what is wrong, with file and line. Nothing of "
      "the host is looked at, so files can be checked anywhere; \"operator diagnose\" looks at the host too. The exit "
      "code is 0 when all is well, 2 when there are warnings, 1 when a server would not start.\n\n"
      "$ {cmd} operator validate-config -config=/etc/coffer/server.hcl";
  command.flags = {{"Command Options",
                    {{.name = "config",
                      .kind = FlagKind::kList,
                      .usage = "A configuration file or folder. May be given several times.",
                      .env = "VAULT_CONFIG_PATH"}}}};
  command.http = false;
  command.format = true;
  command.run = run_validate;
  return command;
}

Command diagnose_command() {
  Command command;
  command.name = "operator diagnose";
  command.synopsis = "Look for what would keep a server from running";
  command.usage = "[options]";
  command.help =
      "Reads a server's configuration and looks at the host, without starting anything: limits, storage, listeners, "
      "certificates, seal. The exit code is 4 when something would keep the server from starting, 2 when "
      "something is to be warned of, 3 without a configuration, else 0.\n\n"
      "$ {cmd} operator diagnose -config=/etc/coffer/server.hcl";
  command.flags = {{"Command Options",
                    {{.name = "config",
                      .kind = FlagKind::kList,
                      .usage = "A configuration file or folder. May be given several times."},
                     {.name = "skip",
                      .kind = FlagKind::kList,
                      .usage = "The name of a check to leave out. May be given several times."},
                     {.name = "debug", .kind = FlagKind::kBool, .usage = "Taken for compatibility."}}}};
  command.http = false;
  command.format = true;
  command.run = run_diagnose;
  return command;
}

Command server_command(std::vector<core::Engine*> engines) {
  Command command;
  command.name = "server";
  command.synopsis = "Start a {Name} server";
  command.usage = "[options]";
  command.help =
      "Starts a server and stays in the foreground until SIGTERM or SIGINT. SIGHUP reads certificates again and opens "
      "log and audit files anew.\n\n"
      "Start with a configuration file:\n\n      $ {cmd} server -config=/etc/coffer/server.hcl\n\n"
      "Start a server to try things out:\n\n      $ {cmd} server -dev";
  command.flags = server_flags();
  command.http = false;
  command.run = [engines = std::move(engines)](Context& ctx) { return run_server(ctx, engines); };
  return command;
}

Command inspect_command() {
  Command command;
  command.name = "operator raft snapshot inspect";
  command.synopsis = "Look at a snapshot's file";
  command.usage = "[options] FILE";
  command.help =
      "Checks a file and prints what it is a snapshot of, and how many records of what size are in it. Asks no server, "
      "and needs no key.\n\n"
      "$ {cmd} operator raft snapshot inspect /var/backups/vault.snap";
  command.flags = {{"Command Options",
                    {{.name = "details", .kind = FlagKind::kBool, .usage = "Count the records.", .fallback = "true"},
                     {.name = "depth",
                      .kind = FlagKind::kInt,
                      .usage = "How many segments of a name are kept apart.",
                      .fallback = "2"},
                     {.name = "filter", .usage = "Count only records whose names begin so."}}}};
  command.http = false;
  command.format = true;
  command.run = run_inspect;
  return command;
}

}  // namespace coffer::cli
