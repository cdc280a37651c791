#include "server/app.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "actors/host.h"
#include "actors/node.h"
#include "base/descriptors.h"
#include "base/disk.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/time_text.h"
#include "base/version.h"
#include "core/activity.h"
#include "core/cluster.h"
#include "core/events.h"
#include "core/expiry_driver.h"
#include "core/identity_engine.h"
#include "core/irrevocable_sweep.h"
#include "core/jobs.h"
#include "core/pipeline.h"
#include "core/quota_count.h"
#include "core/rekeys.h"
#include "core/root_attempts.h"
#include "core/rotation.h"
#include "core/seal_health.h"
#include "core/snapshot_keeper.h"
#include "core/snapshot_stream.h"
#include "core/sys_engine.h"
#include "core/tending.h"
#include "core/token_engine.h"
#include "engines/approle/approle.h"
#include "engines/cubbyhole/cubbyhole.h"
#include "engines/kv/kv.h"
#include "engines/userpass/userpass.h"
#include "http/server.h"
#include "store/current.h"
#include "store/flush_thread.h"
#include "store/memory_backend.h"
#include "store/memory_log.h"
#include "server/cluster_part.h"
#include "server/descriptors.h"
#include "server/raft_readings.h"
#include "server/recovery.h"
#include "store/replacement.h"
#include "store/wal.h"

namespace coffer::server {
namespace {

constexpr Nanos kTickInterval = std::chrono::milliseconds(20);
constexpr Nanos kHousekeepingInterval = std::chrono::milliseconds(100);
constexpr Nanos kHousekeepingPause = std::chrono::milliseconds(10);  // between two steps of work that goes on
constexpr std::chrono::seconds kStartTimeMax{120};
constexpr std::chrono::seconds kDrainTimeMax{5};
// Password hashes and the like; more threads would take cores from those who are logged in.
constexpr unsigned kWorkThreads = 1;
constexpr std::size_t kRaftTailBytesMax = 256u << 10;  // a sole voter has no follower to feed from memory
constexpr std::chrono::hours kScrubPause{1};

// "https://host:port" without its scheme.
std::string host_and_port(const std::string& url) {
  const std::size_t scheme = url.find("://");
  return scheme == std::string::npos ? url : url.substr(scheme + 3);
}

std::string parent_folder(const std::string& folder) {
  std::error_code ignored;  // as it stands, then
  const std::filesystem::path whole = std::filesystem::absolute(folder, ignored).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).parent_path().string();
}

// Set once, waited for with a deadline.
class Latch {
 public:
  void set() {
    {
      const std::lock_guard lock(mutex_);
      set_ = true;
    }
    changed_.notify_all();
  }
  bool wait(std::chrono::seconds time_max) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time_max, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace

// Members stand in the order in which they depend on each other: destroyed from the last to the first.
class App::Impl {
 public:
  Impl(AppOptions options, Logger& logger, std::function<void(const Status&)> fatal)
      : options_(std::move(options)), logger_(logger), fatal_([this, report = std::move(fatal)](const Status& status) {
          report(status);
          note_failure(status);
        }) {
    log_requests(options_.log_requests);
  }

  Status open_store();
  Status create_node();
  Status start_node();
  Status compose_cluster(actors::Node::Options& node);
  Result<actors::Node::Begin> how_to_begin(raft::NodeId id) const;
  Status begin_silently();
  Status compose_core();
  Status listen();
  void stop();
  Status reload();
  void log_requests(std::optional<LogLevel> level) { log_requests_.store(level, std::memory_order_relaxed); }

  // Waits until it is set; no longer once the node has failed, or than a start may take.
  Status await(Latch& latch, const std::string& what);

  core::Lifecycle& lifecycle() { return *lifecycle_; }
  http::Server& http() { return *http_; }
  rpc::Server* rpc() { return rpc_.get(); }

 private:
  void compose_instruments();
  void members_changed(const core::Members& members);
  void settings_changed(const core::ServerSettings& settings);
  void tell_doors();
  void read_gauges(metrics::Reading& reading) const;
  std::vector<core::Instruments::InFlight> in_flight() const;
  void note_version();
  void bound_connections();
  void register_node();
  void note_failure(const Status& status);
  void state_changed(bool unsealed);
  void restored();
  Nanos housekeeping();

