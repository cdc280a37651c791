// The server's configuration: what files, folders and the environment say, merged and checked. Later sources win for
// single settings; listeners and seals add up. Errors name file, line and setting and never a value that may be secret.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hcl.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "core/door.h"
#include "core/lockout.h"
#include "crypto/tls_files.h"
#include "seal/static_seal.h"
#include "server/otlp.h"
#include "server/registration_options.h"

namespace coffer::server {

enum class StorageKind : std::uint8_t { kRaft, kFile, kInmem };

struct RetryJoin {
  std::string leader_api_addr;
  std::string leader_tls_servername;
  std::string leader_ca_cert_file;
  std::string leader_client_cert_file;
  std::string leader_client_key_file;
};

struct StorageConfig {
  StorageKind kind = StorageKind::kRaft;
  std::string path;     // of raft and file
  std::string node_id;  // empty: made at the first start
  std::size_t max_entry_bytes = 0;  // 0: the default of base/limits.h
  std::int64_t min_free_bytes = 256ll << 20;  // writes are refused below it; 0: no watermark
  std::size_t max_snapshot_bytes = 0;  // that is taken to be restored; 0: the default of base/limits.h
  std::string snapshot_folder;         // of raft: where automated snapshots are kept; empty: nowhere here
  bool restore_uninitialized = true;          // of raft: a node that has nothing takes a snapshot without a token
  std::vector<RetryJoin> retry_join;
  std::string autopilot_zone;             // autopilot_redundancy_zone; empty: none
  std::string autopilot_upgrade_version;  // empty: the server's own
  std::string where;  // "file: line 3, column 1" of its block; empty: made up
};

enum class ListenerKind : std::uint8_t { kTcp, kGrpc };

// Zero and absent stand for the server's default.
struct ListenerConfig {
  ListenerKind kind = ListenerKind::kTcp;
  std::string host = "127.0.0.1";  // without the brackets of IPv6
  std::uint16_t port = 8200;       // 8210 for grpc
  std::string cluster_address;
  std::optional<crypto::TlsFiles> tls;  // absent: tls_disable
  std::optional<std::size_t> max_request_bytes;
  std::optional<Nanos> max_request_duration;
  std::optional<std::size_t> max_json_strings;
  std::optional<std::size_t> max_json_memory_bytes;
  std::optional<std::size_t> max_json_depth;
  std::optional<Nanos> read_timeout;
  std::optional<Nanos> read_header_timeout;
  std::optional<Nanos> write_timeout;
  std::optional<Nanos> idle_timeout;
  bool require_request_header = false;
  bool unauthenticated_metrics = false;
  bool metrics_only = false;
  bool disallow_metrics = false;
  std::string chroot_namespace;  // without slashes at its ends
  std::optional<core::DoorSettings> cors;  // absent: as sys/config/cors says
  // By "default", class or status; each header with its values.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> response_headers;
  std::string where;  // as above
};

// As written, of `seal "pkcs11"`.
struct Pkcs11Stanza {
  std::string library, slot, token_label, token_serial;
  SecretBytes pin;
  std::string key_label, key_id, hmac_key_label, hmac_key_id;
  std::string mechanism, oaep_hash;
  bool generate_key = false;
  bool force_rw_session = false;
};

struct SealStanza {
  // shamir, static (aesgcm is this kind too), pkcs11 (hsm too), awskms, azurekeyvault, gcpckms, transit, or one that
  // validate() refuses
  std::string kind;
  std::string name;
  bool disabled = false;
  std::int64_t priority = 0;
  seal::StaticSealOptions static_options;
  Pkcs11Stanza pkcs11;
  std::map<std::string, SecretBytes> settings;  // of the last four, as written
  std::string where;  // as above
};

enum class LogFormat : std::uint8_t { kStandard, kJson };

struct Telemetry {
  Nanos prometheus_retention_time = std::chrono::hours(24);
  bool disable_hostname = false;  // read and without meaning: names never hold the host's
  std::string metrics_prefix = "vault";
  std::map<std::string, std::string> settings;  // the rest, as written; kept for the sinks that read them
};

// audit "file" "name" { options { … } }: a device that is enabled whenever the server is unsealed.
struct AuditStanza {
  std::string type;
  std::string path;  // without its '/'
  std::string description;
  bool local = false;
  std::vector<std::pair<std::string, std::string>> options;
};

struct Config {
  std::optional<StorageConfig> storage;
  std::vector<ListenerConfig> listeners;
  std::vector<SealStanza> seals;  // none: shamir
  std::optional<Telemetry> telemetry;
  std::vector<AuditStanza> audits;
  std::optional<TracingOptions> tracing;
  std::optional<RegistrationOptions> registration;
  core::LockoutRules lockouts;
  bool overload_protection = true;

