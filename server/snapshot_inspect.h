// What is in a snapshot's file, without any key: its meta.json, and how many records of what size stand below which
// names. Nothing is written.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "store/archive.h"

namespace coffer::server {

struct SnapshotSummary {
  struct Below {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;  // of keys and values
  };
  store::ArchiveMeta meta;
  std::map<std::string, Below> names;  // by the first `depth` segments of their names
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
};

struct InspectOptions {
  bool details = true;     // the names too
  std::size_t depth = 2;   // segments of names that are kept apart
  std::string filter;      // only what begins so
};

// Reads the file once, from its beginning to its end, in memory of one piece (and the names). kInvalid when it is no
// snapshot, kIo when it cannot be read.
Result<SnapshotSummary> inspect_snapshot(const std::string& path, const InspectOptions& options);

// As the command line prints it.
std::string summary_text(const SnapshotSummary& summary, bool details);
std::string summary_json(const SnapshotSummary& summary, bool details);

}  // namespace coffer::server
