// One running node: everything composed, storey by storey (server/wire.cc). Owned and driven by the main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "core/lifecycle.h"
#include "core/lockout.h"
#include "http/config.h"
#include "rpc/server.h"
#include "seal/seal.h"
#include "server/instruments.h"
#include "server/registration.h"
#include "server/otlp.h"

namespace coffer::server {

// What a node is made of, after configuration and flags were read and checked.
struct AppOptions {
  enum class Storage { kRaft, kFile, kInmem };

  Storage storage = Storage::kInmem;
  std::string storage_path;            // absolute; kRaft and kFile
  std::uint64_t snapshot_bytes_max = limits::kSnapshotBytesMax;  // that is taken to be restored
  std::string snapshot_folder;         // absolute; of automated snapshots; empty: none are kept here
  std::uint64_t free_bytes_min = 0;    // of its disk, below which writes are refused; 0: no watermark
  std::string node_id = "node";        // empty, for kRaft: drawn at the first start and kept
  core::Lifecycle::Info info;
  core::SystemConfig system;
  bool overload_protection = true;
  std::optional<LogLevel> log_requests;
  std::unique_ptr<seal::KeyWrapper> automatic_seal;  // null: Shamir
  std::unique_ptr<seal::KeyWrapper> former_seal;     // of the stanza that says `disabled`; null: none
  http::Config http;
  rpc::Config rpc;
  TelemetryOptions telemetry;
  std::optional<TracingOptions> tracing;
  std::string sanitized_config = "{}";         // JSON
  std::vector<std::string> protected_folders;  // no audit file may lie below them
  std::shared_ptr<const std::vector<core::AuditDeviceConfig>> declared_audits;  // may be null
  core::LockoutRules lockouts;
  std::vector<core::Engine*> further_engines;  // outlive the App
  bool introspection = false;          // sys/internal/inspect is there
  // Of a node that may share its storage with others (kRaft): where it listens for them; empty: it never does.
  std::string cluster_listen_host;
  std::uint16_t cluster_listen_port = 0;
  core::PeerCall call_peer;
  std::optional<RegistrationOptions> registration;
  core::WebCall call_web;
  std::vector<core::JoinTarget> retry_join;
  std::string autopilot_zone;             // core::Member::zone
  std::string autopilot_upgrade_version;  // core::Member::upgrade_version
  bool standby_reads = true;           // served here while another node leads
};

class App {
 public:
  // Opens the store, starts the node, waits until it serves, then listens. On failure nothing is left running; the
  // message names the setting, file or address. `fatal` may be called later, once, from any thread: the process must
  // end.
  static Result<std::unique_ptr<App>> start(AppOptions options, Logger& logger,
                                            std::function<void(const Status&)> fatal);
  // As stop() if that was not called.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // For dev mode: initialised and unsealed; waits.
  Result<core::Lifecycle::DevKeys> init_dev();

  // Where it listens, with the ports that the system chose.
  std::vector<std::string> http_addresses() const;
  std::vector<std::string> grpc_addresses() const;

  // SIGHUP: certificates, audit files. What fails keeps its old state; the first failure is returned.
  Status reload();
  // Each request that is answered is a line of this level from here on; nothing: none is. Any thread.
  void log_requests(std::optional<LogLevel> level);
  // Answers what is in flight, then ends everything. Once.
  void stop();

 private:
  class Impl;
  explicit App(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::server