  std::string api_addr;
  std::string cluster_addr;
  std::string cluster_name;
  std::string pid_file;
  std::string plugin_directory;
  bool ui = false;
  bool disable_mlock = false;
  bool raw_storage_endpoint = false;
  bool introspection_endpoint = false;
  bool hostname_header = false;  // X-Vault-Hostname in every answer
  bool node_id_header = false;   // X-Vault-Raft-Node-ID
  bool disable_clustering = false;
  bool disable_performance_standby = false;

  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kStandard;
  std::optional<LogLevel> log_requests;  // nothing: requests are not logged
  std::string log_file;
  std::size_t log_rotate_bytes = 0;  // 0: not by size
  Nanos log_rotate_duration = std::chrono::hours(24);
  std::int64_t log_rotate_max_files = 0;

  Nanos default_lease_ttl = std::chrono::hours(768);
  Nanos max_lease_ttl = std::chrono::hours(768);
  Nanos remove_irrevocable_lease_after{0};  // 0: never
  std::string administrative_namespace;     // "team/alpha/"; empty: none
  Nanos default_max_request_duration = std::chrono::seconds(90);

  std::map<std::string, std::string, std::less<>> places;  // of settings at the top: "file: line 3, column 1"
  std::vector<std::string> warnings;  // for the log, one line each
  std::vector<std::string> files;     // that were read
};

// Gives a variable's value or nothing; process_environment() asks the operating system.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// Reads every path in order: a file, or a folder whose *.hcl and *.json are read sorted by name. Then
// VAULT_LOCAL_CONFIG (HCL or JSON), then VAULT_API_ADDR, VAULT_CLUSTER_ADDR, VAULT_RAFT_PATH, VAULT_RAFT_NODE_ID,
// VAULT_LOG_LEVEL, VAULT_LOG_FORMAT, VAULT_UI and VAULT_DISABLE_USER_LOCKOUT, which win, and VAULT_SEAL_TYPE, which
// counts where no seal is enabled. What was read is wiped. Does not validate.
Result<Config> load_config(const std::vector<std::string>& paths, const Environment& environment);

// One source; `name` stands in errors. On failure `config` holds some of it and must not be used.
Status apply_config(std::string_view text, const std::string& name, Config& config);

// The running configuration as JSON, without keys and secrets (server/config_sanitized.cc).
std::string sanitized_config(const Config& config);

// What only the whole shows: storage and a listener are there, addresses and TTLs fit together, no kind that this
// server lacks.
Status validate_config(const Config& config);

// server/config_seal.cc. The kind that a name is of: "aesgcm" is "static", "hsm" is "pkcs11"; others are themselves.
std::string seal_kind_of(std::string_view written);
// Whether it is a seal that opens by itself.
bool is_seal_kind(std::string_view kind);
// kInvalid, with the kinds that there are, unless it is one of them or "shamir".
Status check_seal_kind(std::string_view kind);
// Settings that are set and change nothing in this version, one line each.
std::vector<std::string> idle_settings(const Config& config);

// Folders that nothing may be written into over the API (advisory I1): data, plugins, TLS files, configuration. As
// configured, not resolved.
std::vector<std::string> protected_folders(const Config& config);

// "standard" (or "text") and "json"; else kInvalid: the caller names the setting.
Result<LogFormat> parse_log_format(std::string_view text);

}  // namespace coffer::server
