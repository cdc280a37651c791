// How a store goes from the seal that it has to the one that is configured: people unseal it once more with the shares
// that they have, and then keep these for the other seal.
#include <utility>

#include "core/jobs.h"
#include "core/layout.h"
#include "core/lifecycle.h"
#include "core/restored.h"

namespace coffer::core {

bool Lifecycle::is_former_of_kind(std::string_view kind) const noexcept {
  return ports_.former != nullptr && ports_.former->kind() == kind;
}

// Under mutex_. Of two seals of one kind only the seal itself knows whether it made the record.
bool Lifecycle::is_to_migrate(const seal::SealConfig& config) const {
  const std::string_view configured = ports_.automatic != nullptr ? ports_.automatic->kind() : seal::kShamirKind;
  if (config.kind == configured)
    return foreign_ && is_former_of_kind(config.kind);
  return !config.automatic() || is_former_of_kind(config.kind);
}

// Whether the configured seal did not open the record because it is one of the former seal, of the same kind. Then the
// node waits for people.
bool Lifecycle::may_be_of_former(const Status& opening) {
  if (opening.ok() || opening.code() == Code::kUnavailable || opening.code() == Code::kConflict)
    return false;
  const std::lock_guard lock(mutex_);
  if (!is_former_of_kind(status_.type))
    return false;
  foreign_ = true;
  status_.migrating = true;
  publish(status_);
  ports_.logger.warn("core", "the configured seal does not open the store: " + opening.message());
  tell_migration();
  return true;
}

// Under mutex_.
void Lifecycle::tell_migration() const {
  ports_.logger.warn("core",
                     "entering seal migration mode; Vault will not automatically unseal even if using an autoseal: "
                     "give the shares of the former seal with `operator unseal -migrate`",
                     {{"from_barrier_type", status_.type},
                      {"to_barrier_type", ports_.automatic != nullptr ? ports_.automatic->kind() : seal::kShamirKind}});
}

// Under mutex_, when there is a ceremony.
Status Lifecycle::check_migration(bool asked) const {
  if (asked == ceremony_->migrates())
    return ok_status();
  if (!asked)
    return Status(Code::kInvalid, "migrate option not provided and seal migration is pending: give the shares with "
                                  "'migrate' set to true, or configure the seal that the store has");
  return Status(Code::kInvalid,
                pending_ ? "can't perform a seal migration while joining a raft cluster"
                         : "can't perform a seal migration, no migration seal found: the store has the configured one");
}

// What an earlier key of the seal wrapped is wrapped by its present one, so that the earlier one can go. Whatever comes
// of it, the store stays open to both until that is stored.
void Lifecycle::wrap_anew(const std::string& record, const SecretBytes& root_key) {
  const Result<seal::SealConfig> config = seal::SealConfig::decode(record);
  if (!config.ok() || ports_.automatic->is_current(config->wrapped_root_key))
    return;
  const Result<seal::SealConfig> next = seal::wrap_anew(*config, root_key, *ports_.automatic, ports_.random);
  if (!next.ok()) {
    ports_.logger.warn("core", "the root key stays wrapped by an earlier key of the seal: " + next.status().message());
    return;
  }
  const std::lock_guard lock(mutex_);
  migration_ = Migration{record, next->encode(), false, true};
}

void Lifecycle::tend_migration(const Services& services) {
  std::string before, after;
  {
    const std::lock_guard lock(mutex_);
    if (!migration_ || migration_->storing || status_.sealed)
      return;
    before = migration_->before;
    after = migration_->after;
  }
  std::string stored;
  const Result<std::unique_ptr<store::View>> view = ports_.backend.view();
  if (!view.ok() || !(*view)->get(seal_key(), stored).ok())
    return;
  if (stored != before)
    return end_migration(stored);
  if (!ports_.committer.is_leader())
    return;
  {
    const std::lock_guard lock(mutex_);
    if (!migration_)
      return;
    migration_->storing = true;
  }
  SystemTask::start(
      services,
      [before, after](TxnImpl& txn, const Published&, json::Arena&) -> Status {
        const auto key = layout::token_key(layout::kSealConfig);
        COFFER_ASSIGN(const auto now, txn.get_as_is(key));
        // Whoever changed it meanwhile is told of at the next look.
        return now && *now == before ? txn.put_as_is(key, after) : ok_status();
      },
      [this](const Status& status) {
        const std::lock_guard lock(mutex_);
        if (migration_)
          migration_->storing = false;
        if (!status.ok())
          ports_.logger.warn("core", "the seal's migration is not stored yet: " + status.message());
      });
}

// `stored` is not any more what people had shares for.
void Lifecycle::end_migration(const std::string& stored) {
  const Result<seal::SealConfig> config = seal::SealConfig::decode(stored);
  const std::lock_guard lock(mutex_);
  if (!migration_ || !config.ok())
    return;
  const bool own = stored == migration_->after;
  if (std::exchange(migration_, std::nullopt)->anew) {
    if (own)
      ports_.logger.info("core", "the root key is wrapped by the seal's present key", {{"type", config->kind}});
    return;
  }
  foreign_ &= !own;
  status_.type = config->kind;
  status_.counts = config->counts;
  status_.migrating = is_to_migrate(*config);
  publish(status_);
  if (status_.migrating)
    ports_.logger.error("core", "the shares were exchanged before the seal was migrated: seal this node, and unseal it "
                                "with -migrate and the new shares");
  else
    ports_.logger.info("core", "seal migration complete", {{"type", status_.type}});
}

}  // namespace coffer::core
