#include "core/group_record.h"

#include "base/codec.h"
#include "core/layout.h"
#include "raft/entry.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;

std::uint64_t to_number(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime to_time(std::uint64_t number) { return WallTime(Nanos(static_cast<std::int64_t>(number))); }

Result<RaftGroupRecord> decode(std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint8_t format = reader.u8();
  RaftGroupRecord record;
  record.index = Index(reader.u64());
  record.time = to_time(reader.u64());
  const std::string_view configuration = reader.bytes();
  COFFER_TRY(reader.finish());
  if (format != kFormat)
    return Status(Code::kDataLoss, "it has an unknown form");
  COFFER_ASSIGN(record.configuration, raft::decode_configuration(configuration));
  return record;
}

}  // namespace

const std::string& group_key() {
  static const std::string key =
      store::make_key(store::KeyClass::kNotReplicated, layout::kRootNamespace, layout::kSystemMount, layout::kGroup);
  return key;
}

store::Op group_op(const RaftGroupRecord& record) {
  const std::string payload = raft::encode_configuration(record.configuration);
  std::string value;
  ByteWriter(value)
      .u8(kFormat)
      .u64(record.index.get())
      .u64(to_number(record.time))
      .bytes(std::string_view(payload).substr(raft::kEntryHeaderBytes));
  return {group_key(), std::move(value)};
}

Result<std::optional<RaftGroupRecord>> read_group(const store::View& view) {
  std::string value;
  COFFER_ASSIGN(const bool found, view.get(group_key(), value));
  if (!found)
    return std::optional<RaftGroupRecord>();
  Result<RaftGroupRecord> record = decode(value);
  if (!record.ok())
    return record.status().with_context("the state's record of the group's members");
  return std::optional<RaftGroupRecord>(std::move(record).value());
}

std::string encode_snapshot_extra(const raft::Configuration& configuration, WallTime time) {
  std::string out = raft::encode_configuration(configuration);
  raft::stamp_entry_time(out, time);
  return out;
}

Result<SnapshotExtra> decode_snapshot_extra(std::string_view bytes) {
  if (bytes.size() < raft::kEntryHeaderBytes)
    return Status(Code::kDataLoss, "a snapshot's header tells no configuration");
  SnapshotExtra extra;
  extra.time = to_time(ByteReader(bytes).u64());
  COFFER_ASSIGN(extra.configuration, raft::decode_configuration(bytes.substr(raft::kEntryHeaderBytes)));
  return extra;
}

}  // namespace coffer::core
