#include "server/config.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/limits.h"
#include "base/path.h"
#include "server/config_section.h"

namespace coffer::server {
namespace {

Status read_retry_join(Section& section, StorageConfig& out, std::vector<std::string>& warnings) {
  section.know("retry_join");
  const auto blocks = hcl::blocks(section.object(), "retry_join", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + section.file());
  for (const hcl::Block& block : *blocks) {
    RetryJoin join;
    Section inner(*block.body, section.file(), section.name() + " retry_join");
    COFFER_TRY(inner.text("leader_api_addr", join.leader_api_addr));
    COFFER_TRY(inner.text("leader_tls_servername", join.leader_tls_servername));
    COFFER_TRY(inner.text("leader_ca_cert_file", join.leader_ca_cert_file));
    COFFER_TRY(inner.text("leader_client_cert_file", join.leader_client_cert_file));
    COFFER_TRY(inner.text("leader_client_key_file", join.leader_client_key_file));
    if (join.leader_api_addr.empty())
      return inner.fail(block.at, "leader_api_addr", "must be set");
    inner.warn_unknown(warnings);
    out.retry_join.push_back(std::move(join));
  }
  return ok_status();
}

Status read_storage(const hcl::Block& block, const std::string& file, Config& config) {
  const std::string& kind = block.labels.front();
  StorageConfig out;
  if (kind == "raft")
    out.kind = StorageKind::kRaft;
  else if (kind == "file")
    out.kind = StorageKind::kFile;
  else if (kind == "inmem")
    out.kind = StorageKind::kInmem;
  else
    return config_error(file, block.at,
                        "unknown storage kind \"" + kind + "\": expected \"raft\", \"file\" or \"inmem\"");
  Section section(*block.body, file, "storage \"" + kind + "\"");
  COFFER_TRY(section.text("path", out.path));
  COFFER_TRY(section.text("node_id", out.node_id));
  COFFER_TRY(section.bytes("max_entry_size", out.max_entry_bytes));
  COFFER_TRY(section.number("min_free_bytes", 0, std::int64_t{1} << 50, out.min_free_bytes));
  COFFER_TRY(section.text("autopilot_redundancy_zone", out.autopilot_zone));
  COFFER_TRY(section.text("autopilot_upgrade_version", out.autopilot_upgrade_version));
  if (out.kind == StorageKind::kRaft) {
    COFFER_TRY(section.bytes("max_snapshot_size", out.max_snapshot_bytes));
    COFFER_TRY(section.text("snapshot_folder", out.snapshot_folder));
    COFFER_TRY(section.flag("restore_uninitialized", out.restore_uninitialized));
  }
  COFFER_TRY(read_retry_join(section, out, config.warnings));
  section.warn_unknown(config.warnings);
  out.where = place_of(file, block.at);
  config.storage = std::move(out);
  return ok_status();
}

Status read_storages(const hcl::Node& root, const std::string& file, Config& config) {
  std::size_t found = 0;
  for (const char* key : {"storage", "backend"}) {
    const auto blocks = hcl::blocks(root, key, 1);
    if (!blocks.ok())
      return blocks.status().with_context("error loading configuration from " + file);
    for (const hcl::Block& block : *blocks) {
      if (++found > 1)
        return config_error(file, block.at, "\"storage\": only one is allowed");
      COFFER_TRY(read_storage(block, file, config));
    }
  }
  for (const char* key : {"ha_storage", "ha_backend"}) {
    if (const hcl::Node* node = root.find(key))
      return config_error(
          file, node->at,
          "\"" + std::string(key) + "\": is not supported; storage \"raft\" is highly available by itself");
  }
  return ok_status();
}

Status read_listeners(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "listener", 1);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    COFFER_ASSIGN(ListenerConfig listener, read_listener(block, file, config.warnings));
    listener.where = place_of(file, block.at);
    config.listeners.push_back(std::move(listener));
  }
  return ok_status();
}

Status read_telemetry(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "telemetry", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    Telemetry telemetry;
    Section section(*block.body, file, "telemetry");
    COFFER_TRY(section.duration("prometheus_retention_time", telemetry.prometheus_retention_time));
    COFFER_TRY(section.flag("disable_hostname", telemetry.disable_hostname));
    COFFER_TRY(section.text("metrics_prefix", telemetry.metrics_prefix));
    for (const char* sink : {"statsite_address", "statsd_address", "dogstatsd_addr", "circonus_api_token",
                             "stackdriver_project_id"})
      if (section.has(sink))
        config.warnings.push_back("telemetry \"" + std::string(sink) + "\" at " + file +
                                  " has no effect: let a collector read sys/metrics");
    for (const hcl::Item& item : block.body->items)
      telemetry.settings[item.key] = item.value.text;
    config.telemetry = std::move(telemetry);
  }
  return ok_status();
}

Status read_overload_protection(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "adaptive_overload_protection", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    Section section(*block.body, file, "adaptive_overload_protection");
    bool disabled = false;
    COFFER_TRY(section.flag("disable_write_controller", disabled));
    config.overload_protection = !disabled;
    section.warn_unknown(config.warnings);
  }
  return ok_status();
}

