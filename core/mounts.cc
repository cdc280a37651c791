#include "core/mounts.h"

#include "base/codec.h"
#include "base/encoding.h"
#include "core/token_params.h"

namespace coffer::core {
namespace {

constexpr std::size_t kMountsMax = 20'000;  // of all namespaces together

constexpr std::uint8_t kRecordFormat = 1;
constexpr std::uint8_t kFlagLocal = 1;
constexpr std::uint8_t kFlagSealWrap = 2;
constexpr std::uint8_t kFlagExternalEntropy = 4;
constexpr std::uint8_t kFlagNoCache = 8;
constexpr std::uint8_t kFlagDisabled = 16;
constexpr std::uint8_t kFlagTrim = 32;
constexpr std::uint8_t kFlagLockout = 64;
constexpr std::uint8_t kFlagLockoutOff = 128;

void write_tuning(ByteWriter& writer, const MountTuning& tuning) {
  for (const std::vector<std::string>* texts :
       {&tuning.audit_non_hmac_request_keys, &tuning.audit_non_hmac_response_keys, &tuning.passthrough_request_headers,
        &tuning.allowed_response_headers, &tuning.allowed_managed_keys, &tuning.delegated_auth_accessors})
    encode_texts(*texts, writer);
  writer.bytes(tuning.listing_visibility).bytes(tuning.token_type).bytes(tuning.plugin_version);
  writer.bytes(tuning.identity_token_key).varint(tuning.lockout_threshold);
  writer.varint(static_cast<std::uint64_t>(tuning.lockout_duration.count()));
  writer.varint(static_cast<std::uint64_t>(tuning.lockout_counter_reset.count()));
}

void read_tuning(ByteReader& reader, MountTuning& tuning) {
  for (std::vector<std::string>* texts :
       {&tuning.audit_non_hmac_request_keys, &tuning.audit_non_hmac_response_keys, &tuning.passthrough_request_headers,
        &tuning.allowed_response_headers, &tuning.allowed_managed_keys, &tuning.delegated_auth_accessors})
    *texts = decode_texts(reader);
  tuning.listing_visibility = reader.bytes();
  tuning.token_type = reader.bytes();
  tuning.plugin_version = reader.bytes();
  tuning.identity_token_key = reader.bytes();
  tuning.lockout_threshold = reader.varint();
  tuning.lockout_duration = Nanos(static_cast<std::int64_t>(reader.varint()));
  tuning.lockout_counter_reset = Nanos(static_cast<std::int64_t>(reader.varint()));
}

std::string short_hex(std::string_view bytes) { return hex_encode(bytes.substr(0, 4)); }

}  // namespace

store::KeyClass MountRecord::key_class() const {
  return info.local || info.type == "cubbyhole" ? store::KeyClass::kClusterLocal : store::KeyClass::kShared;
}

std::string encode(const MountRecord& record) {
  const MountInfo& info = record.info;
  std::string out;
  std::uint8_t flags = 0;
  flags |= info.local ? kFlagLocal : 0;
  flags |= info.seal_wrap ? kFlagSealWrap : 0;
  flags |= info.external_entropy_access ? kFlagExternalEntropy : 0;
  flags |= info.force_no_cache ? kFlagNoCache : 0;
  flags |= record.disabled ? kFlagDisabled : 0;
  flags |= record.tuning.trim_request_trailing_slashes ? kFlagTrim : 0;
  flags |= record.tuning.lockout_set ? kFlagLockout : 0;
  flags |= record.tuning.lockout_disable ? kFlagLockoutOff : 0;
  ByteWriter writer(out);
  writer.u8(kRecordFormat).u8(static_cast<std::uint8_t>(record.table)).u8(flags);
  writer.varint(info.id.get()).varint(info.namespace_id.get());
  writer.bytes(info.path).bytes(info.type).bytes(info.accessor).bytes(info.uuid).bytes(info.description);
  writer.varint(static_cast<std::uint64_t>(info.default_lease_ttl.count()));
  writer.varint(static_cast<std::uint64_t>(info.max_lease_ttl.count()));
  writer.varint(info.options.size());
  for (const auto& [name, value] : info.options)
    writer.bytes(name).bytes(value);
  write_tuning(writer, record.tuning);
  writer.bytes(record.moving ? record.moving->path : std::string());
  writer.varint(record.moving ? record.moving->ns.get() : 0);
  return out;
}

Result<MountRecord> decode_mount(std::string_view plaintext) {
  ByteReader reader(plaintext);
  MountRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t table = reader.u8();
  const std::uint8_t flags = reader.u8();
  if (!reader.ok() || format != kRecordFormat || table < 1 || table > 2)
    return Status(Code::kDataLoss, "a mount's record has an unknown form");
  MountInfo& info = record.info;
  record.table = static_cast<MountTable>(table);
  info.local = (flags & kFlagLocal) != 0;
  info.seal_wrap = (flags & kFlagSealWrap) != 0;
  info.external_entropy_access = (flags & kFlagExternalEntropy) != 0;
  info.force_no_cache = (flags & kFlagNoCache) != 0;
  record.disabled = (flags & kFlagDisabled) != 0;
  record.tuning.trim_request_trailing_slashes = (flags & kFlagTrim) != 0;
  record.tuning.lockout_set = (flags & kFlagLockout) != 0;
  record.tuning.lockout_disable = (flags & kFlagLockoutOff) != 0;
  info.id = MountId(static_cast<std::uint32_t>(reader.varint()));
  info.namespace_id = NamespaceId(static_cast<std::uint32_t>(reader.varint()));
  info.path = reader.bytes();
  info.type = reader.bytes();
  info.accessor = reader.bytes();
  info.uuid = reader.bytes();
  info.description = reader.bytes();
  info.default_lease_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  info.max_lease_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  const std::uint64_t options = reader.varint();
  for (std::uint64_t i = 0; i < options && reader.ok(); ++i) {
    const std::string_view name = reader.bytes();
    info.options.emplace_back(name, reader.bytes());
  }
  read_tuning(reader, record.tuning);
  std::string to(reader.bytes());
  const NamespaceId to_ns(static_cast<std::uint32_t>(reader.varint()));
  if (!to.empty())
    record.moving = MountRecord::Move{to_ns, std::move(to)};
  COFFER_TRY(reader.finish().with_context("a mount's record"));
  return record;
}

Result<MountRecord> new_mount(MountTable table, std::string_view type, std::string_view path, RandomSource& random) {
  MountRecord record;
  record.table = table;
  record.info.type = type;
  record.info.path = path;
  std::string bytes(4, '\0');
  COFFER_TRY(random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  const std::string_view kind = type == "system" ? "system" : type;
  record.info.accessor = (table == MountTable::kAuth ? "auth_" : "") + std::string(kind) + "_" + short_hex(bytes);
  COFFER_ASSIGN(record.info.uuid, random_uuid(random));
  return record;
}

Result<std::vector<MountRecord>> read_mounts(TxnImpl& txn) {
  COFFER_ASSIGN(const ListPage page, txn.list(layout::core_key(layout::kMountPrefix), {}, 0));
  std::vector<MountRecord> records;
  records.reserve(page.names.size());
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(const auto plaintext, txn.get(layout::core_key(std::string(layout::kMountPrefix).append(name))));
    if (!plaintext)
      continue;
    COFFER_ASSIGN(MountRecord record, decode_mount(*plaintext));
    records.push_back(std::move(record));
  }
  return records;
}

Result<std::optional<MountRecord>> find_mount(TxnImpl& txn, NamespaceId ns, MountTable table, std::string_view path) {
  COFFER_ASSIGN(std::vector<MountRecord> records, read_mounts(txn));
  for (MountRecord& record : records)
    if (record.info.namespace_id == ns && record.table == table && record.info.path == path && !record.disabled)
      return std::optional<MountRecord>(std::move(record));
  return std::optional<MountRecord>();
}

Status check_mount_path(TxnImpl& txn, const MountRecord& record) {
  const std::string route = record.route();
  COFFER_ASSIGN(const std::vector<MountRecord> records, read_mounts(txn));
  const auto meets = [&](const MountRecord& other, NamespaceId ns) {
    return ns == record.info.namespace_id &&
           (route.starts_with(other.route()) || other.route().starts_with(route));
  };
  for (const MountRecord& other : records) {
    if (other.info.id == record.info.id)
      continue;
    bool taken = (!other.disabled || other.moving) && meets(other, other.info.namespace_id);
    if (other.moving) {
      MountRecord there = other;
      there.info.path = other.moving->path;
      taken = taken || meets(there, other.moving->ns);
    }
    if (taken)
      return Status(Code::kInvalid, "path is already in use at " + other.info.path);
  }
  // All of them are kept in memory and read by whoever changes one.
  if (records.size() >= kMountsMax)
    return Status(Code::kExhausted, "there are " + std::to_string(kMountsMax) + " mounts, and no more are possible");
  return ok_status();
}

Status move_mount(TxnImpl& txn, const MountRecord& record) {
  COFFER_TRY(check_mount_path(txn, record));
  return put_mount(txn, record);
}

Status add_mount(TxnImpl& txn, MountRecord& record) {
  COFFER_TRY(check_mount_path(txn, record));
  const store::StoreKey counter = layout::core_key(layout::kMountCounter);
  COFFER_ASSIGN(const auto stored, txn.get(counter));
  std::uint32_t next = kFirstMountId.get();
  if (stored) {
    ByteReader reader(*stored);
    next = reader.u32();
    COFFER_TRY(reader.finish().with_context("the mount counter"));
  }
  if (next == UINT32_MAX)
    return Status(Code::kExhausted, "no mount id is left");
  record.info.id = MountId(next);
  std::string text;
  ByteWriter(text).u32(next + 1);
  COFFER_TRY(txn.put(counter, text));
  return put_mount(txn, record);
}

Status put_mount(TxnImpl& txn, const MountRecord& record) {
  return txn.put(layout::core_key(layout::mount_record(record.info.id, record.info.namespace_id)), encode(record));
}

Status erase_mount(TxnImpl& txn, MountId id, NamespaceId ns) {
  return txn.erase(layout::core_key(layout::mount_record(id, ns)));
}

}  // namespace coffer::core