  AppOptions options_;
  std::atomic<std::optional<LogLevel>> log_requests_{};
  Logger& logger_;
  std::function<void(const Status&)> fatal_;  // any thread
  std::mutex failure_mutex_;
  Status failure_;             // guarded by failure_mutex_: the first
  Latch* awaited_ = nullptr;   // guarded by failure_mutex_

  // The store.
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<store::Log> log_;
  std::unique_ptr<store::Backend> backend_;
  std::unique_ptr<store::SnapshotTarget> snapshots_;
  store::StateBackend* state_ = nullptr;  // backend_, when it is on disk
  std::unique_ptr<store::FlushThread> flusher_;

  // What is derived from it.
  std::unique_ptr<core::Engine> sys_;
  std::unique_ptr<core::Engine> token_;
  std::unique_ptr<core::Engine> identity_;
  std::unique_ptr<core::Engine> kv_;
  std::unique_ptr<core::Engine> userpass_;
  std::unique_ptr<core::Engine> approle_;
  std::unique_ptr<core::Engine> cubbyhole_;
  core::EngineRegistry engines_;
  std::unique_ptr<core::AuditRegistry> audit_;
  std::unique_ptr<core::StateDeriver> deriver_;

  core::ActivityLog activity_;  // what the node commits refers to it

  // The node.
  std::unique_ptr<actors::Host> host_;
  std::unique_ptr<actors::Node> node_;
  Latch serves_;
  std::atomic<std::uint64_t> seal_changed_{0};  // the entry that did so last
  bool begun_ = false;  // the lifecycle looked at the store; node's thread once that runs

  // What is told of all this.
  std::shared_ptr<core::DoorBoard> board_ = std::make_shared<core::DoorBoard>();
  core::DoorSettings doors_;  // as the settings have it; node's thread, as the next
  bool in_company_ = false;   // other nodes belong to the cluster
  std::unique_ptr<UsageCounter> usage_;
  std::unique_ptr<ServerInstruments> instruments_;
  std::unique_ptr<OtlpExporter> exporter_;
  std::atomic<bool> version_noted_{false};

  // The request path.
  std::unique_ptr<core::WorkPool> pool_;
  std::unique_ptr<core::Lockouts> lockouts_;
  crypto::PgpHelpers pgp_;
  std::unique_ptr<core::Rekeys> rekeys_;
  std::unique_ptr<core::RootAttempts> root_attempts_;
  std::unique_ptr<core::EventBus> events_;  // http_ and rpc_ hold what subscribes to it
  core::CallThreads calls_{limits::kOutsideThreadsMax, limits::kOutsideCallsQueuedMax};
  std::unique_ptr<core::SnapshotPlace> snapshot_place_;  // null: storage that no other node shares
  std::unique_ptr<core::Services> services_;
  std::unique_ptr<core::SealHealth> seal_health_;
  std::unique_ptr<core::Lifecycle> lifecycle_;
  std::unique_ptr<core::Pipeline> pipeline_;
  std::unique_ptr<core::ExpiryDriver> expiry_;
  std::unique_ptr<core::JobRunner> jobs_;
  std::unique_ptr<core::Tender> tender_;
  std::unique_ptr<core::Rotator> rotator_;
  std::unique_ptr<core::IrrevocableSweep> sweep_;
  std::unique_ptr<core::ActivityWriter> activity_writer_;
  std::unique_ptr<core::SnapshotKeeper> keeper_;  // null: storage that no other node shares

  std::unique_ptr<ClusterPart> cluster_;  // null: storage that no other node shares

