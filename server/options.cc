#include "server/options.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <tuple>

#include "base/check.h"
#include "server/addresses.h"
#include "server/config.h"
#include "server/seals.h"

namespace coffer::server {
namespace {

constexpr Nanos kRequestTimeAtMost = std::chrono::hours(24);
constexpr std::uint16_t kHttpPort = 8200;
constexpr std::uint16_t kGrpcPort = 8210;

// Flags win over what `out` holds already. They may come from the environment, under names of their own.
Status log_options(const RunOptions& run, Logger::Options& out) {
  if (!run.log_level.empty()) {
    const Result<LogLevel> level = parse_log_level(run.log_level);
    COFFER_TRY(level.status().with_context("-log-level"));
    out.level = *level;
  }
  if (!run.log_format.empty()) {
    const Result<LogFormat> format = parse_log_format(run.log_format);
    COFFER_TRY(format.status().with_context("-log-format"));
    out.json = *format == LogFormat::kJson;
  }
  if (!run.log_file.empty())
    out.file = run.log_file;
  return Status();
}

Result<StartOptions> dev_options(const RunOptions& run) {
  if (!run.config_paths.empty())
    return Status(Code::kInvalid, "-dev and -config exclude each other");
  StartOptions start;
  COFFER_TRY(log_options(run, start.log));
  start.app.storage = AppOptions::Storage::kInmem;
  start.app.info.storage_type = "inmemory";
  start.app.info.first.dev = true;
  start.app.info.first.kv_v1 = run.dev_kv_v1;
  start.app.info.first.root_token = run.dev_root_token;
  COFFER_ASSIGN(auto http, parse_address(run.dev_listen, kHttpPort, "-dev-listen-address"));
  std::optional<crypto::TlsFiles> tls;
  if (run.dev_tls) {
    std::vector<std::string> names = run.dev_tls_names;
    if (http.first != "0.0.0.0" && http.first != "::")
      names.push_back(http.first);
    COFFER_ASSIGN(start.dev_tls, DevTls::create(run.dev_tls_cert_dir, names));
    tls = start.dev_tls->files();
  } else if (!run.dev_tls_cert_dir.empty() || !run.dev_tls_names.empty()) {
    return Status(Code::kInvalid, "-dev-tls-cert-dir and -dev-tls-san need -dev-tls");
  }
  start.app.http.listeners.push_back({http.first, http.second, tls});
  if (!run.dev_grpc_listen.empty()) {
    COFFER_ASSIGN(auto grpc, parse_address(run.dev_grpc_listen, kGrpcPort, "-dev-grpc-listen-address"));
    start.app.rpc.listeners.push_back({grpc.first, grpc.second, tls});
  }
  start.app.info.api_address = (tls ? "https://" : "http://") + run.dev_listen;
  start.app.info.cluster_address = "https://127.0.0.1:8201";
  start.disable_mlock = true;
  return start;
}

// Limits are the whole HTTP server's: the smallest that any listener sets counts for all.
void tighten(http::Config& http, const ListenerConfig& listener) {
  const auto lower = [](auto& limit, const auto& wanted) {
    if (wanted && static_cast<std::size_t>(*wanted) < limit)
      limit = *wanted;
  };
  lower(http.limits.body_bytes, listener.max_request_bytes);
  lower(http.limits.json.strings, listener.max_json_strings);
  lower(http.limits.json.memory_bytes, listener.max_json_memory_bytes);
  lower(http.limits.json.depth, listener.max_json_depth);
  http.timeouts.header = std::min(http.timeouts.header, listener.read_header_timeout.value_or(http.timeouts.header));
  http.timeouts.body = std::min(http.timeouts.body, listener.read_timeout.value_or(http.timeouts.body));
  http.timeouts.write = std::min(http.timeouts.write, listener.write_timeout.value_or(http.timeouts.write));
  http.timeouts.idle = std::min(http.timeouts.idle, listener.idle_timeout.value_or(http.timeouts.idle));
  http.require_request_header = http.require_request_header || listener.require_request_header;
}

// gRPC has the limits of a message; its timeouts are its own.
void tighten(rpc::Config& rpc, const ListenerConfig& listener) {
  rpc.message_bytes = std::min(rpc.message_bytes, listener.max_request_bytes.value_or(rpc.message_bytes));
  rpc.json.strings = std::min(rpc.json.strings, listener.max_json_strings.value_or(rpc.json.strings));
  rpc.json.memory_bytes =
      std::min(rpc.json.memory_bytes, listener.max_json_memory_bytes.value_or(rpc.json.memory_bytes));
  rpc.json.depth = std::min(rpc.json.depth, listener.max_json_depth.value_or(rpc.json.depth));
}

// The shortest of all listeners of a kind, each with the configuration's default for want of its own.
Nanos request_time(const Config& config, ListenerKind kind) {
  Nanos shortest = Nanos::max();
  for (const ListenerConfig& listener : config.listeners) {
    const Nanos own = listener.max_request_duration.value_or(Nanos(0));
    if (listener.kind == kind)
      shortest = std::min(shortest, own > Nanos(0) ? own : config.default_max_request_duration);
  }
  return std::min(shortest, kRequestTimeAtMost);
}

// As the system has it, when it may stand in a header.
std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  if (gethostname(name, sizeof name - 1) != 0)
    return {};
  std::string text(name);
  std::erase_if(text, [](char c) { return c <= 0x20 || c >= 0x7f; });
  return text;
}

void add_listeners(const Config& config, AppOptions& app) {
  app.http.timeouts.request = request_time(config, ListenerKind::kTcp);
  app.rpc.request = request_time(config, ListenerKind::kGrpc);
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.kind == ListenerKind::kTcp) {
      http::Listener door{listener.host, listener.port, listener.tls};
      door.door = {listener.unauthenticated_metrics, listener.metrics_only, listener.disallow_metrics};
      for (const auto& [pattern, lines] : listener.response_headers)
        COFFER_CHECK(door.headers.add(pattern, lines).ok());  // checked when it was read
      if (config.hostname_header)
        door.headers.always("X-Vault-Hostname", host_name());
      if (config.node_id_header && !config.storage->node_id.empty())
        door.headers.always("X-Vault-Raft-Node-ID", config.storage->node_id);
      door.headers.finish();
      door.chroot = listener.chroot_namespace;
      if (listener.cors)
        door.cors = std::make_shared<const core::DoorSettings>(*listener.cors);
      app.http.listeners.push_back(std::move(door));
      tighten(app.http, listener);
    } else {
      app.rpc.listeners.push_back({listener.host, listener.port, listener.tls});
      tighten(app.rpc, listener);
    }
  }
}

