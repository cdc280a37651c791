// The Backend of `raft` and `file`: an overlay of at most two generations above a StateTable (LMDB).
//
// The active generation takes what is applied. When it is full or old it is frozen, its successor becomes active, and
// the flusher commits the frozen one to the table. While both are in use flush_pressure() asks the proposer to slow
// down; apply() itself never waits and never fails, the active generation simply grows.
//
// Threads: as store/backend.h says; flush_step() and scrub_step() belong to the flusher's thread (store/flush_thread.h
// is its shell, tests call them directly).
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "base/clock.h"
#include "base/limits.h"
#include "store/backend.h"
#include "store/published.h"
#include "store/state_table.h"

namespace coffer::store {

struct StateBackendOptions {
  std::size_t generation_bytes_max = limits::kOverlayGenerationBytesMax;
  std::size_t generation_keys_max = limits::kOverlayGenerationKeysMax;
  Nanos generation_age_max = limits::kOverlayGenerationAgeMax;
};

class StateBackend final : public Backend {
 public:
  StateBackend(std::unique_ptr<StateTable> table, const StateBackendOptions& options);
  ~StateBackend() override;

  Result<std::unique_ptr<View>> view() const override;
  std::shared_ptr<const Attachment> attachment() const override;
  void apply(Index index, std::span<const Op> ops) override;
  void publish(std::shared_ptr<const Attachment> attachment) override;
  Index durable_index() const override;
  Index applied_index() const override { return applied_; }

  // Applier thread. `table`, which is ahead of everything applied so far, takes the place of table and generations.
  // publish() must follow before anything else but applied_view(); views that are out keep what they were made from.
  void replace(std::unique_ptr<StateTable> table);
  // Applier thread. A view of what was applied last, published or not; without an attachment.
  Result<std::unique_ptr<View>> applied_view() const;

  // Applier thread, about once a second and whenever convenient: freezes a generation that is old, drops one that was
  // flushed.
  void tick(BootTime now);
  // Applier thread. Freezes the active generation whatever its size, so that the flusher commits everything published
  // so far. False when that has to wait for the flush under way; ask again after it. True as well when there is nothing
  // left to commit.
  bool freeze();
  // Called (on the applier thread) when there is work for flush_step(). Set before the first apply.
  void set_flush_wanted(std::function<void()> flush_wanted) { flush_wanted_ = std::move(flush_wanted); }

  // Any thread. True while both generations are full: the proposer takes nothing new.
  bool flush_pressure() const noexcept { return pressure_.load(std::memory_order_relaxed); }
  // Any thread, for metrics.
  std::size_t overlay_bytes() const noexcept;

  // Flusher thread. Commits the frozen generation; false when there was none. A failure is final and stops the node.
  Result<bool> flush_step();
  // Flusher thread; see StateTable.
  Result<bool> scrub_step(std::size_t records_max);

  // Applier thread, or while nothing is replaced.
  StateTable& table() noexcept { return *table_; }

 private:
  struct Publication;
  struct Handover;
  class StateView;
  class MergedCursor;

  Result<std::unique_ptr<View>> view_of(std::shared_ptr<const Publication> publication) const;
  std::shared_ptr<StateTable> table_in_use() const;
  bool full(const Generation& generation) const noexcept;
  void freeze_active();
  void drop_flushed();
  void hand_over();
  void republish();
  void update_pressure();

  std::shared_ptr<StateTable> table_;  // written by the applier alone, under handover_mutex_
  const StateBackendOptions options_;
  std::function<void()> flush_wanted_;

  // Applier thread.
  Index applied_;
  Index published_index_;
  std::shared_ptr<const Attachment> attachment_;
  std::shared_ptr<Generation> active_;
  std::shared_ptr<Generation> frozen_;  // null when none
  std::shared_ptr<Handover> handed_;    // frozen_ on its way through the flusher; null before that
  std::optional<BootTime> active_since_;

  Published<Publication> published_;
  std::atomic<bool> pressure_{false};
  mutable std::mutex handover_mutex_;
  std::shared_ptr<Handover> handover_;  // guarded by handover_mutex_; what the flusher has not taken yet
};

}  // namespace coffer::store
