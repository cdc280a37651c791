// What a restored snapshot does to the seal, and one that is restored into a node that has nothing (decision D-2).
#include <utility>

#include "core/lifecycle.h"

namespace coffer::core {

Status Lifecycle::may_restore(const RestoreScan& scan) const {
  const Result<seal::SealConfig> config = seal::SealConfig::decode(scan.seal_record());
  if (!config.ok())
    return Status(Code::kInvalid, "the snapshot's seal cannot be read: " + config.status().message());
  const std::string_view configured = ports_.automatic != nullptr ? ports_.automatic->kind() : seal::kShamirKind;
  if (config->kind != configured)
    return Status(Code::kInvalid, "the snapshot is sealed by \"" + config->kind + "\" and this server by \"" +
                                      std::string(configured) + "\": configure the same seal");
  return ok_status();
}

Status Lifecycle::restored() {
  {
    const std::lock_guard lock(mutex_);
    if (!status_.known)
      return ok_status();  // begin() is to come
    status_.sealed = true;
    status_.progress = {};
    ceremony_.reset();
    pending_.reset();
    publish(status_);
  }
  ports_.logger.warn("core", "vault is sealed: its state was replaced by a snapshot, whose own keys unseal it");
  ports_.changed(false);
  return begin();
}

// Under mutex_.
Status Lifecycle::may_restore_here() const {
  if (ports_.cluster == nullptr)
    return Status(Code::kInvalid, "raft storage is not in use");
  if (!info_.restore_uninitialized)
    return Status(Code::kDenied, "restore_uninitialized = false: an uninitialized node takes no snapshot");
  if (!status_.known || busy_)
    return Status(Code::kUnavailable, "the store is not ready yet, or an initialization or join is in progress");
  if (status_.initialized || pending_)
    return Status(Code::kInvalid, "this node is initialized or joins a cluster: it takes no snapshot without a token");
  return ok_status();
}

Status Lifecycle::may_restore_uninitialized() const {
  const std::lock_guard lock(mutex_);
  return may_restore_here();
}

void Lifecycle::restore_uninitialized(std::string path, const RestoreScan& scan, std::function<void(Status)> done) {
  // Before anything begins here: a node that is refused a snapshot may still join, or be given another.
  if (Status may = may_restore(scan); !may.ok())
    return done(std::move(may));
  {
    const std::lock_guard lock(mutex_);
    if (Status may = may_restore_here(); !may.ok())
      return done(std::move(may));
    busy_ = true;
  }
  ports_.logger.warn("core", "a snapshot is restored without a token, because this node is not initialized");
  const auto end = [this, done = std::move(done)](Status status) {
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
    }
    if (!status.ok())
      ports_.logger.error("core", "the snapshot was not restored: " + status.message());
    done(std::move(status));
  };
  ports_.cluster->lead_alone([this, path = std::move(path), end](const Status& status) {
    if (!status.ok())
      return end(status);
    ports_.cluster->group.restore(path, end);
  });
}

}  // namespace coffer::core