Status add_storage(const Config& config, AppOptions& app) {
  const StorageConfig& storage = *config.storage;
  switch (storage.kind) {
    case StorageKind::kRaft: app.storage = AppOptions::Storage::kRaft; break;
    case StorageKind::kFile: app.storage = AppOptions::Storage::kFile; break;
    case StorageKind::kInmem: app.storage = AppOptions::Storage::kInmem; break;
  }
  app.info.storage_type = storage.kind == StorageKind::kRaft   ? "raft"
                          : storage.kind == StorageKind::kFile ? "file"
                                                               : "inmem";
  app.info.ha_enabled = storage.kind == StorageKind::kRaft;
  if (!storage.node_id.empty() || storage.kind == StorageKind::kRaft)
    app.node_id = storage.node_id;
  if (storage.kind == StorageKind::kInmem)
    return Status();
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(storage.path, error);
  if (error)
    return Status(Code::kInvalid, "storage path " + storage.path + ": " + error.message());
  if (!std::filesystem::is_directory(path.parent_path(), error) && !std::filesystem::is_directory(path, error))
    return Status(Code::kInvalid, "storage path " + storage.path + ": neither it nor its parent folder exists");
  app.storage_path = path.lexically_normal().string();
  app.autopilot_zone = storage.autopilot_zone;
  app.autopilot_upgrade_version = storage.autopilot_upgrade_version;
  app.free_bytes_min = static_cast<std::uint64_t>(storage.min_free_bytes);
  if (storage.max_snapshot_bytes != 0)
    app.snapshot_bytes_max = storage.max_snapshot_bytes;
  if (!storage.snapshot_folder.empty() && !storage.snapshot_folder.starts_with('/'))
    return Status(Code::kInvalid, "snapshot_folder " + storage.snapshot_folder + ": must be an absolute path");
  app.snapshot_folder = std::filesystem::path(storage.snapshot_folder).lexically_normal().string();
  while (app.snapshot_folder.size() > 1 && app.snapshot_folder.ends_with('/'))
    app.snapshot_folder.pop_back();
  return Status();
}

// Where other nodes are listened to: what the first listener that says so says, else its host and its port and one.
Status add_cluster_listener(const Config& config, AppOptions& app) {
  const http::Listener& first = app.http.listeners.front();
  const auto next = static_cast<std::uint16_t>(first.port + 1);
  app.cluster_listen_host = first.host;
  app.cluster_listen_port = next;
  for (const ListenerConfig& listener : config.listeners)
    if (listener.kind == ListenerKind::kTcp && !listener.cluster_address.empty()) {
      const auto address = parse_address(listener.cluster_address, next, "cluster_address");
      COFFER_TRY(address.status());
      std::tie(app.cluster_listen_host, app.cluster_listen_port) = *address;
      break;
    }
  return ok_status();
}

