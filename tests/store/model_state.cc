#include "tests/store/model_state.h"

#include "store/current.h"
#include "store/overlay.h"
#include "store/snapshot.h"

namespace coffer::testing {

using namespace store;  // NOLINT

ModelState::~ModelState() = default;

Result<std::unique_ptr<ModelState>> ModelState::open(Disk& disk, const std::string& folder) {
  std::unique_ptr<ModelState> state(new ModelState(disk, folder));
  COFFER_TRY(state->load());
  return state;
}

Status ModelState::load() {
  auto records = std::make_shared<Records>();
  COFFER_ASSIGN(const auto current, read_current(disk_, folder_));
  if (current) {
    file_ = *current;
    COFFER_ASSIGN(auto file, disk_.open(folder_ + "/" + file_, OpenMode::kRead));
    COFFER_ASSIGN(const auto snapshot, SnapshotReader::open(std::move(file), file_));
    durable_ = snapshot->meta().applied;
    COFFER_ASSIGN(bool more, snapshot->next());
    while (more) {
      records->emplace(snapshot->key(), snapshot->value());
      COFFER_ASSIGN(more, snapshot->next());
    }
  }
  records_ = std::move(records);
  COFFER_ASSIGN(const auto names, disk_.list(folder_));
  for (const std::string& name : names) {
    if (name != file_ && state_file_number(name))
      COFFER_TRY(disk_.remove(folder_ + "/" + name));
  }
  return ok_status();
}

Result<StateReader*> ModelState::acquire() {
  auto reader = std::make_unique<RecordsReader>();
  reader->open(records_, durable_);
  return reader.release();
}
void ModelState::release(StateReader* reader) noexcept { delete reader; }

Status ModelState::write(const Records& records, Index applied) {
  COFFER_ASSIGN(const std::string name, next_state_file(disk_, folder_));
  COFFER_ASSIGN(const auto file, disk_.open(folder_ + "/" + name, OpenMode::kCreateNew));
  SnapshotMeta meta;
  meta.applied = applied;
  COFFER_ASSIGN(const auto writer, SnapshotWriter::begin(*file, meta));
  for (const auto& [key, value] : records)
    COFFER_TRY(writer->add(key, value));
  COFFER_TRY(writer->finish());
  COFFER_TRY(file->sync_data());
  COFFER_TRY(disk_.sync_folder(folder_));
  COFFER_TRY(write_current(disk_, folder_, name));
  const std::string old = std::exchange(file_, name);
  return old.empty() ? ok_status() : disk_.remove(folder_ + "/" + old);
}

Status ModelState::commit(const Generation& generation, Index applied) {
  COFFER_TRY(dead_);
  auto records = std::make_shared<Records>(*records_);
  GenerationCursor cursor(generation, applied);
  for (cursor.seek({}); cursor.valid(); cursor.next()) {
    if (cursor.found().deleted)
      records->erase(std::string(cursor.key()));
    else
      records->insert_or_assign(std::string(cursor.key()), std::string(cursor.found().value));
  }
  dead_ = write(*records, applied);
  COFFER_TRY(dead_);
  records_ = std::move(records);
  durable_ = applied;
  return ok_status();
}

}  // namespace coffer::testing
