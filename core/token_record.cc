#include "core/token_record.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/codec.h"
#include "base/encoding.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kRecordFormat = 1;
constexpr std::uint8_t kFlagOrphan = 1;
constexpr std::uint8_t kFlagRenewable = 2;
constexpr std::uint8_t kFlagExpires = 4;
constexpr std::uint8_t kFlagsKnown = 7;

// The signed form of a service token, as Protobuf lays it out: field 1 (version) is 1, field 2 holds the time and the
// secret bytes. Forms of other lengths tell no time.
constexpr std::size_t kServiceTimeBytes = 4;
constexpr std::size_t kServiceSecretBytes = 24;
constexpr std::string_view kServiceHead("\x08\x01\x12\x1c", 4);
constexpr std::string_view kServicePrefix = "hvs.";
constexpr std::size_t kServiceText =
    kServicePrefix.size() + ((kServiceHead.size() + kServiceTimeBytes + kServiceSecretBytes) * 8 + 5) / 6;
constexpr std::string_view kServiceBegins = "hvs.CAESH";  // the head but for its last two bits

// Units of 4.2 ms, which begin again after 208 days: enough for neighbours in time to be neighbours in the state.
std::uint32_t told_time(WallTime now) { return static_cast<std::uint32_t>(now.time_since_epoch().count() >> 22); }

int sextet(char c) noexcept {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// Of a text that new_service_token() made, with or without a namespace's name behind it.
std::optional<std::uint32_t> told_time(std::string_view text) noexcept {
  if (!text.starts_with(kServiceBegins) || text.substr(0, text.find('.', kServicePrefix.size())).size() != kServiceText)
    return std::nullopt;
  // Bytes 3 to 8: the head's last, the time, and one of the secret.
  std::uint64_t bits = 0;
  for (const char c : text.substr(kServicePrefix.size() + 4, 8)) {
    const int value = sextet(c);
    if (value < 0)
      return std::nullopt;
    bits = bits << 6 | static_cast<std::uint64_t>(value);
  }
  if (bits >> 40 != static_cast<std::uint8_t>(kServiceHead.back()))
    return std::nullopt;
  return static_cast<std::uint32_t>(bits >> 8);
}

void write_hex(std::uint8_t byte, char* out) noexcept {
  out[0] = "0123456789abcdef"[byte >> 4];
  out[1] = "0123456789abcdef"[byte & 15];
}

std::uint64_t to_stored(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime from_stored(std::uint64_t nanos) { return WallTime(Nanos(static_cast<std::int64_t>(nanos))); }

}  // namespace

TokenHash TokenHasher::hash(char domain, std::string_view text) const noexcept {
  const std::uint8_t first = static_cast<std::uint8_t>(domain);
  const crypto::Digest256 digest =
      key_.mac({std::span(&first, 1), std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())});
  TokenHash out;
  for (std::size_t i = 0; i < kTokenHashBytes; ++i)
    write_hex(digest[i], out.text + 2 * i);
  return out;
}

// The time takes the place of the digest's last bytes: 128 bits of it are left.
TokenHash TokenHasher::token(std::string_view text) const noexcept {
  TokenHash out = hash('t', text);
  const std::optional<std::uint32_t> time = told_time(text);
  if (!time)
    return out;
  std::memmove(out.text + 2 * kServiceTimeBytes, out.text, sizeof out.text - 2 * kServiceTimeBytes);
  for (std::size_t i = 0; i < kServiceTimeBytes; ++i)
    write_hex(static_cast<std::uint8_t>(*time >> (24 - 8 * i)), out.text + 2 * i);
  return out;
}

std::vector<std::string_view> split_policies(std::string_view joined) {
  std::vector<std::string_view> names;
  while (!joined.empty()) {
    const std::size_t end = joined.find(kPolicySeparator);
    names.push_back(joined.substr(0, end));
    joined.remove_prefix(end == std::string_view::npos ? joined.size() : end + 1);
  }
  return names;
}

std::string_view join_policies(Arena& arena, std::vector<std::string_view> names) {
  if (std::find(names.begin(), names.end(), "root") != names.end())
    return "root";
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string joined;
  for (const std::string_view name : names) {
    if (!joined.empty())
      joined.push_back(kPolicySeparator);
    joined.append(name);
  }
  return arena.copy(joined);
}

