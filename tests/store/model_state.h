// A StateTable on any Disk, for power cuts on the model disk: each commit writes the whole state into the next
// generation file as a snapshot stream and switches CURRENT, as restore and compaction do.
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"
#include "store/state_table.h"
#include "tests/store/records_reader.h"

namespace coffer::testing {

class ModelState final : public store::StateTable {
 public:
  static Result<std::unique_ptr<ModelState>> open(Disk& disk, const std::string& folder);
  ~ModelState() override;

  Result<store::StateReader*> acquire() override;
  void release(store::StateReader* reader) noexcept override;
  Status commit(const store::Generation& generation, Index applied) override;
  Index durable_index() const override { return durable_; }
  Result<bool> scrub_step(std::size_t) override { return true; }

 private:
  ModelState(Disk& disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}
  Status load();
  Status write(const Records& records, Index applied);

  Disk& disk_;
  const std::string folder_;
  std::shared_ptr<const Records> records_;
  std::string file_;
  Index durable_;
  Status dead_;
};

}  // namespace coffer::testing
