// sys/config/state/sanitized: what an operator may see of the running configuration. Keys of seals, and what stands in
// `telemetry` and `tracing` beyond what is known to be harmless, are left out.
#include "base/json.h"
#include "server/config.h"

namespace coffer::server {
namespace {

constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};

std::int64_t seconds(Nanos time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); }

json::Value listeners(json::Arena& arena, const Config& config) {
  json::ArrayBuilder out(arena);
  for (const ListenerConfig& listener : config.listeners) {
    const std::string host =
        listener.host.find(':') == std::string::npos ? listener.host : "[" + listener.host + "]";
    json::ObjectBuilder settings(arena, 6);
    settings.add("address", host + ":" + std::to_string(listener.port)).add("tls_disable", !listener.tls.has_value());
    if (listener.tls)
      settings.add("tls_cert_file", listener.tls->cert_file).add("tls_key_file", listener.tls->key_file);
    out.add(json::ObjectBuilder(arena, 2)
                .add("config", settings.build())
                .add("type", listener.kind == ListenerKind::kTcp ? "tcp" : "grpc")
                .build());
  }
  return out.build();
}

json::Value seals(json::Arena& arena, const Config& config) {
  json::ArrayBuilder out(arena);
  for (const SealStanza& seal : config.seals)
    out.add(json::ObjectBuilder(arena, 2).add("disabled", seal.disabled).add("type", seal.kind).build());
  if (config.seals.empty())
    out.add(json::ObjectBuilder(arena, 2).add("disabled", false).add("type", "shamir").build());
  return out.build();
}

json::Value storage(json::Arena& arena, const Config& config) {
  const StorageKind kind = config.storage ? config.storage->kind : StorageKind::kInmem;
  json::ObjectBuilder out(arena, 4);
  out.add("cluster_addr", config.cluster_addr).add("disable_clustering", config.disable_clustering);
  out.add("redirect_addr", config.api_addr);
  out.add("type", kind == StorageKind::kRaft ? "raft" : kind == StorageKind::kFile ? "file" : "inmem");
  return out.build();
}

json::Value audits(json::Arena& arena, const Config& config) {
  json::ArrayBuilder out(arena);
  for (const AuditStanza& audit : config.audits)
    out.add(json::ObjectBuilder(arena, 3)
                .add("description", audit.description)
                .add("path", audit.path + "/")
                .add("type", audit.type)
                .build());
  return out.build();
}

}  // namespace

std::string sanitized_config(const Config& config) {
  json::Arena arena;
  json::ObjectBuilder all(arena, 40);
  const Telemetry telemetry = config.telemetry.value_or(Telemetry());
  all.add("administrative_namespace_path", config.administrative_namespace)
      .add("api_addr", config.api_addr)
      .add("audit", audits(arena, config))
      .add("cluster_addr", config.cluster_addr)
      .add("cluster_name", config.cluster_name)
      .add("default_lease_ttl", seconds(config.default_lease_ttl))
      .add("default_max_request_duration", seconds(config.default_max_request_duration))
      .add("disable_clustering", config.disable_clustering)
      .add("disable_performance_standby", config.disable_performance_standby)
      .add("enable_ui", config.ui)
      .add("enable_response_header_hostname", config.hostname_header)
      .add("enable_response_header_raft_node_id", config.node_id_header)
      .add("introspection_endpoint", config.introspection_endpoint)
      .add("listeners", listeners(arena, config))
      .add("log_format", config.log_format == LogFormat::kJson ? "json" : "standard")
      .add("log_level", kLevels[static_cast<std::size_t>(config.log_level)])
      .add("max_lease_ttl", seconds(config.max_lease_ttl))
      .add("pid_file", config.pid_file)
      .add("plugin_directory", config.plugin_directory)
      .add("raw_storage_endpoint", config.raw_storage_endpoint)
      .add("remove_irrevocable_lease_after", seconds(config.remove_irrevocable_lease_after))
      .add("seals", seals(arena, config))
      .add("storage", storage(arena, config))
      .add("telemetry", json::ObjectBuilder(arena, 3)
                            .add("disable_hostname", telemetry.disable_hostname)
                            .add("metrics_prefix", telemetry.metrics_prefix)
                            .add("prometheus_retention_time", seconds(telemetry.prometheus_retention_time))
                            .build())
      .add("tracing", json::ObjectBuilder(arena, 1).add("enabled", config.tracing.has_value()).build());
  std::string out;
  json::write(all.build(), out);
  return out;
}

}  // namespace coffer::server