bool has_policy(std::string_view joined, std::string_view name) noexcept {
  while (!joined.empty()) {
    const std::size_t end = joined.find(kPolicySeparator);
    if (joined.substr(0, end) == name)
      return true;
    joined.remove_prefix(end == std::string_view::npos ? joined.size() : end + 1);
  }
  return false;
}

void encode(const TokenRecord& record, std::string& out) {
  std::uint8_t flags = 0;
  flags |= record.orphan ? kFlagOrphan : 0;
  flags |= record.renewable ? kFlagRenewable : 0;
  flags |= record.expires ? kFlagExpires : 0;
  ByteWriter writer(out);
  writer.u8(kRecordFormat).u8(static_cast<std::uint8_t>(record.type)).u8(flags);
  writer.u64(to_stored(record.created)).u64(to_stored(record.renewed));
  if (record.expires)
    writer.u64(to_stored(*record.expires));
  writer.varint(static_cast<std::uint64_t>(record.creation_ttl.count()))
      .varint(static_cast<std::uint64_t>(record.ttl.count()));
  writer.varint(static_cast<std::uint64_t>(record.explicit_max_ttl.count()));
  writer.varint(static_cast<std::uint64_t>(record.period.count()));
  writer.varint(static_cast<std::uint64_t>(record.num_uses));
  writer.bytes(record.parent).bytes(record.accessor).bytes(record.display_name).bytes(record.path);
  writer.bytes(record.policies).bytes(record.metadata).bytes(record.wrapped_accessor);
  writer.varint(record.ns.get()).bytes(record.entity).varint(record.entity_ns.get());
  writer.bytes(record.bound_cidrs).bytes(record.role);
  writer.varint(static_cast<std::uint64_t>(record.max_ttl.count())).varint(record.depth);
}

Result<TokenRecord> decode_token(std::string_view plaintext) {
  ByteReader reader(plaintext);
  TokenRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t type = reader.u8();
  const std::uint8_t flags = reader.u8();
  if (!reader.ok() || format != kRecordFormat || type < 1 || type > 2 || (flags & ~kFlagsKnown) != 0)
    return Status(Code::kDataLoss, "a token's record has an unknown form");
  record.type = static_cast<TokenType>(type);
  record.orphan = (flags & kFlagOrphan) != 0;
  record.renewable = (flags & kFlagRenewable) != 0;
  record.created = from_stored(reader.u64());
  record.renewed = from_stored(reader.u64());
  if ((flags & kFlagExpires) != 0)
    record.expires = from_stored(reader.u64());
  record.creation_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.explicit_max_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.period = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.num_uses = static_cast<std::int64_t>(reader.varint());
  record.parent = reader.bytes();
  record.accessor = reader.bytes();
  record.display_name = reader.bytes();
  record.path = reader.bytes();
  record.policies = reader.bytes();
  record.metadata = reader.bytes();
  record.wrapped_accessor = reader.bytes();
  record.ns = NamespaceId(static_cast<std::uint32_t>(reader.varint()));
  record.entity = reader.bytes();
  record.entity_ns = NamespaceId(static_cast<std::uint32_t>(reader.varint()));
  record.bound_cidrs = reader.bytes();
  record.role = reader.bytes();
  record.max_ttl = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.depth = static_cast<std::uint32_t>(reader.varint());
  COFFER_TRY(reader.finish().with_context("a token's record"));
  return record;
}

Result<std::string> new_service_token(RandomSource& random, WallTime now) {
  SecretBytes bytes(kServiceHead.size() + kServiceTimeBytes + kServiceSecretBytes);
  const auto out = bytes.reveal_mutable();
  auto at = std::copy(kServiceHead.begin(), kServiceHead.end(), out.begin());
  const std::uint32_t time = told_time(now);
  for (std::size_t i = 0; i < kServiceTimeBytes; ++i)
    *at++ = static_cast<std::uint8_t>(time >> (24 - 8 * i));
  COFFER_TRY(random.fill(out.last(kServiceSecretBytes)));
  return std::string(kServicePrefix) + base64url_encode(bytes.reveal_text());
}

Result<std::string> new_root_token(RandomSource& random) {
  COFFER_ASSIGN(const std::string letters, random_base62(random, 24));
  return "hvs." + letters;
}

std::string_view type_name(TokenType type) { return type == TokenType::kBatch ? "batch" : "service"; }

Result<std::string> new_accessor(RandomSource& random) { return random_base62(random, 24); }

}  // namespace coffer::core