// What clients and other nodes are told: as configured, else where this host is reached at what it listens on.
Status add_addresses(const Config& config, StartOptions& start) {
  AppOptions& app = start.app;
  const std::vector<HostAddress> own = host_addresses();
  app.info.cluster_name = config.cluster_name;
  const auto expanded = [&own](const std::string& text, std::string_view setting) {
    Result<std::string> out = expand_addresses(text, own);
    return out.ok() ? out : Result<std::string>(out.status().with_context(setting));
  };
  COFFER_ASSIGN(app.info.api_address, expanded(config.api_addr, "api_addr"));
  COFFER_ASSIGN(app.info.cluster_address, expanded(config.cluster_addr, "cluster_addr"));
  if (app.http.listeners.empty())
    return ok_status();
  const http::Listener& first = app.http.listeners.front();
  const bool listens = first.port != 0 && first.port != UINT16_MAX;
  if (listens)
    COFFER_TRY(add_cluster_listener(config, app));
  if (app.info.api_address.empty()) {
    app.info.api_address = std::string(first.tls ? "https://" : "http://") +
                           host_with_port(advertised_host(first.host, own), first.port);
    start.derived.push_back("api_addr is not set: clients are told " + app.info.api_address);
  }
  if (app.info.cluster_address.empty()) {
    const std::string& host = listens ? app.cluster_listen_host : first.host;
    const unsigned port = listens ? app.cluster_listen_port : first.port + 1u;
    app.info.cluster_address = "https://" + host_with_port(advertised_host(host, own), port);
    if (app.storage == AppOptions::Storage::kRaft)
      start.derived.push_back("cluster_addr is not set: other nodes are told " + app.info.cluster_address);
  }
  if (app.storage != AppOptions::Storage::kRaft || config.disable_clustering || !listens) {
    app.cluster_listen_host.clear();
    app.cluster_listen_port = 0;
    return ok_status();
  }
  app.info.restore_uninitialized = config.storage->restore_uninitialized;
  for (const RetryJoin& one : config.storage->retry_join) {
    core::JoinTarget target;
    target.url = one.leader_api_addr;
    target.server_name = one.leader_tls_servername;
    target.ca_file = one.leader_ca_cert_file;
    target.client_cert_file = one.leader_client_cert_file;
    target.client_key_file = one.leader_client_key_file;
    app.retry_join.push_back(std::move(target));
  }
  return ok_status();
}

// A disabled stanza is of a seal that the store may still have. What the environment names is meant for the enabled one
// where both are of one kind.
Status make_seals(std::vector<SealStanza>& stanzas, const RunOptions& run, AppOptions& app) {
  std::string enabled_kind;
  for (const SealStanza& stanza : stanzas)
    if (!stanza.disabled)
      enabled_kind = stanza.kind;
  for (SealStanza& stanza : stanzas) {
    if (stanza.kind == seal::kShamirKind)
      continue;
    std::unique_ptr<seal::KeyWrapper>& seal = stanza.disabled ? app.former_seal : app.automatic_seal;
    if (seal != nullptr)
      return Status(Code::kInvalid, stanza.disabled ? "seal: only one disabled automatic seal can be given at a time"
                                                    : "seal: only one automatic seal can be used at a time");
    if (stanza.disabled)
      stanza.pkcs11.generate_key = false;  // it opens what it sealed, and seals no more
    const bool named = !stanza.disabled || stanza.kind != enabled_kind;
    const Environment variable = [&run, named](const std::string& name) {
      return named ? run.variable(name) : std::nullopt;
    };
    COFFER_ASSIGN(seal, make_automatic_seal(std::move(stanza), variable, run.call_web));
  }
  return ok_status();
}

// What the pod's environment says goes before the block, as it does for Vault.
Status add_registration(const Config& config, const RunOptions& run, StartOptions& start) {
  if (!config.registration)
    return ok_status();
  RegistrationOptions out = *config.registration;
  if (out.kind == RegistrationOptions::Kind::kKubernetes) {
    out.name_space = run.variable("VAULT_K8S_NAMESPACE").value_or(out.name_space);
    out.pod_name = run.variable("VAULT_K8S_POD_NAME").value_or(out.pod_name);
    if (out.pod_name.empty())
      return Status(Code::kInvalid,
                    "service_registration \"kubernetes\": pod_name must be set, or VAULT_K8S_POD_NAME");
    const std::string host = run.variable("KUBERNETES_SERVICE_HOST").value_or("");
    const std::string port = run.variable("KUBERNETES_SERVICE_PORT").value_or("443");
    if (host.empty()) {
      start.warnings.push_back("service_registration \"kubernetes\" has no effect: this is no pod, "
                               "KUBERNETES_SERVICE_HOST is not set");
      return ok_status();
    }
    out.api_server = "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
  }
  start.app.registration = std::move(out);
  return ok_status();
}

