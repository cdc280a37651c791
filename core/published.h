// What the applier publishes together with an index: everything that is derived from the state and that each request
// needs. Requests take it with their view; nobody changes it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/audit_broker.h"
#include "core/cluster.h"
#include "core/namespaces.h"
#include "core/observer.h"
#include "core/policy_store.h"
#include "core/quota.h"
#include "core/router.h"
#include "core/settings.h"
#include "core/token_record.h"
#include "seal/barrier.h"

namespace coffer::crypto {
class Es512Key;
}

namespace coffer::core {

struct SystemConfig {
  Nanos default_lease_ttl{std::chrono::hours(768)};
  Nanos max_lease_ttl{std::chrono::hours(768)};
  Nanos remove_irrevocable_lease_after{0};  // 0: never
  std::string administrative_namespace;     // path of a namespace that sees some of the server's own; empty: none
};

// Work that exceeds one entry, as its record says it (core/jobs.h).
struct Job {
  enum class Kind : std::uint8_t {
    kDeleteMount = 1, kRevokeTree = 2, kEndLeases = 3, kTidy = 4, kMoveMount = 5, kDeleteNamespace = 16
  };
  std::string id;
  Kind kind = Kind::kDeleteMount;
  MountId mount;           // kDeleteMount, kMoveMount
  std::string token_hash;  // kRevokeTree: the root of the tree, which is gone already
  WallTime at{};           // kDeleteMount: when it was disabled; kEndLeases, kTidy: when it was asked for
  NamespaceId ns{0};       // kDeleteMount, kMoveMount: its namespace; kDeleteNamespace: that one; kEndLeases
  std::string prefix;      // kEndLeases: of their ids, ending in a slash or empty; kTidy: of what
  bool force = false;      // kEndLeases: without calls to systems outside
};

class Published final : public store::Attachment {
 public:
  bool sealed = true;
  // Not ok: something that must be derived did not open; every request is refused.
  Status damage;
  // The rest is set when not sealed.
  std::shared_ptr<const seal::Barrier> barrier;
  std::shared_ptr<const SecretBytes> root_key;
  std::shared_ptr<const TokenHasher> hasher;
  std::shared_ptr<const crypto::Es512Key> wrap_key;  // signs wrapping tokens (core/wrapping_jwt.h)
  std::shared_ptr<const Router> router;
  std::shared_ptr<const NamespaceTable> namespaces;                  // never null
  std::shared_ptr<const PolicyStore> policies;                       // of the root
  std::map<NamespaceId, std::shared_ptr<const PolicyStore>> inner_policies;  // of the namespaces that have any
  std::shared_ptr<AuditSet> audit;                                   // never null
  std::shared_ptr<const std::vector<AuditDeviceConfig>> audit_rows;  // sorted by path
  std::shared_ptr<const std::vector<Job>> jobs;
  std::shared_ptr<const ServerSettings> settings;
  std::shared_ptr<const QuotaSet> quotas;  // null: none is set
  std::shared_ptr<const Members> members;  // never null; empty in a cluster of one that never met another
  SystemConfig config;

  // Never fails: a namespace without policies has an empty store.
  const PolicyStore& policies_of(NamespaceId ns) const;

  // Whether an ancestor of tokens is being revoked by a job; then their chains are looked at.
  bool revoking(std::string_view token_hash) const;
};

// Derives it: started at unseal, stopped at seal, told of every batch in between. Node's thread.
class StateDeriver final : public StateObserver {
 public:
  // Both registries outlive it.
  StateDeriver(const EngineRegistry& engines, AuditRegistry& audit, SystemConfig config);

  // Reads what `view` holds. After a failure (kDataLoss, kInvalid for a wrong root key) it is as sealed as before.
  // The next attachment() carries the result; the caller publishes it.
  Status start(const store::View& view, SecretBytes root_key);
  // Drops keys and everything derived; the next attachment() says sealed.
  void stop();
  bool started() const noexcept { return barrier_ != nullptr; }

