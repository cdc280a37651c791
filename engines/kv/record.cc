#include "engines/kv/record.h"

#include "base/check.h"
#include "base/codec.h"

namespace coffer::engines::kv {
namespace {

constexpr std::uint8_t kFormat = 1;

constexpr std::uint8_t kHeadCasRequired = 1;
constexpr std::uint8_t kHeadMetadataCas = 2;
constexpr std::uint8_t kHeadFlags = kHeadCasRequired | kHeadMetadataCas;
constexpr std::uint8_t kVersionDestroyed = 1;
constexpr std::uint8_t kVersionKept = 2;  // its data follows
constexpr std::uint8_t kVersionAuthor = 4;     // who wrote it follows
constexpr std::uint8_t kVersionFlags = kVersionDestroyed | kVersionKept | kVersionAuthor;
constexpr std::uint8_t kConfigCasRequired = 1;
constexpr std::uint8_t kConfigVersionsStay = 2;
constexpr std::uint8_t kConfigMetadataCas = 4;
constexpr std::uint8_t kConfigFlags = kConfigCasRequired | kConfigVersionsStay | kConfigMetadataCas;

std::uint64_t nanos_of(WallTime time) {
  COFFER_CHECK(time >= WallTime{});
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

// False when the number is no time or duration that anybody wrote.
bool nanos_from(std::uint64_t number, Nanos& into) {
  into = Nanos(static_cast<std::int64_t>(number));
  return number <= INT64_MAX;
}
bool read_time(ByteReader& r, WallTime& into) {
  Nanos nanos{0};
  const bool fits = nanos_from(r.u64(), nanos);
  into = WallTime(nanos);
  return fits;
}
bool read_limits(ByteReader& r, std::uint32_t& max_versions, Nanos& delete_version_after) {
  const std::uint64_t versions = r.varint();
  max_versions = static_cast<std::uint32_t>(versions);
  return nanos_from(r.varint(), delete_version_after) && versions <= UINT32_MAX;
}

Status damaged() { return Status(Code::kDataLoss, "KV record: unknown format or flags"); }

void write_version(ByteWriter& w, const Version& version) {
  const bool authored = !version.author.empty() || !version.entity.empty();
  const int flags = (version.destroyed ? kVersionDestroyed : version.kept.empty() ? 0 : kVersionKept) |
                    (authored ? kVersionAuthor : 0);
  w.varint(version.number)
      .u64(nanos_of(version.created))
      .u64(nanos_of(version.deletion))
      .u8(static_cast<std::uint8_t>(flags));
  if (authored)
    w.bytes(version.author).bytes(version.entity);
  if (!version.destroyed && !version.kept.empty())
    w.bytes(version.kept);
}

// False when something is set that nobody wrote.
bool read_version(ByteReader& r, Version& version) {
  version.number = r.varint();
  const bool times = read_time(r, version.created) && read_time(r, version.deletion);
  const std::uint8_t flags = r.u8();
  version.destroyed = (flags & kVersionDestroyed) != 0;
  if ((flags & kVersionAuthor) != 0) {
    version.author = r.bytes();
    version.entity = r.bytes();
    if (version.author.empty() && version.entity.empty())
      return false;
  }
  if ((flags & kVersionKept) != 0) {
    version.kept = r.bytes();
    if (version.destroyed || version.kept.empty())
      return false;
  }
  return times && (flags & ~kVersionFlags) == 0;
}

bool read_newest(ByteReader& r, Newest& newest) {
  if (r.u8() != kFormat)
    return false;
  const std::uint8_t flags = r.u8();
  if ((flags & ~kHeadFlags) != 0)
    return false;
  newest.cas_required = (flags & kHeadCasRequired) != 0;
  newest.metadata_cas_required = (flags & kHeadMetadataCas) != 0;
  if (!read_version(r, newest.version) || !newest.version.kept.empty())
    return false;
  newest.custom_metadata = r.bytes();
  newest.data = r.bytes();
  return r.ok() && (!newest.version.destroyed || newest.data.empty());
}

}  // namespace

Version* Head::find(std::uint64_t number) {
  if (number == 0)
    return nullptr;
  if (newest.version.number == number)
    return &newest.version;
  for (Version& version : older)
    if (version.number == number)
      return &version;
  return nullptr;
}

std::size_t Head::kept_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Version& version : older)
    bytes += version.kept.size();
  return bytes;
}

