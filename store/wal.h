// The write-ahead log: segments of a fixed size, allocated before use, one write and one fdatasync a batch
// (docs/formats/log.md). Segments that were cut off are used again: syncing into blocks that were written before is
// faster by a third (bench/log_bench.cc), because the file system has nothing of its own to write. In a new segment,
// zeros are written some way ahead for the same reason.
//
// append(), truncate_from(), save_hard_state() and reset_to() only encode into memory; sync() writes what has gathered
// as one frame and syncs it. It may run on a thread of its own while the node's thread appends on. The first failure of
// a write or sync is final: every later call returns it, and the process must start anew from what the disk then holds.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/limits.h"
#include "store/log.h"
#include "store/wal_format.h"

namespace coffer::store {

struct WalOptions {
  std::uint64_t segment_bytes = limits::kLogSegmentBytes;  // a frame that is larger gets a segment of its own
  bool must_exist = false;                                 // a folder without a segment is a lost log: kDataLoss
};

class WriteAheadLog final : public Log {
 public:
  // Reads the log in `folder`, which exists and is locked by the caller, and makes what it found durable. A last frame
  // that was cut short by a crash is dropped: it was never acknowledged. kDataLoss, naming file and offset, for all
  // other damage, and when the hard state promises more than the log holds.
  static Result<std::unique_ptr<WriteAheadLog>> open(Disk& disk, const std::string& folder, const WalOptions& options);
  ~WriteAheadLog() override;

  Index first_index() const override;
  Index last_index() const override;
  Term last_term() const override;
  HardState hard_state() const override;
  Status append(std::span<const LogRecord> records) override;
  Status truncate_from(Index from) override;
  Status save_hard_state(const HardState& state) override;
  Status sync() override;
  Result<Term> term_at(Index index) const override;
  Result<std::vector<LogRecord>> read(Index from, Index to_inclusive, std::size_t bytes_max) const override;
  Status cut_below(Index index) override;
  Status reset_to(Index index, Term term) override;

  // Any thread, for metrics.
  std::uint64_t segments() const;

 private:
  friend class WalRecovery;

  struct Position {
    Index index;
    Term term;
  };
  // Live records of one frame.
  struct Run {
    Index first;
    Index last;
    std::uint64_t segment;
    std::uint64_t offset;
    std::uint64_t size;
  };
  struct TermStart {
    Index first;
    Term term;
  };
  // A record that no finished sync covers.
  struct Unsynced {
    LogRecord record;
    std::uint64_t frame;
  };

  WriteAheadLog(Disk& disk, std::string folder, const WalOptions& options);

  std::string segment_path(std::uint64_t sequence) const;
  Position last_locked() const;
  Term term_locked(Index index) const;
  void drop_from_locked(Index from);
  void note_term_locked(Index index, Term term);
  void clear_locked(Position base);
  void finish_sync_locked(std::uint64_t frame, std::uint64_t offset, std::uint64_t size);
  Status write_frame(std::uint64_t frame, std::uint32_t records, const SegmentHeader& before);
  Status start_segment(SegmentHeader header, std::size_t frame_bytes);
  Result<std::shared_ptr<File>> reuse_segment(std::uint64_t sequence);
  Status prime(std::uint64_t from);
  std::string spare_path(std::uint64_t sequence) const;
  SegmentHeader describe_locked() const;
  Status read_run(const Run& run, File& file, Index from, Index to, std::vector<LogRecord>& out) const;
  Status damaged(std::uint64_t segment, std::uint64_t offset, std::string_view what) const;

  Disk& disk_;
  const std::string folder_;
  const WalOptions options_;

  // The syncing thread's.
  std::mutex sync_mutex_;
  std::string writing_;
  std::shared_ptr<File> tail_;
  std::uint64_t tail_segment_ = 0;  // 0: none yet
  std::uint64_t tail_offset_ = 0;
  std::uint64_t tail_size_ = 0;
  std::uint64_t primed_ = 0;  // blocks of the tail below here were written once

  mutable std::mutex mutex_;  // guards what follows
  Status failed_;
  HardState hard_state_;
  Position base_;  // of the record before the first one held
  std::vector<TermStart> terms_;
  std::deque<Run> runs_;
  std::deque<Unsynced> unsynced_;
  std::map<std::uint64_t, std::shared_ptr<File>> segments_;
  std::vector<std::uint64_t> spares_;  // files of the usual size that wait to be used again, by the sequence they had
  std::string pending_;  // the next frame
  std::uint32_t pending_records_ = 0;
  std::uint64_t next_frame_ = 1;
  std::uint64_t synced_frame_ = 0;
  std::uint64_t reset_frame_ = 0;  // of the last reset
  SegmentHeader described_;        // the log as of the last frame, for the header of a segment that begins after it
};

}  // namespace coffer::store