  // The surfaces.
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<ServiceRegistrar> registrar_;
  bool stopped_ = false;
};

Status App::Impl::open_store() {
  if (options_.storage == AppOptions::Storage::kInmem) {
    log_ = std::make_unique<store::MemoryLog>();
    backend_ = std::make_unique<store::MemoryBackend>();
    return Status();
  }
  Disk& disk = posix_disk();
  const std::string& folder = options_.storage_path;
  COFFER_TRY(disk.make_folder(folder).with_context("storage path"));
  COFFER_ASSIGN(lock_, disk.lock_folder(folder));
  const std::string log_folder = folder + "/log";
  COFFER_ASSIGN(const bool begun, disk.exists(log_folder));
  if (!begun)  // the folder may be new itself: its name must be as durable as what is kept in it
    COFFER_TRY(disk.sync_folder(parent_folder(folder)));
  COFFER_TRY(disk.make_folder(log_folder));
  COFFER_TRY(disk.sync_folder(folder));
  // The log is there before the state that is applied from it, so a state without a log has lost it.
  COFFER_ASSIGN(const auto current, store::read_current(disk, folder));
  store::WalOptions wal;
  wal.must_exist = current.has_value();
  COFFER_ASSIGN(log_, store::WriteAheadLog::open(disk, log_folder, wal));
  if (!current) {
    COFFER_TRY(log_->save_hard_state(log_->hard_state()));
    COFFER_TRY(log_->sync());
  }
  COFFER_ASSIGN(auto table, store::open_state(disk, folder, store::LmdbOptions{}, system_random()));
  const store::SetHashKey hash_key = table->hash_key();
  auto state = std::make_unique<store::StateBackend>(std::move(table), store::StateBackendOptions{});
  state_ = state.get();
  snapshots_ = std::make_unique<store::DiskTarget>(disk, folder, store::LmdbOptions{}, system_random(), *state,
                                                   hash_key);
  backend_ = std::move(state);
  if (options_.node_id.empty()) {
    const bool fresh = log_->last_index() == Index(0) && backend_->applied_index() == Index(0);
    COFFER_ASSIGN(options_.node_id, kept_node_id(disk, folder, fresh));
  }
  if (options_.storage == AppOptions::Storage::kRaft)
    COFFER_TRY(take_peers_file(disk, folder, options_.node_id, *log_, *backend_, logger_));
  flusher_ = std::make_unique<store::FlushThread>(
      *state_,
      [this](const Status& status) {
        logger_.error("storage", "the state cannot be written or is damaged: " + status.message());
        fatal_(status);
      },
      std::chrono::duration_cast<std::chrono::seconds>(kScrubPause));
  return Status();
}

void App::Impl::note_failure(const Status& status) {
  const std::lock_guard lock(failure_mutex_);
  if (failure_.ok())
    failure_ = status;
  if (awaited_ != nullptr)
    awaited_->set();
}

Status App::Impl::await(Latch& latch, const std::string& what) {
  {
    const std::lock_guard lock(failure_mutex_);
    COFFER_TRY(failure_);
    awaited_ = &latch;
  }
  const bool set = latch.wait(kStartTimeMax);
  const std::lock_guard lock(failure_mutex_);
  awaited_ = nullptr;
  COFFER_TRY(failure_);
  return set ? Status() : Status(Code::kUnavailable, what + " within " + std::to_string(kStartTimeMax.count()) + " s");
}

Status App::Impl::compose_core() {
  sys_ = core::make_sys_engine();
  token_ = core::make_token_engine();
  identity_ = core::make_identity_engine();
  kv_ = engines::make_kv_engine();
  userpass_ = engines::make_userpass_engine();
  approle_ = engines::make_approle_engine();
  cubbyhole_ = engines::make_cubbyhole_engine();
  engines_.add(*sys_, core::MountTable::kSecret, false);
  engines_.add(*cubbyhole_, core::MountTable::kSecret, false);
  engines_.add(*identity_, core::MountTable::kSecret, false);
  engines_.add(*kv_, core::MountTable::kSecret, true);
  engines_.add(*token_, core::MountTable::kAuth, false);
  engines_.add(*userpass_, core::MountTable::kAuth, true);
  engines_.add(*approle_, core::MountTable::kAuth, true);
  for (core::Engine* engine : options_.further_engines)
    engines_.add(*engine, core::MountTable::kSecret, true);
  core::AuditEnvironment environment;
  environment.forbidden_folders = options_.protected_folders;
  environment.running_version = std::string(kVaultVersion);
  environment.declared = options_.declared_audits;
  environment.complain = [this](std::string_view line) { logger_.error("audit", line); };
  environment.clock = &system_clock();
  audit_ = std::make_unique<core::AuditRegistry>(std::move(environment));
  deriver_ = std::make_unique<core::StateDeriver>(engines_, *audit_, options_.system);
  deriver_->on_settings([this](const core::ServerSettings& settings) { settings_changed(settings); });
  deriver_->on_members([this](const core::Members& members) { members_changed(members); });
  deriver_->on_seal([this](Index index) {
    seal_changed_ = index.get();
    node_->flush_state();
  });
  deriver_->on_rate_quotas([this](bool any) { board_->put_gate(any ? pipeline_.get() : nullptr); });
  options_.http.board = options_.rpc.board = board_;
  return Status();
}

void App::Impl::members_changed(const core::Members& members) {
  if (cluster_ != nullptr)
    cluster_->members_changed(members);
  // A standby takes a request in before it knows of the settings that the leader has acknowledged meanwhile, and these
  // may ask for the headers.
  in_company_ = members.size() > 1;
  tell_doors();
}

void App::Impl::settings_changed(const core::ServerSettings& settings) {
  doors_.keep_headers = settings.audited_headers != nullptr || settings.engines_see_headers ||
                        options_.tracing.has_value();
  doors_.cors = settings.cors_enabled;
  doors_.cors_credentials = settings.cors_credentials;
  doors_.cors_origins = settings.cors_origins;
  doors_.cors_headers = core::kCorsHeadersAlways;
  doors_.cors_headers.insert(doors_.cors_headers.end(), settings.cors_headers.begin(), settings.cors_headers.end());
  tell_doors();
}

void App::Impl::tell_doors() {
  auto told = std::make_shared<core::DoorSettings>(doors_);
  told->keep_headers |= in_company_;
  board_->put(std::move(told));
}

void App::Impl::compose_instruments() {
  usage_ = std::make_unique<UsageCounter>(*backend_, [this] { return !lifecycle_->sealed(); });
  ServerInstruments::Ports ports{logger_, system_clock(), [this](metrics::Reading& reading) { read_gauges(reading); },
                                 [this] { return in_flight(); }, usage_.get()};
  instruments_ =
      std::make_unique<ServerInstruments>(options_.telemetry, options_.sanitized_config, std::move(ports));
  if (options_.tracing)
    exporter_ = std::make_unique<OtlpExporter>(*options_.tracing, system_clock(), logger_);
}

std::vector<core::Instruments::InFlight> App::Impl::in_flight() const {
  std::vector<core::Instruments::InFlight> out;
  if (http_ == nullptr)
    return out;
  const WallTime now = system_clock().wall_now();
  for (http::Server::InFlight& one : http_->in_flight())
    out.push_back({std::move(one.id), now - one.age, std::move(one.remote_address), std::move(one.path),
                   std::move(one.method)});
  return out;
}

void App::Impl::read_gauges(metrics::Reading& reading) const {
  const auto put = [&reading](std::string name, double value, std::vector<metrics::Label> labels = {}) {
    reading.gauges.push_back({std::move(name), value, std::move(labels)});
  };
  const bool unsealed = !lifecycle_->sealed();
  put("vault.core.unsealed", unsealed ? 1 : 0);
  const std::optional<WallTime> away = seal_health_->state().away_since;
  put("vault.seal.unreachable.time",
      away ? std::chrono::duration<double>(system_clock().wall_now() - *away).count() : 0);
  put("vault.core.active", unsealed && node_->is_leader() ? 1 : 0);
  read_raft(*node_, reading);
  if (cluster_ != nullptr && unsealed && node_->is_leader())
    if (const auto state = cluster_->pilot().get(); state != nullptr)
      read_pilot(*state, reading);
  if (!options_.storage_path.empty())
    if (const auto free = posix_disk().free_bytes(options_.storage_path); free.ok())
      put("vault.storage.free_bytes", static_cast<double>(*free));
  if (http_ != nullptr) {
    const http::Stats stats = http_->stats();
    put("vault.core.in_flight_requests", static_cast<double>(stats.requests_in_flight));
    put("vault.http.connections_open", static_cast<double>(stats.connections_open));
    put("vault.http.connections_accepted", static_cast<double>(stats.connections_accepted));
    put("vault.http.connections_evicted", static_cast<double>(stats.connections_evicted));
    put("vault.http.requests", static_cast<double>(stats.requests));
    put("vault.http.requests_refused", static_cast<double>(stats.requests_refused));
    put("vault.http.body_bytes_held", static_cast<double>(stats.body_bytes_held));
    put("vault.http.tls_handshakes_failed", static_cast<double>(stats.tls_handshakes_failed));
  }
  if (cluster_ != nullptr)
    cluster_->read_counts(reading);
  const auto attachment = backend_->attachment();
  const core::Published* published = core::published_in(attachment);
  if (published == nullptr || published->sealed || published->router == nullptr)
    return;
  for (const core::MountTable table : {core::MountTable::kSecret, core::MountTable::kAuth})
    for (const bool local : {false, true})
      put("vault.core.mount_table.num_entries",
          static_cast<double>(std::ranges::count_if(published->router->routes(),
                                                    [&](const core::Route& route) {
                                                      return route.record.table == table &&
                                                             route.record.info.local == local;
                                                    })),
          {{"type", table == core::MountTable::kAuth ? "auth" : "logical"}, {"local", local ? "true" : "false"}});
  put("vault.audit.devices", static_cast<double>(published->audit_rows->size()));
  put("vault.core.jobs", static_cast<double>(published->jobs->size()));
}

// Once a version: who ran on this store, and since when.
void App::Impl::note_version() {
  if (version_noted_ || !node_->is_leader())
    return;
  version_noted_ = true;
  core::SystemTask::start(
      *services_,
      [](core::TxnImpl& txn, const core::Published&, json::Arena& arena) -> Status {
        const auto key =
            core::layout::core_key(arena.copy(std::string(core::layout::kVersionPrefix).append(kVaultVersion)));
        COFFER_ASSIGN(const auto known, txn.get(key));
        std::string now = format_time(txn.now());
        now.resize(19);
        return known ? ok_status() : txn.put(key, now + "Z");
      },
      [](const Status&) {});
}

// Who has others, or nothing yet, is of use before anybody leads: with what its own log knows to be committed.
Status App::Impl::begin_silently() {
  auto replayed = std::make_shared<Latch>();
  node_->when_applied(node_->commit_index(), [replayed](const Status&) { replayed->set(); });
  COFFER_TRY(await(*replayed, "the log was not replayed"));
  return lifecycle_->begin();
}

// What a node has beside a sole voter, and where what comes in of snapshots is kept.
Status App::Impl::compose_cluster(actors::Node::Options& node) {
  ClusterPart::Options part;
  part.self.id = options_.node_id;
  part.self.number = node.raft.id;
  part.self.cluster_address = host_and_port(options_.info.cluster_address);
  part.self.api_address = options_.info.api_address;
  part.self.version = std::string(kVaultVersion);
  part.self.zone = options_.autopilot_zone;
  part.self.upgrade_version = options_.autopilot_upgrade_version;
  if (const Status good = core::check_member(part.self); !good.ok()) {
    if (!options_.retry_join.empty())
      return good.with_context("storage \"raft\"");
    logger_.warn("cluster", "no other node can join this one: " + good.message());
    return Status();
  }
  part.listen_host = options_.cluster_listen_host;
  part.listen_port = options_.cluster_listen_port;
  part.free_bytes_min = options_.free_bytes_min;
  part.call = options_.call_peer;
  part.retry_join = options_.retry_join;
  part.serves_reads = options_.standby_reads;
  part.wake = [this] { host_->wake_expiry(); };
  node.spool_folder = options_.storage_path + "/spool";
  cluster_ = std::make_unique<ClusterPart>(std::move(part), calls_, logger_);
  return Status();
}

Result<actors::Node::Begin> App::Impl::how_to_begin(raft::NodeId id) const {
  using Begin = actors::Node::Begin;
  if (cluster_ == nullptr)
    return Begin::kSoleVoter;
  if (backend_->applied_index() == Index(0) && log_->last_index() == Index(0))
    return Begin::kJoining;
  COFFER_ASSIGN(const bool alone, actors::Node::is_sole_voter(*backend_, *log_, id));
  return alone ? Begin::kSoleVoter : Begin::kMember;
}

Status App::Impl::create_node() {
  host_ = std::make_unique<actors::Host>();
  actors::Node::Options node;
  node.raft.id = core::member_number(options_.node_id);
  if (options_.cluster_listen_host.empty())
    node.raft.tail_bytes_max = kRaftTailBytesMax;
  else
    COFFER_TRY(compose_cluster(node));
  if (!options_.overload_protection)
    node.overload.delay_max = Nanos(0);
  node.free_bytes_min = state_ != nullptr ? options_.free_bytes_min : 0;
  for (std::uint64_t* seed : {&node.raft.random_seed, &node.proposer.hash_seed})
    COFFER_TRY(system_random().fill({reinterpret_cast<std::uint8_t*>(seed), sizeof(*seed)}));
  actors::Node::Ports ports{*log_,   *backend_,          state_, *deriver_, system_clock(),
                            logger_, host_->node_wake(), fatal_, {},        {}};
  ports.free_bytes = [this] { return posix_disk().free_bytes(options_.storage_path); };
  ports.serves = [this] {
    if (!std::exchange(begun_, true))
      if (const Status begun = lifecycle_->begin(); !begun.ok())
        return fatal_(begun);
    serves_.set();
    host_->wake_expiry();  // requests may wait for this node to lead
  };
  if (cluster_ != nullptr) {
    ports.transport = &cluster_->transport();
    ports.snapshots = snapshots_.get();
    ports.disk = &posix_disk();
    ports.leadership_changed = [this](const raft::Leadership&) { host_->wake_expiry(); };
    ports.members = [this] { return cluster_->members_now(); };
    ports.may_restore = [this](const core::RestoreScan& scan) { return lifecycle_->may_restore(scan); };
    ports.restored = [this] { restored(); };
  }
  COFFER_ASSIGN(const actors::Node::Begin begin, how_to_begin(node.raft.id));
  COFFER_ASSIGN(node_, actors::Node::create(node, std::move(ports), begin));
  begun_ = begin != actors::Node::Begin::kSoleVoter;
  return Status();
}

Status App::Impl::start_node() {
  COFFER_TRY(create_node());
  pool_ = std::make_unique<core::WorkPool>(kWorkThreads);
  lockouts_ = std::make_unique<core::Lockouts>(options_.lockouts);
  rekeys_ = std::make_unique<core::Rekeys>(options_.automatic_seal.get(), &pgp_, system_random());
  root_attempts_ = std::make_unique<core::RootAttempts>(&pgp_, system_random());
  if (cluster_ != nullptr)
    snapshot_place_.reset(new core::SnapshotPlace{posix_disk(), node_->spool_folder(), options_.snapshot_folder,
                                                  options_.snapshot_bytes_max, options_.free_bytes_min,
                                                  std::string(kVaultVersion)});
  events_ = std::make_unique<core::EventBus>("coffer://" + options_.node_id);
  compose_instruments();
  services_.reset(new core::Services{*backend_, *node_, engines_, *audit_, system_random(),
                                     std::string(kVaultVersion), pool_.get(), &calls_, instruments_.get(),
                                     exporter_.get(), lockouts_.get(), &logger_, &activity_, &log_requests_,
                                     options_.introspection, events_.get(),
                                     cluster_ != nullptr ? node_.get() : nullptr,
                                     cluster_ != nullptr ? &cluster_->pilot() : nullptr, snapshot_place_.get(),
                                     cluster_ != nullptr ? &cluster_->join_gate() : nullptr,
                                     cluster_ != nullptr ? &cluster_->certificate() : nullptr, rekeys_.get(),
                                     root_attempts_.get()});
  seal_health_ = std::make_unique<core::SealHealth>(options_.automatic_seal.get(), system_clock(), logger_);
  core::Lifecycle::Ports lifecycle{*backend_,
                                   *node_,
                                   *node_,
                                   *deriver_,
                                   options_.automatic_seal.get(),
                                   system_random(),
                                   system_clock(),
                                   logger_,
                                   [this] { return node_->applied_index(); },
                                   [this] { return node_->commit_index(); },
                                   [this](bool unsealed) { state_changed(unsealed); },
                                   cluster_ != nullptr ? &cluster_->attach(*node_, *services_) : nullptr,
                                   &pgp_,
                                   seal_health_.get(),
                                   options_.former_seal.get(),
                                   &calls_};
  lifecycle_ = std::make_unique<core::Lifecycle>(options_.info, std::move(lifecycle));
  pipeline_ = std::make_unique<core::Pipeline>(*services_, lifecycle_.get());
  board_->put_token_judge(pipeline_.get());
  if (cluster_ != nullptr)
    cluster_->attach(*pipeline_, *lifecycle_);
  expiry_ = std::make_unique<core::ExpiryDriver>(*services_,
                                                 [this](std::string_view line) { logger_.warn("expiration", line); });
  jobs_ = std::make_unique<core::JobRunner>(*services_);
  tender_ = std::make_unique<core::Tender>(*services_);
  rotator_ = std::make_unique<core::Rotator>(*services_);
  sweep_ = std::make_unique<core::IrrevocableSweep>(*services_);
  activity_writer_ = std::make_unique<core::ActivityWriter>(*services_, activity_);
  if (cluster_ != nullptr)
    keeper_ = std::make_unique<core::SnapshotKeeper>(*services_, options_.call_web, system_clock());
  host_->start_node(*node_, kTickInterval);
  COFFER_TRY(begun_ ? begin_silently() : await(serves_, "the node did not come to serve"));
  usage_->start();
  host_->start_expiry([this] { return housekeeping(); });
  if (cluster_ != nullptr && !lifecycle_->initialized())
    cluster_->begin_joining();
  return Status();
}

// The expiry actor's step: leases that are due, the server's own jobs, and audit devices that do not answer.
Nanos App::Impl::housekeeping() {
  audit_->tick(system_clock().boot_now());
  // A member that starts is sealed and applies nothing before it is open: what opens it must be in its state, not only
  // in its log.
  if (Index(seal_changed_) > backend_->durable_index())
    node_->flush_state();
  if (lifecycle_->sealed())
    return kHousekeepingInterval;
  seal_health_->tick(calls_);
  if (cluster_ != nullptr)
    cluster_->tick(system_clock().boot_now());
  note_version();
  lifecycle_->tend_migration(*services_);
  const std::optional<WallTime> next = expiry_->tick();
  core::count_leases_of_a_quota(*services_);
  const bool more = jobs_->tick() || !jobs_->idle() || !expiry_->idle() || (next && *next <= node_->cluster_now());
  sweep_->tick(system_clock().boot_now());
  activity_writer_->tick(system_clock().boot_now());
  rotator_->tick(system_clock().boot_now());
  if (keeper_ != nullptr)
    keeper_->tick(system_clock().boot_now());
  const bool tends = tender_->tick(system_clock().boot_now()) || !tender_->idle();
  if (cluster_ != nullptr && cluster_->hurries())
    return core::Forwarder::kLookPeriod;
  return more || tends ? kHousekeepingPause : kHousekeepingInterval;
}

void App::Impl::state_changed(bool unsealed) {
  if (!unsealed) {
    rekeys_->forget();
    root_attempts_->forget();
  }
  if (cluster_ != nullptr)
    cluster_->state_changed(unsealed);
  host_->wake_expiry();
}

void App::Impl::restored() {
  if (lifecycle_->is_entering())
    return;
  version_noted_ = false;
  activity_.forget();
  cluster_->restored();
  if (const Status status = lifecycle_->restored(); !status.ok())
    fatal_(status);
}

// Whoever connects and does nothing must not take the files that the store is about to open.
void App::Impl::bound_connections() {
  const std::size_t files = descriptors_max();
  const bool grpc = !options_.rpc.listeners.empty();
  const ConnectionBounds wanted{options_.http.limits.connections, grpc ? options_.rpc.connections : 0,
                                grpc ? options_.rpc.silent_connections : 0};
  const ConnectionBounds bounds = bounded_connections(wanted, files);
  if (bounds.http != wanted.http || bounds.grpc != wanted.grpc)
    logger_.warn("server", "the limit of open files, " + std::to_string(files) + ", allows only " +
                               std::to_string(bounds.http) + " connections of HTTP and " + std::to_string(bounds.grpc) +
                               " of gRPC: raise it (LimitNOFILE, ulimit -n) to " +
                               std::to_string(descriptors_wanted(wanted)) + " for all of them");
  options_.http.limits.connections = bounds.http;
  if (!grpc)
    return;
  options_.rpc.connections = bounds.grpc;
  options_.rpc.silent_connections = bounds.grpc_silent;
}

Status App::Impl::listen() {
  bound_connections();
  const auto line = [this](std::string_view module) {
    return [this, module](std::string_view text) { logger_.info(module, text); };
  };
  COFFER_ASSIGN(http_, http::Server::create(options_.http, *pipeline_, system_random(), system_clock(), line("http")));
  if (!options_.rpc.listeners.empty()) {
    COFFER_ASSIGN(rpc_, rpc::Server::create(options_.rpc, *pipeline_, system_random(), line("grpc")));
    rpc_->set_serving(true);
  }
  http_->start();
  register_node();
  return Status();
}

void App::Impl::register_node() {
  if (!options_.registration || options_.registration->disabled)
    return;
  const auto face = [this] {
    NodeFace out;
    out.initialized = lifecycle_->initialized();
    out.sealed = lifecycle_->sealed();
    out.active = !out.sealed && node_->is_leader();
    out.performance_standby = !out.sealed && !out.active && cluster_ != nullptr && options_.standby_reads;
    return out;
  };
  registrar_ = std::make_unique<ServiceRegistrar>(
      Registration(*options_.registration, options_.info.api_address, std::string(kVaultVersion)),
      ServiceRegistrar::Ports{options_.call_web, face, system_clock(), logger_});
}

Status App::Impl::reload() {
  audit_->reopen();
  Status first = http_->reload_tls();
  if (rpc_ != nullptr) {
    const Status grpc = rpc_->reload_tls();
    if (first.ok())
      first = grpc;
  }
  return first;
}

// From the door inwards: nobody may call what is already gone.
void App::Impl::stop() {
  if (std::exchange(stopped_, true))
    return;
  // Whoever looks for a node finds another one before this one is gone.
  registrar_.reset();
  if (pool_ != nullptr)
    pool_->refuse_waiting();
  if (snapshot_place_ != nullptr)
    snapshot_place_->stopping = true;
  if (lifecycle_ != nullptr)
    lifecycle_->stop();
  // While clients are still answered: who is handed over to finishes what was begun here.
  if (cluster_ != nullptr)
    cluster_->hand_over();
  if (http_ != nullptr)
    http_->stop(kDrainTimeMax);
  if (rpc_ != nullptr)
    rpc_->stop(kDrainTimeMax);
  if (cluster_ != nullptr)
    cluster_->stop();
  // It asks the lifecycle and reads the store, at any moment.
  if (usage_ != nullptr)
    usage_->stop();
  pool_.reset();
  if (host_ != nullptr)
    host_->stop_expiry();
  if (keeper_ != nullptr)
    keeper_->stop();
  calls_.stop();
  core::SnapshotStream::stop_all();
  if (host_ != nullptr)
    host_->stop_node();
  if (audit_ != nullptr)
    audit_->stop();
  // Its last spans may take as long as a collector does that is silent; nothing else is under way by now.
  exporter_.reset();
  flusher_.reset();
}

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

App::~App() { impl_->stop(); }

Result<std::unique_ptr<App>> App::start(AppOptions options, Logger& logger,
                                        std::function<void(const Status&)> fatal) {
  try {
    // CAF starts threads where a failure ends the process, so one is tried before.
    std::thread([] {}).join();
    auto impl = std::make_unique<Impl>(std::move(options), logger, std::move(fatal));
    std::unique_ptr<App> app(new App(std::move(impl)));  // from here on its destructor ends what was started
    COFFER_TRY(app->impl_->compose_core());
    COFFER_TRY(app->impl_->open_store());
    COFFER_TRY(app->impl_->start_node());
    COFFER_TRY(app->impl_->listen());
    return app;
  } catch (const std::system_error& error) {
    return Status(Code::kUnavailable, std::string("a thread could not be started: ") + error.what());
  } catch (const std::bad_alloc&) {
    return Status(Code::kUnavailable, "there is not enough memory");
  }
}

Result<core::Lifecycle::DevKeys> App::init_dev() {
  // Shared with the callback, which may outlive a wait that gave up.
  struct Outcome {
    Latch done;
    std::optional<Result<core::Lifecycle::DevKeys>> keys;
  };
  auto outcome = std::make_shared<Outcome>();
  impl_->lifecycle().init_dev([outcome](Result<core::Lifecycle::DevKeys> keys) {
    outcome->keys.emplace(std::move(keys));
    outcome->done.set();
  });
  COFFER_TRY(impl_->await(outcome->done, "the dev server was not initialized"));
  return std::move(*outcome->keys);
}

std::vector<std::string> App::http_addresses() const {
  std::vector<std::string> out;
  for (const http::BoundAddress& bound : impl_->http().bound())
    out.push_back(std::string(bound.tls ? "https://" : "http://") + bound.host + ":" + std::to_string(bound.port));
  return out;
}

std::vector<std::string> App::grpc_addresses() const {
  std::vector<std::string> out;
  if (impl_->rpc() != nullptr) {
    for (const rpc::BoundAddress& bound : impl_->rpc()->bound())
      out.push_back(bound.host + ":" + std::to_string(bound.port));
  }
  return out;
}

Status App::reload() { return impl_->reload(); }

void App::log_requests(std::optional<LogLevel> level) { impl_->log_requests(level); }
void App::stop() { impl_->stop(); }

}  // namespace coffer::server
