// What Lifecycle says: bodies of seal-status, health, leader and init.
#include <charconv>

#include "base/encoding.h"
#include "base/time_text.h"
#include "base/version.h"
#include "core/ceremony.h"
#include "core/lifecycle.h"
#include "core/seal_health.h"
#include "seal/init.h"

namespace coffer::core {
namespace {

constexpr std::int64_t kStatusCodeMin = 200;
constexpr std::int64_t kStatusCodeMax = 599;

// A status code that the client may choose for a case, as load balancers' health checks do.
Result<int> chosen_code(const json::Value& query, std::string_view name, int otherwise) {
  const json::Value* value = query.find(name);
  if (value == nullptr || !value->is_string())
    return otherwise;
  const std::string_view text = value->as_string();
  int code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (error != std::errc() || end != text.data() + text.size() || code < kStatusCodeMin || code > kStatusCodeMax)
    return Status(Code::kInvalid, "bad " + std::string(name) + ": expected a status code from 200 to 599");
  return code;
}

}  // namespace

// As the store has them now: another node may have exchanged the shares.
seal::ShareCounts Lifecycle::share_counts(const Status_& status) const {
  const Result<std::unique_ptr<store::View>> view = ports_.backend.view();
  std::string record;
  if (!status.initialized || !view.ok() || !(*view)->get(seal_key(), record).ok())
    return status.counts;
  const Result<seal::SealConfig> config = seal::SealConfig::decode(record);
  return config.ok() ? config->counts : status.counts;
}

void Lifecycle::answer_status(Exchange& exchange, const Status_& status) const {
  json::ObjectBuilder body(exchange.arena, 24);
  const bool automatic = status.type != seal::kShamirKind;
  body.add("type", status.type).add("initialized", status.initialized).add("sealed", status.sealed);
  const seal::ShareCounts counts = share_counts(status);
  body.add("t", counts.threshold).add("n", counts.shares);
  body.add("progress", status.sealed ? status.progress.have : 0u)
      .add("nonce", status.sealed ? status.progress.nonce : std::string());
  body.add("version", kVaultVersion).add("build_date", build_date()).add("migration", status.migrating);
  if (!status.sealed)
    body.add("cluster_name", status.cluster_name).add("cluster_id", status.cluster_id);
  body.add("recovery_seal", automatic);
  if (automatic)
    body.add("recovery_seal_type", seal::kShamirKind);
  body.add("storage_type", info_.storage_type);
  exchange.response.bare = true;
  exchange.response.data = body.build();
}

bool Lifecycle::serves_reads(const Status_& status, bool leading) const {
  return !status.sealed && !leading && ports_.cluster != nullptr && ports_.cluster->serves_reads;
}

// "standbyok" is for every node that does not lead: who asks for it wants one that can be asked.
Result<int> Lifecycle::health_code(const json::Value& query, const Status_& status, bool leading) const {
  COFFER_ASSIGN(const int uninitialized, chosen_code(query, "uninitcode", 501));
  COFFER_ASSIGN(const int sealed, chosen_code(query, "sealedcode", 503));
  COFFER_ASSIGN(const int standby, chosen_code(query, "standbycode", 429));
  COFFER_ASSIGN(const int reading, chosen_code(query, "performancestandbycode", 473));
  COFFER_ASSIGN(const int active, chosen_code(query, "activecode", 200));
  for (const std::string_view name : {"drsecondarycode", "haunhealthycode", "removedcode"})
    COFFER_TRY(chosen_code(query, name, 200).status());
  if (!status.initialized)
    return uninitialized;
  if (status.sealed)
    return sealed;
  if (leading || query.string_or("standbyok", "false") != "false")
    return active;
  if (!serves_reads(status, leading))
    return standby;
  return query.string_or("perfstandbyok", "false") == "false" ? reading : active;
}

void Lifecycle::answer_health(Exchange& exchange) const {
  const std::shared_ptr<const Status_> status = published_.load();
  const bool leading = ports_.committer.is_leader();
  const Result<int> code = health_code(exchange.request.data, *status, leading);
  if (!code.ok())
    return fail(exchange, code.status());
  const std::string_view replication = status->sealed ? "unknown" : "disabled";
  json::ObjectBuilder body(exchange.arena, 16);
  body.add("initialized", status->initialized).add("sealed", status->sealed).add("standby", status->sealed || !leading);
  body.add("performance_standby", serves_reads(*status, leading))
      .add("replication_performance_mode", replication)
      .add("replication_dr_mode", replication);
  body.add("server_time_utc",
           std::chrono::duration_cast<std::chrono::seconds>(ports_.clock.wall_now().time_since_epoch()).count());
  body.add("version", kVaultVersion).add("enterprise", false);
  if (!status->sealed)
    body.add("cluster_name", status->cluster_name).add("cluster_id", status->cluster_id);
  body.add("echo_duration_ms", 0).add("clock_skew_ms", 0).add("last_wal", ports_.applied_index().get());
  exchange.response.bare = true;
  exchange.response.status = *code;
  exchange.response.data = body.build();
}

void Lifecycle::answer_leader(Exchange& exchange) const {
  const std::shared_ptr<const Status_> status = published_.load();
  if (status->sealed)
    return fail(exchange, Status(Code::kSealed, "Vault is sealed"));
  json::ObjectBuilder body(exchange.arena, 16);
  const bool is_self = info_.ha_enabled && ports_.committer.is_leader();
  std::string address = is_self ? info_.api_address : std::string();
  std::string cluster_address = is_self ? info_.cluster_address : std::string();
  if (!is_self && ports_.cluster != nullptr) {
    const auto attachment = ports_.backend.attachment();
    const Published* published = published_in(attachment);
    const Member* leader = published == nullptr || published->members == nullptr
                               ? nullptr
                               : find_member(*published->members, ports_.cluster->group.leader());
    if (leader != nullptr) {
      address = leader->api_address;
      cluster_address = "https://" + leader->cluster_address;
    }
  }
  body.add("ha_enabled", info_.ha_enabled).add("is_self", is_self);
  body.add("active_time", is_self ? format_time(status->active_since) : std::string("0001-01-01T00:00:00Z"));
  body.add("leader_address", address).add("leader_cluster_address", cluster_address);
  const bool reads = serves_reads(*status, is_self);
  body.add("performance_standby", reads);
  body.add("performance_standby_last_remote_wal", reads ? ports_.applied_index().get() : 0);
  if (info_.ha_enabled) {
    body.add("raft_committed_index", ports_.committed_index().get());
    body.add("raft_applied_index", ports_.applied_index().get());
    if (ports_.cluster != nullptr && !ports_.cluster->group.group_status().may_vote)
      body.add("raft_catching_up", true);
  }
  exchange.response.bare = true;
  exchange.response.data = body.build();
}

// One backend: several seals at a time are to come.
void Lifecycle::answer_backends(Exchange& exchange) const {
  json::Arena& arena = exchange.arena;
  const SealHealth::State state = ports_.health != nullptr
                                      ? ports_.health->state()
                                      : SealHealth::State{published_.load()->type, std::nullopt};
  json::ObjectBuilder one(arena, 5), all(arena, 4);
  one.add("name", state.kind).add("healthy", !state.away_since).add("configured", true).add("disabled", false);
  all.add("healthy", !state.away_since).add("fully_wrapped", !published_.load()->migrating);
  if (state.away_since) {
    one.add("unhealthy_since", format_time(*state.away_since));
    all.add("unhealthy_since", format_time(*state.away_since));
  }
  json::ArrayBuilder list(arena, 1);
  list.add(one.build());
  exchange.response.bare = true;
  exchange.response.data = all.add("backends", list.build()).build();
}

void Lifecycle::answer_init(Exchange& exchange, const seal::Initialized& made, std::string_view root_token) const {
  json::Arena& arena = exchange.arena;
  json::ObjectBuilder body(arena);
  if (made.recovery && !made.asked_as_secret)
    add_shares(body, arena, "keys", "keys_base64", {}, {});
  else
    add_shares(body, arena, "keys", "keys_base64", made.shares, made.encrypted);
  if (made.recovery)
    add_shares(body, arena, "recovery_keys", "recovery_keys_base64", made.shares, made.encrypted);
  body.add("root_token", root_token);
  exchange.response.bare = true;
  exchange.response.data = body.build();
}

}  // namespace coffer::core