std::shared_ptr<const std::vector<core::AuditDeviceConfig>> declared_audits(const Config& config) {
  auto out = std::make_shared<std::vector<core::AuditDeviceConfig>>();
  for (const AuditStanza& stanza : config.audits) {
    core::AuditDeviceConfig device;
    device.path = stanza.path + "/";
    device.type = stanza.type;
    device.description = stanza.description;
    device.local = stanza.local;
    device.options = stanza.options;
    out->push_back(std::move(device));
  }
  return out;
}

Result<StartOptions> configured_options(const RunOptions& run) {
  if (run.config_paths.empty() && !run.variable("VAULT_LOCAL_CONFIG"))
    return Status(Code::kInvalid, "Must specify at least one config path using -config");
  COFFER_ASSIGN(Config config, load_config(run.config_paths, run.variable));
  COFFER_TRY(validate_config(config));
  StartOptions start;
  start.log = {config.log_level,           config.log_format == LogFormat::kJson,
               config.log_file,            config.log_rotate_bytes,
               config.log_rotate_duration, static_cast<int>(config.log_rotate_max_files)};
  COFFER_TRY(log_options(run, start.log));
  start.warnings = config.warnings;
  for (std::string& line : idle_settings(config))
    start.warnings.push_back(std::move(line));
  start.pid_file = config.pid_file;
  start.disable_mlock = config.disable_mlock;
  COFFER_TRY(add_storage(config, start.app));
  add_listeners(config, start.app);
  COFFER_TRY(add_addresses(config, start));
  COFFER_TRY(add_registration(config, run, start));
  start.app.system.default_lease_ttl = config.default_lease_ttl;
  start.app.system.max_lease_ttl = config.max_lease_ttl;
  start.app.log_requests = config.log_requests;
  start.app.overload_protection = config.overload_protection;
  start.app.system.administrative_namespace = config.administrative_namespace;
  start.app.system.remove_irrevocable_lease_after = config.remove_irrevocable_lease_after;
  start.app.protected_folders = protected_folders(config);
  start.app.declared_audits = declared_audits(config);
  const Telemetry telemetry = config.telemetry.value_or(Telemetry());
  start.app.telemetry.enabled = telemetry.prometheus_retention_time > Nanos(0);
  start.app.telemetry.prefix = telemetry.metrics_prefix;
  start.app.tracing = config.tracing;
  start.app.sanitized_config = sanitized_config(config);
  start.app.introspection = config.introspection_endpoint;
  start.app.standby_reads = !config.disable_performance_standby;
  start.app.lockouts = config.lockouts;
  COFFER_TRY(make_seals(config.seals, run, start.app));
  return start;
}

}  // namespace

Result<LogLevels> log_levels(const RunOptions& options) {
  Logger::Options log;
  LogLevels levels;
  if (!options.dev) {
    COFFER_ASSIGN(const Config config, load_config(options.config_paths, options.variable));
    COFFER_TRY(validate_config(config));
    log.level = config.log_level;
    levels.requests = config.log_requests;
  }
  COFFER_TRY(log_options(options, log));
  levels.level = log.level;
  return levels;
}

Result<std::pair<std::string, std::uint16_t>> parse_address(std::string_view text, std::uint16_t port,
                                                            std::string_view setting) {
  const Status bad(Code::kInvalid, std::string(setting) + ": expected an address and a port, as in 127.0.0.1:8200");
  std::string_view host = text;
  std::string_view port_text;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos)
      return bad;
    host = text.substr(1, end - 1);
    if (end + 1 < text.size() && text[end + 1] != ':')
      return bad;
    port_text = end + 2 <= text.size() ? text.substr(end + 2) : std::string_view();
  } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    if (text.find(':') != colon)
      return bad;
    host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }
  if (!port_text.empty()) {
    const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || end != port_text.data() + port_text.size())
      return bad;
  }
  std::string name(host);
  if (name.empty())
    name = "0.0.0.0";
  if (name == "localhost")
    name = "127.0.0.1";
  return std::pair(name, port);
}

Result<StartOptions> start_options(const RunOptions& run) {
  Result<StartOptions> start = run.dev ? dev_options(run) : configured_options(run);
  if (start.ok()) {
    start->app.further_engines = run.further_engines;
    start->app.call_peer = run.call_peer;
    start->app.call_web = run.call_web;
    start->app_info = start->app.info;
    start->seal_kind =
        start->app.automatic_seal ? std::string(start->app.automatic_seal->kind()) : std::string(seal::kShamirKind);
  }
  return start;
}

}  // namespace coffer::server
