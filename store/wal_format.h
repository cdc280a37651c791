// The bytes of the write-ahead log (docs/formats/log.md). Pure functions: nothing here reads a file, and no input makes
// them fail other than by returning so.
//
// A segment is a header block, then frames. One frame is what one sync made durable, so of a crash only the last frame
// can be cut short; a frame that does not fit its checksum and has a good one behind it is damage.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/log.h"

namespace coffer::store {

// frames begin at its multiples: no write touches a block that was synced before
inline constexpr std::size_t kWalBlockBytes = 4096;
inline constexpr std::size_t kFrameHeadBytes = 40;

// The log as of the segment's first frame, so that older segments can be removed.
struct SegmentHeader {
  std::uint64_t sequence = 0;
  std::uint64_t first_frame = 0;  // its number
  Index last_index;
  Term last_term;
  HardState hard_state;
  friend bool operator==(const SegmentHeader& a, const SegmentHeader& b);
};
std::string encode_segment_header(const SegmentHeader& header);  // one block
std::optional<SegmentHeader> decode_segment_header(std::string_view block);

enum class WalKind : std::uint8_t { kEntry = 1, kHardState = 2, kTruncate = 3, kReset = 4 };

struct WalRecord {
  WalKind kind = WalKind::kEntry;
  LogRecord entry;       // kEntry
  HardState hard_state;  // kHardState
  Index index;           // kTruncate: the first dropped; kReset: the last that a snapshot covers
  Term term;             // kTruncate: of the record before; kReset: of the last covered
};

// Appends one record to a frame's body.
void encode_entry(std::string& body, const LogRecord& entry);
void encode_hard_state(std::string& body, const HardState& state);
void encode_truncate(std::string& body, Index from, Term term_before);
void encode_reset(std::string& body, Index index, Term term);

struct FrameHead {
  std::uint64_t sequence = 0;  // of its segment
  std::uint64_t number = 0;    // counts through all segments
  std::uint64_t offset = 0;    // in its segment
  std::uint32_t records = 0;
};
// `frame` holds room for the head, then the body; fills in the head and pads to whole blocks.
void finish_frame(std::string& frame, const FrameHead& head);

struct Frame {
  FrameHead head;
  std::string_view body;
  std::size_t size = 0;  // in the file, padding included
  bool belongs_at(std::uint64_t sequence, std::uint64_t offset) const {
    return head.sequence == sequence && head.offset == offset;
  }
};
// How many bytes the frame that begins here takes, going by its unchecked head; 0 when none begins here or it does not
// fit `room`.
std::size_t frame_size(std::string_view head, std::size_t room) noexcept;
// A whole frame, of whatever place, or nothing.
std::optional<Frame> decode_frame(std::string_view bytes);
// kDataLoss when the records are not as many, or not as formed, as the head says.
Result<std::vector<WalRecord>> decode_records(std::string_view body, std::uint32_t records);

}  // namespace coffer::store
