// What the Raft core puts into an entry's payload. Every payload begins with the leader's cluster time; a configuration
// follows it in entries of that kind. The layout outlives the process: docs/formats/raft-entry.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "raft/types.h"

namespace coffer::raft {

enum class EntryKind : std::uint8_t {
  kEmpty = 0,          // a new leader's first
  kData = 1,           // the proposer's; the body is the caller's
  kConfiguration = 2,  // takes effect when appended
  // The state that a staged stream holds takes the place of everything before; the body is the caller's. A member that
  // has not got the stream on its disk must not accept such an entry, and what it is sent ends before it.
  kReplaced = 3,
};
inline constexpr EntryKind kEntryKindMax = EntryKind::kReplaced;

// A payload for Core::propose() starts with this many bytes, which the core overwrites with the time.
inline constexpr std::size_t kEntryHeaderBytes = 8;
inline constexpr std::size_t kVotersMax = 15;
inline constexpr std::size_t kLearnersMax = 64;

void stamp_entry_time(std::string& payload, WallTime time);
// kDataLoss when the payload is too short to be an entry.
Result<WallTime> entry_time(const store::LogRecord& record);
// Empty for a payload that is too short.
std::string_view entry_body(const store::LogRecord& record);

// Payload with its header; the time is stamped later.
std::string encode_configuration(const Configuration& configuration);
// kDataLoss when the body is not exactly one well-formed configuration.
Result<Configuration> decode_configuration(std::string_view body);

}  // namespace coffer::raft
