// How a write-ahead log is read when it is opened: the rules that tell a crash from damage. Used by WriteAheadLog::open
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/wal.h"

namespace coffer::store {

// "log-0000000000000001.seg" and so on.
std::string wal_segment_name(std::uint64_t sequence);
std::optional<std::uint64_t> wal_segment_number(const std::string& name);
// The name of a segment that waits to be used again: "spare-…".
std::string wal_spare_name(std::uint64_t sequence);
std::optional<std::uint64_t> wal_spare_number(const std::string& name);

// Fills in an empty WriteAheadLog from its folder. The log is of no use after a failure.
class WalRecovery {
 public:
  explicit WalRecovery(WriteAheadLog& log) : log_(log) {}
  Status run();

 private:
  Result<std::vector<std::uint64_t>> find_segments();
  Status read_segment(std::uint64_t sequence, bool oldest, bool newest);
  Status check_header(const SegmentHeader& header, std::uint64_t sequence, bool oldest);
  Result<std::optional<Frame>> read_frame(std::uint64_t offset, std::string& bytes);
  Status replay(const Frame& frame);
  Status replay_entry(const LogRecord& entry, const Frame& frame, WriteAheadLog::Run& run);
  // kDataLoss when what stands at `bad` or behind it cannot be what a crash left.
  Status check_torn(std::uint64_t sequence, std::uint64_t bad);
  // kDataLoss when the newest segment, whose header is not its own, cannot be what a crash left of its beginning.
  Status check_unfinished(std::uint64_t sequence, std::string_view block);
  Status rewrite_last();
  Status forget_unfinished(std::uint64_t sequence);
  Status adopt_spare(std::uint64_t sequence);

  WriteAheadLog& log_;
  File* file_ = nullptr;  // of the segment being read
  std::uint64_t file_size_ = 0;
  // Of the newest segment that was whole enough to read.
  SegmentHeader header_;
  std::uint64_t frames_ = 0;
  std::string last_frame_;  // with its padding; meaningless while frames_ is 0
};

}  // namespace coffer::store