  // From the next publication on; node's thread, or before start().
  void set_config(const SystemConfig& config) { config_ = config, changed_ = true; }

  // `told` hears of every change of the settings, on the node's thread. Before start().
  void on_settings(std::function<void(const ServerSettings&)> told) { settings_told_ = std::move(told); }
  // Likewise: whether there is a rate quota at all.
  void on_rate_quotas(std::function<void(bool any)> told) { rates_told_ = std::move(told); }
  // Likewise: of the cluster's nodes, once at each start and whenever they change.
  void on_members(std::function<void(const Members&)> told) { members_told_ = std::move(told); }

  // `told` hears, on the node's thread, that the entry at `index` changed the seal's configuration. Before start().
  void on_seal(std::function<void(Index index)> told) { seal_told_ = std::move(told); }

  void on_apply(Index index, std::span<const store::Op> ops) override;
  // With the root key that it has. When that does not open the new state it is sealed, and the attachment says why.
  void on_replaced(const store::View& state) override;
  void on_restored() override { stop(); }
  std::shared_ptr<const store::Attachment> attachment() override;

 private:
  Status take(std::string_view key, std::string_view rest, const std::optional<std::string>& value);
  Status take_opened(std::string_view rest, const std::optional<std::string>& value);
  void add_declared_devices(std::vector<AuditDeviceConfig>& rows) const;
  Status take_policy(NamespaceId ns, const std::string& name, const std::optional<std::string>& value);
  void publish_policies(Published& next);
  void forget();

  const EngineRegistry& engines_;
  AuditRegistry& audit_registry_;
  SystemConfig config_;
  std::shared_ptr<const SecretBytes> root_key_;
  std::shared_ptr<const seal::Barrier> barrier_;
  std::shared_ptr<const TokenHasher> hasher_;
  std::shared_ptr<const crypto::Es512Key> wrap_key_;
  std::map<std::string, MountRecord, std::less<>> mounts_;
  std::map<NamespaceId, PolicyStore::Entries> policies_;
  std::map<std::string, NamespaceRecord, std::less<>> namespaces_;
  std::map<std::string, AuditDeviceConfig, std::less<>> devices_;
  std::map<std::string, Job, std::less<>> jobs_;
  ServerSettings settings_;
  std::function<void(const ServerSettings&)> settings_told_;
  std::function<void(bool)> rates_told_;
  std::map<std::string, Member, std::less<>> members_;
  std::function<void(const Members&)> members_told_;
  std::function<void(Index)> seal_told_;
  bool members_changed_ = true;
  bool settings_changed_ = true;
  struct Quota {
    QuotaSet::Rule rule;
    std::string encoded;  // what is counted goes on while the rule stays the same
  };
  void count_lease(const store::Op& op);
  Status take_quota(std::string_view rest, const std::optional<std::string>& value);
  std::map<std::string, Quota, std::less<>> quotas_;
  QuotaConfig quota_config_;
  bool quotas_changed_ = true;
  Status damage_;
  std::shared_ptr<const Published> current_;
  bool changed_ = true;
  bool inner_forgotten_ = false;  // stores of namespaces that were published are of another life
  bool mounts_changed_ = true;
  std::set<NamespaceId> policies_changed_;
  bool namespaces_changed_ = true;
  bool devices_changed_ = true;
  bool jobs_changed_ = true;
};

// What the pipeline finds in a view's attachment; null when nothing was ever published.
inline const Published* published_in(const std::shared_ptr<const store::Attachment>& attachment) {
  return static_cast<const Published*>(attachment.get());
}

std::string encode(const Job& job);
Result<Job> decode_job(std::string_view id, std::string_view plaintext);
std::string encode(const AuditDeviceConfig& config);
Result<AuditDeviceConfig> decode_device(std::string_view plaintext);

}  // namespace coffer::core