void encode(const Head& head, std::string& out) {
  const Newest& newest = head.newest;
  COFFER_CHECK(!newest.version.destroyed || newest.data.empty());
  COFFER_CHECK(newest.version.kept.empty());
  out.reserve(out.size() + 96 + newest.data.size() + newest.custom_metadata.size() + 29 * head.older.size() +
              head.kept_bytes());
  ByteWriter w(out);
  w.u8(kFormat);
  w.u8(static_cast<std::uint8_t>((newest.cas_required ? kHeadCasRequired : 0) |
                                 (newest.metadata_cas_required ? kHeadMetadataCas : 0)));
  write_version(w, newest.version);
  w.bytes(newest.custom_metadata).bytes(newest.data);
  w.u64(nanos_of(head.created)).u64(nanos_of(head.updated));
  w.varint(head.oldest).varint(head.max_versions);
  w.varint(static_cast<std::uint64_t>(head.delete_version_after.count()));
  w.varint(head.metadata_version);
  w.varint(head.older.size());
  for (const Version& version : head.older)
    write_version(w, version);
}

Result<Newest> decode_newest(std::string_view record) {
  ByteReader r(record);
  Newest newest;
  if (!read_newest(r, newest))
    return damaged();
  return newest;
}

Result<Head> decode_head(std::string_view record) {
  ByteReader r(record);
  Head head;
  if (!read_newest(r, head.newest))
    return damaged();
  if (!read_time(r, head.created) || !read_time(r, head.updated))
    return damaged();
  head.oldest = r.varint();
  if (!read_limits(r, head.max_versions, head.delete_version_after))
    return damaged();
  head.metadata_version = r.varint();
  const std::uint64_t count = r.varint();
  // Each takes 18 bytes or more: a count that cannot fit is not believed.
  if (count > r.left() / 18)
    return damaged();
  head.older.resize(count);
  for (Version& version : head.older)
    if (!read_version(r, version))
      return damaged();
  COFFER_TRY(r.finish());
  return head;
}

void encode(const Config& config, std::string& out) {
  ByteWriter w(out);
  const int flags = (config.cas_required ? kConfigCasRequired : 0) | (config.versions_stay ? kConfigVersionsStay : 0) |
                    (config.metadata_cas_required ? kConfigMetadataCas : 0);
  w.u8(kFormat).u8(static_cast<std::uint8_t>(flags));
  w.varint(config.max_versions).varint(static_cast<std::uint64_t>(config.delete_version_after.count()));
  w.varint(static_cast<std::uint64_t>(config.deleted_metadata_retention.count()));
}

Result<Config> decode_config(std::string_view record) {
  ByteReader r(record);
  if (r.u8() != kFormat)
    return damaged();
  Config config;
  const std::uint8_t flags = r.u8();
  if ((flags & ~kConfigFlags) != 0)
    return damaged();
  config.cas_required = (flags & kConfigCasRequired) != 0;
  config.versions_stay = (flags & kConfigVersionsStay) != 0;
  config.metadata_cas_required = (flags & kConfigMetadataCas) != 0;
  if (!read_limits(r, config.max_versions, config.delete_version_after) ||
      !nanos_from(r.varint(), config.deleted_metadata_retention))
    return damaged();
  COFFER_TRY(r.finish());
  return config;
}

void encode(const Tombstone& tombstone, std::string& out) {
  ByteWriter(out).u8(kFormat).u64(nanos_of(tombstone.purge_at));
  encode(tombstone.head, out);
}

Result<Tombstone> decode_tombstone(std::string_view record) {
  Tombstone tombstone;
  ByteReader r(record);
  if (r.u8() != kFormat || !read_time(r, tombstone.purge_at) || !r.ok())
    return damaged();
  COFFER_ASSIGN(tombstone.head, decode_head(record.substr(record.size() - r.left())));
  return tombstone;
}

void encode_data(std::string_view json_text, std::string& out) {
  out.reserve(out.size() + 1 + json_text.size());
  ByteWriter(out).u8(kFormat).raw(json_text);
}

Result<std::string_view> decode_data(std::string_view record) {
  if (record.empty() || static_cast<std::uint8_t>(record.front()) != kFormat)
    return damaged();
  return record.substr(1);
}

}  // namespace coffer::engines::kv