template <typename T>
Status read_word(Section& section, std::string_view key, Result<T> (*parse)(std::string_view), T& out) {
  std::string text;
  COFFER_TRY(section.text(key, text));
  if (text.empty())
    return ok_status();
  const Result<T> value = parse(text);
  if (!value.ok())
    return section.fail(section.find(key)->at, key, value.status().message());
  out = *value;
  return ok_status();
}

Status read_log(Section& section, Config& config) {
  COFFER_TRY(read_word(section, "log_level", parse_log_level, config.log_level));
  COFFER_TRY(read_word(section, "log_format", parse_log_format, config.log_format));
  std::string requests;
  COFFER_TRY(section.text("log_requests_level", requests));
  if (const Result<LogLevel> level = parse_log_level(requests); level.ok())
    config.log_requests = *level;
  else if (!requests.empty() && requests != "off")
    return section.fail(section.find("log_requests_level")->at, "log_requests_level",
                        "expected off, error, warn, info, debug or trace");
  COFFER_TRY(section.text("log_file", config.log_file));
  COFFER_TRY(section.bytes("log_rotate_bytes", config.log_rotate_bytes));
  COFFER_TRY(section.duration("log_rotate_duration", config.log_rotate_duration));
  return section.number("log_rotate_max_files", -1, 1000, config.log_rotate_max_files);
}

Status read_administrative_namespace(Section& section, Config& config) {
  constexpr std::string_view kKey = "administrative_namespace_path";
  std::string path;
  COFFER_TRY(section.text(kKey, path));
  while (path.ends_with('/'))
    path.pop_back();
  while (path.starts_with('/'))
    path.erase(0, 1);
  if (path.empty())
    return ok_status();
  if (!CanonicalPath::from_text(path).ok())
    return section.fail(section.find(kKey)->at, kKey, "must be the path of a namespace");
  config.administrative_namespace = path + "/";
  return ok_status();
}

Status read_top(Section& section, Config& config) {
  COFFER_TRY(section.text("api_addr", config.api_addr));
  COFFER_TRY(section.text("cluster_addr", config.cluster_addr));
  COFFER_TRY(section.text("cluster_name", config.cluster_name));
  COFFER_TRY(section.text("pid_file", config.pid_file));
  COFFER_TRY(section.text("plugin_directory", config.plugin_directory));
  COFFER_TRY(section.flag("ui", config.ui));
  COFFER_TRY(section.flag("disable_mlock", config.disable_mlock));
  COFFER_TRY(section.flag("raw_storage_endpoint", config.raw_storage_endpoint));
  COFFER_TRY(section.flag("introspection_endpoint", config.introspection_endpoint));
  COFFER_TRY(section.flag("enable_response_header_hostname", config.hostname_header));
  COFFER_TRY(section.flag("enable_response_header_raft_node_id", config.node_id_header));
  COFFER_TRY(section.flag("disable_clustering", config.disable_clustering));
  COFFER_TRY(section.flag("disable_performance_standby", config.disable_performance_standby));
  COFFER_TRY(section.duration("default_lease_ttl", config.default_lease_ttl));
  COFFER_TRY(section.duration("max_lease_ttl", config.max_lease_ttl));
  COFFER_TRY(read_administrative_namespace(section, config));
  COFFER_TRY(section.duration("remove_irrevocable_lease_after", config.remove_irrevocable_lease_after));
  COFFER_TRY(section.duration("default_max_request_duration", config.default_max_request_duration));
  return read_log(section, config);
}

// Settings of the peer without meaning here: taken without a word, so that its files work as they are.
constexpr std::array<std::string_view, 8> kWithoutMeaning{
    "disable_cache", "cache_size",       "disable_sealwrap",       "disable_indexing",
    "license_path",  "detect_deadlocks", "disable_sentinel_trace", "disable_printable_check"};

}  // namespace

Status apply_config(std::string_view text, const std::string& name, Config& config) {
  Result<hcl::Node> root = hcl::parse(text);
  if (!root.ok())
    return root.status().with_context("error loading configuration from " + name);
  Section section(*root, name, "");
  for (const char* key : {"storage", "backend", "listener", "seal", "telemetry", "service_registration", "audit",
                         "tracing", "user_lockout", "adaptive_overload_protection"})
    section.know(key);
  for (const std::string_view key : kWithoutMeaning)
    section.know(key);
  const auto read_all = [&]() -> Status {
    COFFER_TRY(read_storages(*root, name, config));
    COFFER_TRY(read_listeners(*root, name, config));
    COFFER_TRY(read_seals(*root, name, config));
    COFFER_TRY(read_telemetry(*root, name, config));
    COFFER_TRY(read_audits(*root, name, config));
    COFFER_TRY(read_tracing(*root, name, config));
    COFFER_TRY(read_lockouts(*root, name, config));
    COFFER_TRY(read_overload_protection(*root, name, config));
    COFFER_TRY(read_registration(*root, name, config));
    return read_top(section, config);
  };
  Status status = read_all();
  if (status.ok())
    section.warn_unknown(config.warnings);
  for (const hcl::Item& item : root->items)
    config.places[item.key] = place_of(name, item.at);
  hcl::wipe_tree(*root);
  return status;
}

Result<LogFormat> parse_log_format(std::string_view text) {
  if (text == "standard" || text == "text")
    return LogFormat::kStandard;
  if (text == "json")
    return LogFormat::kJson;
  return Status(Code::kInvalid, "expected standard or json");
}

}  // namespace coffer::server
