#include "core/entry.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/limits.h"
#include "store/key.h"

namespace coffer::core::entry {
namespace {

constexpr std::uint8_t kPut = 1;
constexpr std::uint8_t kDelete = 2;

Status damaged(std::string_view what) { return Status(Code::kDataLoss, "a log entry " + std::string(what)); }

}  // namespace

void encode(std::uint64_t epoch, KeyTerm key_term, std::span<const store::Op> ops, std::string& out) {
  COFFER_CHECK(ops.size() <= limits::kEntryOpsMax);
  ByteWriter writer(out);
  writer.u8(kFormat).varint(epoch).varint(key_term.get()).varint(ops.size());
  for (const store::Op& op : ops) {
    COFFER_CHECK(op.key.size() >= store::kKeyHeadBytes && op.key.size() <= limits::kStoreKeyBytesMax);
    writer.u8(op.value ? kPut : kDelete).bytes(op.key);
    if (op.value)
      writer.bytes(*op.value);
  }
}

Result<Entry> decode(std::string_view body) {
  ByteReader reader(body);
  const std::uint8_t format = reader.u8();
  if (!reader.ok() || format != kFormat)
    return damaged("has an unknown format");
  Entry entry;
  entry.epoch = reader.varint();
  const std::uint64_t term = reader.varint();
  const std::uint64_t count = reader.varint();
  if (!reader.ok() || term > UINT32_MAX || count > limits::kEntryOpsMax)
    return damaged("has a head that makes no sense");
  entry.key_term = KeyTerm(static_cast<std::uint32_t>(term));
  // Each record takes two bytes at least: a count that the bytes cannot hold reserves nothing.
  if (count > reader.left())
    return damaged("tells more records than it holds");
  entry.ops.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint8_t kind = reader.u8();
    const std::string_view key = reader.bytes();
    if (!reader.ok() || (kind != kPut && kind != kDelete))
      return damaged("has a record of no known kind");
    if (!store::parse_key(key).ok())
      return damaged("has a record whose key is none");
    store::Op op{std::string(key), std::nullopt};
    if (kind == kPut)
      op.value.emplace(reader.bytes());
    if (!reader.ok())
      return damaged("ends within a record");
    entry.ops.push_back(std::move(op));
  }
  if (!reader.finish().ok())
    return damaged("has bytes after its last record");
  return entry;
}

}  // namespace coffer::core::entry
