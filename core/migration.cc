#include "core/migration.h"

#include "base/codec.h"
#include "core/layout.h"

namespace coffer::core {
namespace {

constexpr std::size_t kMigrationsMax = 1024;  // remembered; the first by name go first

std::string record_name(std::string_view id) { return std::string(layout::kMigrationPrefix).append(id); }

Status put(TxnImpl& txn, std::string_view id, const Migration& migration) {
  std::string record;
  ByteWriter(record).u8(1).bytes(migration.from).bytes(migration.to).bytes(migration.failed);
  return txn.put(layout::core_key(record_name(id)), record);
}

}  // namespace

Status remember_move(TxnImpl& txn, std::string_view id, const Migration& migration) {
  COFFER_ASSIGN(const ListPage page, txn.list(layout::core_key(layout::kMigrationPrefix), {}, kMigrationsMax));
  if (page.names.size() >= kMigrationsMax)
    COFFER_TRY(txn.erase(layout::core_key(record_name(page.names.front()))));
  return put(txn, id, migration);
}

Result<std::optional<Migration>> find_move(TxnImpl& txn, std::string_view id) {
  COFFER_ASSIGN(const auto stored, txn.get(layout::core_key(record_name(id))));
  if (!stored)
    return std::optional<Migration>();
  ByteReader reader(*stored);
  const std::uint8_t format = reader.u8();
  Migration migration;
  migration.from = reader.bytes();
  migration.to = reader.bytes();
  migration.failed = reader.bytes();
  COFFER_TRY(reader.finish().with_context("the record of a move"));
  if (format != 1)
    return Status(Code::kDataLoss, "the record of a move has an unknown form");
  return std::optional<Migration>(std::move(migration));
}

Status note_failed_move(TxnImpl& txn, std::string_view id, std::string_view why) {
  COFFER_ASSIGN(auto migration, find_move(txn, id));
  if (!migration)
    return ok_status();
  migration->failed = why;
  return put(txn, id, *migration);
}

}  // namespace coffer::core
