// The Backend of `inmem` and dev mode: versions in memory alone. A version that no live view can see is freed, so
// memory follows the number of records and not the number of writes.
//
// Threads: as store/backend.h says. One shared lock guards the table: a get or a cursor step takes it for the time of
// one lookup.
#pragma once

#include <deque>
#include <map>
#include <shared_mutex>

#include "store/backend.h"
#include "store/published.h"

namespace coffer::store {

class MemoryBackend final : public Backend {
 public:
  MemoryBackend();
  ~MemoryBackend() override;

  Result<std::unique_ptr<View>> view() const override;
  std::shared_ptr<const Attachment> attachment() const override;
  void apply(Index index, std::span<const Op> ops) override;
  void publish(std::shared_ptr<const Attachment> attachment) override;
  Index durable_index() const override { return Index(0); }
  Index applied_index() const override { return applied_; }

  using Records = std::map<std::string, std::string, std::less<>>;
  // Applier thread. `records`, the state as of `applied`, which is ahead of what was applied so far, takes the place of
  // everything. publish() must follow before anything else but applied_view(); views that are out keep what they see.
  void replace(Index applied, Records records);
  // Applier thread. A view of what was applied last, published or not; without an attachment.
  std::unique_ptr<View> applied_view();

  // Applier thread, for tests and metrics: keys and versions held, deletions included.
  std::size_t versions_held() const;

 private:
  struct Publication;
  struct Version {
    Index index;
    std::optional<std::shared_ptr<const std::string>> value;  // nothing: deleted
  };
  using Versions = std::vector<Version>;  // oldest first
  using Table = std::map<std::string, Versions, std::less<>>;
  struct Contents {
    mutable std::shared_mutex mutex;
    Table table;  // guarded by mutex; written by the applier only
  };
  class MemoryView;
  class MemoryCursor;

  // The newest version at or below `index`, or null.
  static const Version* visible(const Versions& versions, Index index) noexcept;
  Index oldest_needed();
  void collapse(const std::string& key, Index needed);

  // Applier thread.
  std::shared_ptr<Contents> contents_ = std::make_shared<Contents>();
  Index applied_;
  std::deque<std::weak_ptr<const Publication>> live_;  // published, oldest first; expired ones go from the front
  std::deque<std::pair<Index, std::string>> superseded_;       // keys that got a newer version at an index

  Published<Publication> published_;
};

}  // namespace coffer::store
