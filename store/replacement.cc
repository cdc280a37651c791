#include "store/replacement.h"

#include <utility>

#include "store/overlay.h"

namespace coffer::store {

class DiskTarget::Prepared final : public Replacement {
 public:
  Prepared(DiskTarget& target, LoadedState loaded, SnapshotMeta meta)
      : target_(target), loaded_(std::move(loaded)), meta_(std::move(meta)) {}
  ~Prepared() override {
    // Once CURRENT may name it, it is the state: the next start removes whichever CURRENT does not name.
    if (loaded_.state == nullptr || switching_)
      return;
    loaded_.state.reset();
    target_.forget(loaded_.name);
    // What cannot be removed now goes when the next one is read, or at the next start.
    static_cast<void>(target_.disk_.remove(target_.folder_ + "/" + loaded_.name));
  }

  const SnapshotMeta& meta() const override { return meta_; }

  Result<std::unique_ptr<View>> take_over(Index index, std::span<const Op> ops) override {
    COFFER_CHECK(loaded_.state != nullptr);
    Generation changes;
    for (const Op& op : ops)
      changes.put(index, op.key, op.value);
    COFFER_TRY(loaded_.state->commit(changes, index));
    switching_ = true;
    COFFER_TRY(write_current(target_.disk_, target_.folder_, loaded_.name));
    target_.backend_.replace(std::move(loaded_.state));
    target_.forget(loaded_.name);
    {
      const std::lock_guard lock(target_.mutex_);
      target_.hash_key_ = meta_.hash_key;
    }
    return target_.backend_.applied_view();
  }

 private:
  DiskTarget& target_;
  LoadedState loaded_;
  const SnapshotMeta meta_;
  bool switching_ = false;
};

Result<std::unique_ptr<Replacement>> DiskTarget::prepare(SnapshotReader& snapshot) {
  const std::lock_guard preparing(preparing_);
  // First what may become the current one in this moment, then the current one.
  std::set<std::string> keep;
  {
    const std::lock_guard lock(mutex_);
    keep = prepared_;
  }
  COFFER_ASSIGN(const auto current, read_current(disk_, folder_));
  COFFER_CHECK(current.has_value());
  keep.insert(*current);
  // The file before the last switch is needed no more by now: its views were short.
  COFFER_TRY(remove_other_states(disk_, folder_, keep));
  COFFER_ASSIGN(LoadedState loaded, load_snapshot(disk_, folder_, options_, random_, snapshot));
  {
    const std::lock_guard lock(mutex_);
    prepared_.insert(loaded.name);
  }
  return std::unique_ptr<Replacement>(std::make_unique<Prepared>(*this, std::move(loaded), snapshot.meta()));
}

void DiskTarget::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  prepared_.erase(name);
}

SetHashKey DiskTarget::hash_key() const {
  const std::lock_guard lock(mutex_);
  return hash_key_;
}

class MemoryTarget::Prepared final : public Replacement {
 public:
  Prepared(MemoryBackend& backend, MemoryBackend::Records records, SnapshotMeta meta)
      : backend_(backend), records_(std::move(records)), meta_(std::move(meta)) {}

  const SnapshotMeta& meta() const override { return meta_; }

  Result<std::unique_ptr<View>> take_over(Index index, std::span<const Op> ops) override {
    for (const Op& op : ops) {
      if (op.value)
        records_.insert_or_assign(op.key, *op.value);
      else
        records_.erase(op.key);
    }
    backend_.replace(index, std::move(records_));
    return backend_.applied_view();
  }

 private:
  MemoryBackend& backend_;
  MemoryBackend::Records records_;
  const SnapshotMeta meta_;
};

Result<std::unique_ptr<Replacement>> MemoryTarget::prepare(SnapshotReader& snapshot) {
  MemoryBackend::Records records;
  while (true) {
    COFFER_ASSIGN(const bool more, snapshot.next());
    if (!more)
      break;
    records.insert_or_assign(std::string(snapshot.key()), std::string(snapshot.value()));
  }
  return std::unique_ptr<Replacement>(std::make_unique<Prepared>(backend_, std::move(records), snapshot.meta()));
}

}  // namespace coffer::store
