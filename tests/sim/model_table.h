// The state on a simulated disk: what store::StateBackend flushes to. A commit is durable as a whole or not at all; a
// crash keeps the last one.
#pragma once

#include <functional>
#include <memory>

#include "raft/types.h"
#include "store/state_table.h"
#include "tests/store/records_reader.h"

namespace coffer::sim {

// What survives a crash. Shared by the lives of one node.
struct TableImage {
  using Records = testing::Records;
  std::shared_ptr<const Records> records = std::make_shared<Records>();
  Index applied;
  Term applied_term;
  raft::Configuration configuration;
  WallTime time;
  Index replaced = {};         // the last entry that put another state in its place; 0: none
  bool from_snapshot = false;  // nothing was applied to it since it was installed: the log may not have followed yet
};

class ModelTable final : public store::StateTable {
 public:
  // Fills term, configuration and time as of an applied index into the image that is about to be committed.
  using Describe = std::function<void(Index applied, TableImage& image)>;
  // Called inside acquire(), where another thread could run.
  using Interlude = std::function<void()>;

  ModelTable(std::shared_ptr<TableImage> image, Describe describe, Interlude interlude);
  ~ModelTable() override;

  Result<store::StateReader*> acquire() override;
  void release(store::StateReader* reader) noexcept override;
  Status commit(const store::Generation& generation, Index applied) override;
  Index durable_index() const override { return image_->applied; }
  Result<bool> scrub_step(std::size_t) override { return true; }

 private:
  std::shared_ptr<TableImage> image_;
  Describe describe_;
  Interlude interlude_;
  std::vector<std::unique_ptr<testing::RecordsReader>> idle_;
};

}  // namespace coffer::sim
