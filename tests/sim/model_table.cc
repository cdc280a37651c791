#include "tests/sim/model_table.h"

#include "store/overlay.h"

namespace coffer::sim {
ModelTable::ModelTable(std::shared_ptr<TableImage> image, Describe describe, Interlude interlude)
    : image_(std::move(image)), describe_(std::move(describe)), interlude_(std::move(interlude)) {}

ModelTable::~ModelTable() = default;

Result<store::StateReader*> ModelTable::acquire() {
  if (interlude_)
    interlude_();
  std::unique_ptr<testing::RecordsReader> reader;
  if (idle_.empty()) {
    reader = std::make_unique<testing::RecordsReader>();
  } else {
    reader = std::move(idle_.back());
    idle_.pop_back();
  }
  reader->open(image_->records, image_->applied);
  return reader.release();
}

void ModelTable::release(store::StateReader* reader) noexcept {
  auto* mine = static_cast<testing::RecordsReader*>(reader);
  mine->close();
  idle_.emplace_back(mine);
}

Status ModelTable::commit(const store::Generation& generation, Index applied) {
  auto records = std::make_shared<TableImage::Records>(*image_->records);
  store::GenerationCursor cursor(generation, applied);
  for (cursor.seek(""); cursor.valid(); cursor.next()) {
    if (cursor.found().deleted)
      records->erase(std::string(cursor.key()));
    else
      records->insert_or_assign(std::string(cursor.key()), std::string(cursor.found().value));
  }
  image_->records = std::move(records);
  image_->applied = applied;
  image_->from_snapshot = false;
  describe_(applied, *image_);
  return Status();
}

}  // namespace coffer::sim
