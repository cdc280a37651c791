// What an operator keeps of a snapshot: a gzip'd tar of meta.json, state.bin (the stream of store/snapshot.h),
// SHA256SUMS, and SHA256SUMS.sealed, which only a cluster with the same keys can make (docs/formats/archive.md). Bytes
// in, bytes out: no file, no clock, and memory of one piece whatever the size. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::store {

// Changes when an older server could not read what a newer one writes.
inline constexpr std::uint64_t kArchiveVersion = 1;

// meta.json: told to people and tools before anything else of the archive is looked at.
struct ArchiveMeta {
  std::uint64_t version = kArchiveVersion;
  std::string id;
  Index index;
  Term term;
  std::uint64_t state_bytes = 0;  // of state.bin
  WallTime created{};
  std::string server_version;     // that made it
  std::string cluster_name;
  std::string cluster_id;
};
std::string encode_archive_meta(const ArchiveMeta& meta);
// kInvalid when it is not readable, or of a version that this server does not know: that text names both.
Result<ArchiveMeta> decode_archive_meta(std::string_view json);
// Whether a server of `running` may take what one of `made_by` wrote: the same major version, at most one minor version
// newer. kInvalid names both.
Status check_server_version(std::string_view made_by, std::string_view running);

// Makes an archive whose state is as long as `meta` says.
class ArchiveWriter {
 public:
  // `seal` makes SHA256SUMS.sealed of SHA256SUMS.
  using Seal = std::function<std::string(std::string_view sums)>;
  ArchiveWriter(const ArchiveMeta& meta, Seal seal);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // All append to `out`: begin() once, state() until all was given, finish() once.
  void begin(std::string& out);
  void state(std::string_view piece, std::string& out);
  void finish(std::string& out);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads what ArchiveWriter wrote, however gzip has packed it meanwhile. kInvalid, with the member that is wrong, for
// anything else; nothing of what was read may be used before finish() has succeeded.
class ArchiveReader {
 public:
  using State = std::function<Status(std::string_view piece)>;
  // Called once, before the first piece of the state: a failure ends the reading.
  using Meta = std::function<Status(const ArchiveMeta& meta)>;
  ArchiveReader(Meta meta, State state);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  Status take(std::string_view bytes);
  // Whole, and the sums are those of what was read.
  Status finish();

  // After finish().
  const ArchiveMeta& meta() const noexcept;
  std::string_view sums() const noexcept;
  std::string_view sealed_sums() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::store
