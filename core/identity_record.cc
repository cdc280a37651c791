#include "core/identity_record.h"

#include "base/codec.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kFlag = 1;  // an entity is disabled, a group external, an alias local
constexpr std::uint8_t kHasAlias = 2;

void put_time(ByteWriter& writer, WallTime time) {
  writer.u64(static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

WallTime take_time(ByteReader& reader) { return WallTime(Nanos(static_cast<std::int64_t>(reader.u64()))); }

void put_texts(ByteWriter& writer, const std::vector<std::string_view>& texts) {
  writer.varint(texts.size());
  for (const std::string_view text : texts)
    writer.bytes(text);
}

// A count is believed as far as there are bytes for it.
std::vector<std::string_view> take_texts(ByteReader& reader) {
  std::vector<std::string_view> texts;
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i)
    texts.push_back(reader.bytes());
  return texts;
}

void put_pairs(ByteWriter& writer, const TextPairs& pairs) {
  writer.varint(pairs.size());
  for (const auto& [name, value] : pairs)
    writer.bytes(name).bytes(value);
}

TextPairs take_pairs(ByteReader& reader) {
  TextPairs pairs;
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::string_view name = reader.bytes();
    pairs.emplace_back(name, reader.bytes());
  }
  return pairs;
}

void put_alias(ByteWriter& writer, const AliasRecord& alias) {
  writer.u8(alias.local ? kFlag : 0).bytes(alias.id).bytes(alias.name).bytes(alias.mount_accessor);
  writer.varint(alias.mount.get());
  put_pairs(writer, alias.metadata);
  put_pairs(writer, alias.custom_metadata);
  put_texts(writer, alias.merged_from);
  put_time(writer, alias.created);
  put_time(writer, alias.updated);
}

AliasRecord take_alias(ByteReader& reader) {
  AliasRecord alias;
  alias.local = (reader.u8() & kFlag) != 0;
  alias.id = reader.bytes();
  alias.name = reader.bytes();
  alias.mount_accessor = reader.bytes();
  alias.mount = MountId(static_cast<std::uint32_t>(reader.varint()));
  alias.metadata = take_pairs(reader);
  alias.custom_metadata = take_pairs(reader);
  alias.merged_from = take_texts(reader);
  alias.created = take_time(reader);
  alias.updated = take_time(reader);
  return alias;
}

}  // namespace

void encode(const EntityRecord& record, std::string& out) {
  ByteWriter writer(out);
  writer.u8(kFormat).u8(record.disabled ? kFlag : 0).bytes(record.id).bytes(record.name).bytes(record.policies);
  put_texts(writer, record.groups);
  put_pairs(writer, record.metadata);
  writer.varint(record.aliases.size());
  for (const AliasRecord& alias : record.aliases)
    put_alias(writer, alias);
  put_texts(writer, record.merged);
  put_time(writer, record.created);
  put_time(writer, record.updated);
}

Result<EntityRecord> decode_entity(std::string_view plaintext) {
  ByteReader reader(plaintext);
  EntityRecord record;
  const std::uint8_t format = reader.u8();
  record.disabled = (reader.u8() & kFlag) != 0;
  record.id = reader.bytes();
  record.name = reader.bytes();
  record.policies = reader.bytes();
  record.groups = take_texts(reader);
  record.metadata = take_pairs(reader);
  const std::uint64_t aliases = reader.varint();
  for (std::uint64_t i = 0; i < aliases && reader.ok(); ++i)
    record.aliases.push_back(take_alias(reader));
  record.merged = take_texts(reader);
  record.created = take_time(reader);
  record.updated = take_time(reader);
  COFFER_TRY(reader.finish().with_context("an entity's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "an entity's record has an unknown form");
  return record;
}

void encode(const GroupRecord& record, std::string& out) {
  ByteWriter writer(out);
  writer.u8(kFormat).u8(static_cast<std::uint8_t>((record.external ? kFlag : 0) | (record.alias ? kHasAlias : 0)));
  writer.bytes(record.id).bytes(record.name).bytes(record.policies);
  put_texts(writer, record.parents);
  put_pairs(writer, record.metadata);
  if (record.alias)
    put_alias(writer, *record.alias);
  writer.varint(record.changes);
  put_time(writer, record.created);
  put_time(writer, record.updated);
}

Result<GroupRecord> decode_group(std::string_view plaintext) {
  ByteReader reader(plaintext);
  GroupRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  record.external = (flags & kFlag) != 0;
  record.id = reader.bytes();
  record.name = reader.bytes();
  record.policies = reader.bytes();
  record.parents = take_texts(reader);
  record.metadata = take_pairs(reader);
  if ((flags & kHasAlias) != 0)
    record.alias = take_alias(reader);
  record.changes = reader.varint();
  record.created = take_time(reader);
  record.updated = take_time(reader);
  COFFER_TRY(reader.finish().with_context("a group's record"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "a group's record has an unknown form");
  return record;
}

std::string identity_name_key(std::string_view name) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string key;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c >= 'A' && c <= 'Z') {
      key.push_back(static_cast<char>(c - 'A' + 'a'));
    } else if (c == '/' || c == '%' || byte < 0x20 || byte == 0x7f) {
      key.push_back('%');
      key.push_back(kDigits[byte >> 4]);
      key.push_back(kDigits[byte & 15]);
    } else {
      key.push_back(c);
    }
  }
  return key;
}

const AliasRecord* alias_of(const EntityRecord& entity, MountId mount) {
  for (const AliasRecord& alias : entity.aliases)
    if (alias.mount == mount)
      return &alias;
  return nullptr;
}

}  // namespace coffer::core
