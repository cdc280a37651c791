#include "tests/sim/model_table.h"

#include "store/overlay.h"

namespace coffer::sim {
namespace {

class RecordCursor final : public store::Cursor {
 public:
  explicit RecordCursor(std::shared_ptr<const TableImage::Records> records)
      : records_(std::move(records)), at_(records_->end()) {}
  Result<bool> seek(std::string_view key) override {
    at_ = records_->lower_bound(key);
    return at_ != records_->end();
  }
  Result<bool> next() override { return ++at_ != records_->end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  std::shared_ptr<const TableImage::Records> records_;
  TableImage::Records::const_iterator at_;
};

}  // namespace

class ModelTable::Reader final : public store::StateReader {
 public:
  void open(const TableImage& image) {
    records_ = image.records;
    applied_ = image.applied;
  }
  void close() { records_.reset(); }
  Index applied() const override { return applied_; }
  Result<bool> get(std::string_view key, std::string& out) const override {
    const auto it = records_->find(key);
    if (it == records_->end())
      return false;
    out = it->second;
    return true;
  }
  Result<std::unique_ptr<store::Cursor>> cursor() const override {
    return std::unique_ptr<store::Cursor>(std::make_unique<RecordCursor>(records_));
  }

 private:
  std::shared_ptr<const TableImage::Records> records_;
  Index applied_;
};

ModelTable::ModelTable(std::shared_ptr<TableImage> image, Describe describe, Interlude interlude)
    : image_(std::move(image)), describe_(std::move(describe)), interlude_(std::move(interlude)) {}

ModelTable::~ModelTable() = default;

Result<store::StateReader*> ModelTable::acquire() {
  if (interlude_)
    interlude_();
  std::unique_ptr<Reader> reader;
  if (idle_.empty()) {
    reader = std::make_unique<Reader>();
  } else {
    reader = std::move(idle_.back());
    idle_.pop_back();
  }
  reader->open(*image_);
  return reader.release();
}

void ModelTable::release(store::StateReader* reader) noexcept {
  auto* mine = static_cast<Reader*>(reader);
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
