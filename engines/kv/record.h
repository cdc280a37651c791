// What KV version 2 stores (docs/formats/kv_record.md). One head record a secret holds all that a read of the newest
// version needs, in its first bytes, and behind it the data of older versions while it is small, so that most writes
// put one record and no more; larger data moves to a record of its own with the write that replaces it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/status.h"

namespace coffer::engines::kv {

struct Version {
  std::uint64_t number = 0;   // 0: none was ever written
  WallTime created{};
  WallTime deletion{};        // the epoch: not deleted; may lie in the future
  bool destroyed = false;
  std::string_view kept{};    // of an older version: its data when the head keeps it, JSON text
  std::string_view author{};  // display name of the token that wrote it; empty: not known
  std::string_view entity{};  // and the id of its entity; empty: none

  // An older version whose data stands in a record of its own.
  bool has_own_record() const noexcept { return !destroyed && kept.empty(); }
  bool deleted_at(WallTime now) const noexcept { return deletion != WallTime{} && deletion <= now; }
  bool readable_at(WallTime now) const noexcept { return !destroyed && !deleted_at(now); }
};

// The part of a head that reading the newest version takes.
struct Newest {
  bool cas_required = false;
  bool metadata_cas_required = false;
  Version version;
  std::string_view custom_metadata;  // JSON text of an object; empty: null
  std::string_view data;             // JSON text; empty when destroyed or never written
};

struct Head {
  Newest newest;
  WallTime created{};
  WallTime updated{};
  std::uint64_t oldest = 0;          // 0 until a version was dropped
  std::uint32_t max_versions = 0;    // 0: the mount's
  Nanos delete_version_after{0};     // 0: the mount's
  std::uint64_t metadata_version = 0; // how often metadata was written
  std::vector<Version> older;        // ascending, without the newest

  // The version, or null. Valid until the head changes.
  Version* find(std::uint64_t number);
  const Version* find(std::uint64_t number) const { return const_cast<Head*>(this)->find(number); }
  // Of all older versions together.
  std::size_t kept_bytes() const noexcept;
};

// How long deleted metadata can be undeleted unless the mount says otherwise.
inline constexpr Nanos kDefaultRetention = std::chrono::hours(72);

struct Config {
  bool cas_required = false;
  std::uint32_t max_versions = 0;    // 0: kDefaultMaxVersions
  Nanos delete_version_after{0};
  bool versions_stay = false;        // none is deleted for its age, whatever a secret says; delete_version_after is 0
  bool metadata_cas_required = false;
  Nanos deleted_metadata_retention = kDefaultRetention;
};

inline constexpr std::uint32_t kDefaultMaxVersions = 10;
// Data of older versions that one head keeps. With a newest version of half as much the record still fits twice in a
// page of the store, and reading the newest costs little more for it.
inline constexpr std::size_t kKeptBytesMax = 1024;
// Versions one secret keeps at most: removing them all is one entry, with room for what else the entry writes.
inline constexpr std::uint32_t kVersionsMax = 2000;
static_assert(kVersionsMax < limits::kEntryOpsMax / 2);

// Views in what is decoded point into `record`. kDataLoss for anything that encode() does not make.
void encode(const Head& head, std::string& out);
Result<Newest> decode_newest(std::string_view record);
Result<Head> decode_head(std::string_view record);

void encode(const Config& config, std::string& out);
Result<Config> decode_config(std::string_view record);

// A secret whose metadata was deleted: its head, until `purge_at`.
struct Tombstone {
  WallTime purge_at{};
  Head head;
};
void encode(const Tombstone& tombstone, std::string& out);
Result<Tombstone> decode_tombstone(std::string_view record);

// The data of an older version, of a KV version 1 secret and of a cubbyhole: JSON text behind a format byte.
void encode_data(std::string_view json_text, std::string& out);
Result<std::string_view> decode_data(std::string_view record);

// Names of records, relative to the mount. `number` comes first so that no name of a secret can be taken for another's
// version.
inline constexpr std::string_view kHeadPrefix = "h/";
inline constexpr std::string_view kVersionPrefix = "v/";
inline constexpr std::string_view kConfigName = "c";
inline constexpr std::string_view kTombstonePrefix = "d/";   // deleted metadata, by path
inline constexpr std::string_view kPurgePrefix = "t/";       // when to purge which: time, random; holds the path
inline constexpr std::string_view kUnversionedPrefix = "s/"; // secrets of version 1

}  // namespace coffer::engines::kv
