#include "core/restored.h"

#include "base/check.h"
#include "base/codec.h"
#include "core/layout.h"
#include "raft/entry.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;

std::string shared_key(std::string_view rest) {
  return store::make_key(store::KeyClass::kShared, layout::kRootNamespace, layout::kSystemMount, rest);
}

std::string local_key(std::string_view rest) {
  return store::make_key(store::KeyClass::kClusterLocal, layout::kRootNamespace, layout::kSystemMount, rest);
}

Result<RestoreRecord> decode_record(std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint8_t format = reader.u8();
  RestoreRecord record;
  record.index = Index(reader.u64());
  const std::string_view members = reader.bytes();
  COFFER_TRY(reader.finish());
  if (format != kFormat)
    return Status(Code::kDataLoss, "it has an unknown form");
  COFFER_ASSIGN(record.members, decode_members(members));
  return record;
}

}  // namespace

std::string encode_replaced(const ReplacedEntry& entry) {
  COFFER_CHECK(entry.digest.size() == kStreamDigestBytes && entry.members.size() <= kMembersMax);
  std::string out(raft::kEntryHeaderBytes, '\0');
  ByteWriter(out).u8(kFormat).raw(entry.digest).bytes(encode(entry.members));
  return out;
}

Result<ReplacedEntry> decode_replaced(std::string_view body) {
  ByteReader reader(body);
  const std::uint8_t format = reader.u8();
  ReplacedEntry entry;
  entry.digest = reader.raw(kStreamDigestBytes);
  const std::string_view members = reader.bytes();
  if (!reader.finish().ok() || format != kFormat)
    return Status(Code::kDataLoss, "the log's entry of a replaced state is malformed");
  Result<Members> decoded = decode_members(members);
  if (!decoded.ok())
    return Status(Code::kDataLoss, "the log's entry of a replaced state: " + decoded.status().message());
  entry.members = std::move(decoded).value();
  return entry;
}

const std::string& restore_key() {
  static const std::string key =
      store::make_key(store::KeyClass::kNotReplicated, layout::kRootNamespace, layout::kSystemMount, layout::kRestored);
  return key;
}

Result<std::optional<RestoreRecord>> read_restore(const store::View& view) {
  std::string value;
  COFFER_ASSIGN(const bool found, view.get(restore_key(), value));
  if (!found)
    return std::optional<RestoreRecord>();
  Result<RestoreRecord> record = decode_record(value);
  if (!record.ok())
    return Status(Code::kDataLoss, "the state's record of its last restore: " + record.status().message());
  return std::optional<RestoreRecord>(std::move(record).value());
}

const std::string& seal_key() {
  static const std::string key = local_key(layout::kSealConfig);
  return key;
}

void RestoreScan::see(std::string_view key, std::string_view value) {
  static const std::string cluster = local_key(layout::kClusterInfo);
  static const std::string keyring = shared_key(layout::kKeyring);
  static const std::string member = shared_key(layout::kMemberPrefix);
  if (key == seal_key())
    seal_record_ = value;
  else if (key == keyring)
    keyring_ = true;
  else if (key == cluster)
    cluster_ = true;
  else if (key.starts_with(member) && members_.size() <= kMembersMax)
    members_.emplace_back(key);
}

Status RestoreScan::verdict() const {
  if (seal_record_.empty() || !keyring_ || !cluster_)
    return Status(Code::kInvalid, "the snapshot is no initialized server's: the records of its seal are missing");
  if (members_.size() > kMembersMax)
    return Status(Code::kInvalid, "the snapshot names more members than a cluster can have");
  return ok_status();
}

std::vector<store::Op> RestoreScan::changes(const RaftGroupRecord& group, const Members& members) const {
  std::vector<store::Op> ops;
  for (const std::string& key : members_)
    ops.push_back({key, std::nullopt});
  ops.push_back(group_op(group));
  std::string record;
  ByteWriter(record).u8(kFormat).u64(group.index.get()).bytes(encode(members));
  ops.push_back({restore_key(), std::move(record)});
  return ops;
}

}  // namespace coffer::core
