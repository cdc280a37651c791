#include "core/lease_record.h"

#include "base/codec.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kRecordFormat = 1;

std::uint64_t to_stored(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime from_stored(std::uint64_t nanos) { return WallTime(Nanos(static_cast<std::int64_t>(nanos))); }

}  // namespace

void encode(const LeaseRecord& record, std::string& out) {
  ByteWriter writer(out);
  writer.u8(kRecordFormat).u8(static_cast<std::uint8_t>(record.state)).u8(record.renewable ? 1 : 0).u8(record.tries);
  writer.u32(record.ns.get()).u32(record.mount.get());
  for (const WallTime time : {record.issued, record.renewed, record.expires, record.due, record.call_ends})
    writer.u64(to_stored(time));
  writer.varint(static_cast<std::uint64_t>(record.ttl.count()));
  writer.varint(static_cast<std::uint64_t>(record.max_ttl.count()));
  writer.bytes(record.id).bytes(record.token_hash).bytes(record.kind).bytes(record.data).bytes(record.error);
}

Result<LeaseRecord> decode_lease(std::string_view plaintext) {
  ByteReader reader(plaintext);
  LeaseRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t state = reader.u8();
  const std::uint8_t renewable = reader.u8();
  record.tries = reader.u8();
  if (!reader.ok() || format != kRecordFormat || state < 1 || state > 6 || renewable > 1)
    return Status(Code::kDataLoss, "a lease's record has an unknown form");
  record.state = static_cast<LeaseState>(state);
  record.renewable = renewable != 0;
  record.ns = NamespaceId(reader.u32());
  record.mount = MountId(reader.u32());
  for (WallTime* time : {&record.issued, &record.renewed, &record.expires, &record.due, &record.call_ends})
    *time = from_stored(reader.u64());
  record.ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.max_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.id = reader.bytes();
  record.token_hash = reader.bytes();
  record.kind = reader.bytes();
  record.data = reader.bytes();
  record.error = reader.bytes();
  COFFER_TRY(reader.finish().with_context("a lease's record"));
  if (record.id.size() <= kLeaseKeyText)
    return Status(Code::kDataLoss, "a lease's record has no id");
  return record;
}

}  // namespace coffer::core
