#include "store/wal.h"

#include <algorithm>
#include <cstdio>

#include "base/mutant.h"
#include "store/wal_recovery.h"

namespace coffer::store {

WriteAheadLog::WriteAheadLog(Disk& disk, std::string folder, const WalOptions& options)
    : disk_(disk), folder_(std::move(folder)), options_(options), pending_(kFrameHeadBytes, '\0') {}

WriteAheadLog::~WriteAheadLog() = default;

Result<std::unique_ptr<WriteAheadLog>> WriteAheadLog::open(Disk& disk, const std::string& folder,
                                                           const WalOptions& options) {
  std::unique_ptr<WriteAheadLog> log(new WriteAheadLog(disk, folder, options));
  COFFER_TRY(WalRecovery(*log).run());
  return log;
}

std::string WriteAheadLog::segment_path(std::uint64_t sequence) const {
  return folder_ + "/" + wal_segment_name(sequence);
}
std::string WriteAheadLog::spare_path(std::uint64_t sequence) const { return folder_ + "/" + wal_spare_name(sequence); }

Status WriteAheadLog::damaged(std::uint64_t segment, std::uint64_t offset, std::string_view what) const {
  return Status(Code::kDataLoss, "log file " + segment_path(segment) + " is damaged at offset " +
                                     std::to_string(offset) + " (" + std::string(what) +
                                     "): put back a backup of the whole data folder (docs/operations.md)");
}

WriteAheadLog::Position WriteAheadLog::last_locked() const {
  Index last = base_.index;
  if (!unsynced_.empty())
    last = unsynced_.back().record.index;
  else if (!runs_.empty())
    last = runs_.back().last;
  return {last, term_locked(last)};
}

Term WriteAheadLog::term_locked(Index index) const {
  if (index == base_.index)
    return base_.term;
  auto after = std::upper_bound(terms_.begin(), terms_.end(), index,
                                [](Index i, const TermStart& start) { return i < start.first; });
  COFFER_CHECK(after != terms_.begin());
  return std::prev(after)->term;
}

void WriteAheadLog::note_term_locked(Index index, Term term) {
  if (terms_.empty() || terms_.back().term != term)
    terms_.push_back({index, term});
}

void WriteAheadLog::drop_from_locked(Index from) {
  while (!unsynced_.empty() && unsynced_.back().record.index >= from)
    unsynced_.pop_back();
  while (!runs_.empty() && runs_.back().first >= from)
    runs_.pop_back();
  if (!runs_.empty() && runs_.back().last >= from)
    runs_.back().last = Index(from.get() - 1);
  while (!terms_.empty() && terms_.back().first >= from)
    terms_.pop_back();
}

void WriteAheadLog::clear_locked(Position base) {
  unsynced_.clear();
  runs_.clear();
  terms_.clear();
  base_ = base;
}

SegmentHeader WriteAheadLog::describe_locked() const {
  const Position last = last_locked();
  SegmentHeader described;
  described.last_index = last.index;
  described.last_term = last.term;
  described.hard_state = hard_state_;
  return described;
}

Index WriteAheadLog::first_index() const {
  const std::lock_guard lock(mutex_);
  return base_.index.next();
}

Index WriteAheadLog::last_index() const {
  const std::lock_guard lock(mutex_);
  return last_locked().index;
}

Term WriteAheadLog::last_term() const {
  const std::lock_guard lock(mutex_);
  return last_locked().term;
}

HardState WriteAheadLog::hard_state() const {
  const std::lock_guard lock(mutex_);
  return hard_state_;
}

std::uint64_t WriteAheadLog::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

Status WriteAheadLog::append(std::span<const LogRecord> records) {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(failed_);
  Position last = last_locked();
  for (const LogRecord& record : records) {
    COFFER_CHECK(record.index == last.index.next());
    COFFER_CHECK(record.term >= last.term);
    COFFER_CHECK(record.payload != nullptr);
    encode_entry(pending_, record);
    ++pending_records_;
    note_term_locked(record.index, record.term);
    unsynced_.push_back({record, next_frame_});
    last = {record.index, record.term};
  }
  return ok_status();
}

Status WriteAheadLog::truncate_from(Index from) {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(failed_);
  COFFER_CHECK(from > base_.index);
  if (from > last_locked().index)
    return ok_status();
  drop_from_locked(from);
  encode_truncate(pending_, from, last_locked().term);
  ++pending_records_;
  return ok_status();
}

Status WriteAheadLog::save_hard_state(const HardState& state) {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(failed_);
  hard_state_ = state;
  // Only what stands in this or an earlier frame is promised, so that a log which holds less was damaged.
  hard_state_.commit = std::min(state.commit, last_locked().index);
  encode_hard_state(pending_, hard_state_);
  ++pending_records_;
  return ok_status();
}

Status WriteAheadLog::reset_to(Index index, Term term) {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(failed_);
  clear_locked({index, term});
  encode_reset(pending_, index, term);
  ++pending_records_;
  reset_frame_ = next_frame_;
  return ok_status();
}

Status WriteAheadLog::sync() {
  const std::lock_guard sync_lock(sync_mutex_);
  std::uint64_t frame = 0;
  std::uint32_t records = 0;
  SegmentHeader before, after;
  {
    const std::lock_guard lock(mutex_);
    COFFER_TRY(failed_);
    if (pending_records_ == 0)
      return ok_status();
    frame = next_frame_++;
    records = std::exchange(pending_records_, 0);
    before = described_;
    after = describe_locked();
    writing_.swap(pending_);
    pending_.assign(kFrameHeadBytes, '\0');
  }
  const Status status = write_frame(frame, records, before);
  const std::lock_guard lock(mutex_);
  failed_ = status;
  COFFER_TRY(status);
  described_ = after;
  finish_sync_locked(frame, tail_offset_ - writing_.size(), writing_.size());
  if (writing_.capacity() > limits::kLogBufferBytesKept)
    std::string().swap(writing_);
  return ok_status();
}

void WriteAheadLog::finish_sync_locked(std::uint64_t frame, std::uint64_t offset, std::uint64_t size) {
  synced_frame_ = frame;
  // Known to others only now: until its first frame is synced, the segment before it must not be removed.
  segments_.emplace(tail_segment_, tail_);
  Run run{Index(), Index(), tail_segment_, offset, size};
  for (; !unsynced_.empty() && unsynced_.front().frame <= frame; unsynced_.pop_front()) {
    if (run.first == Index())
      run.first = unsynced_.front().record.index;
    run.last = unsynced_.front().record.index;
  }
  if (run.first != Index())
    runs_.push_back(run);
}

Status WriteAheadLog::write_frame(std::uint64_t frame, std::uint32_t records, const SegmentHeader& before) {
  const std::size_t unpadded = writing_.size();
  const std::size_t needed = (unpadded + kWalBlockBytes - 1) / kWalBlockBytes * kWalBlockBytes;
  const bool fresh = tail_ == nullptr || tail_offset_ + needed > tail_size_;
  if (fresh) {
    SegmentHeader header = before;
    header.sequence = tail_segment_ + 1;
    header.first_frame = frame;
    COFFER_TRY(start_segment(header, needed));
  }
  if (tail_offset_ + needed > primed_)
    COFFER_TRY(prime(tail_offset_ + needed));
  finish_frame(writing_, {tail_segment_, frame, tail_offset_, records});
  COFFER_CHECK(writing_.size() == needed);
  COFFER_TRY(tail_->write_at(tail_offset_, writing_));
  if (!mutant(Mutant::kSkipLogSync)) {
    COFFER_TRY(tail_->sync_data());
    if (fresh)
      COFFER_TRY(disk_.sync_folder(folder_));
  }
  tail_offset_ += needed;
  return ok_status();
}

// The header is synced together with the first frame: before that nobody counts on the segment.
Status WriteAheadLog::start_segment(SegmentHeader header, std::size_t frame_bytes) {
  std::uint64_t size = options_.segment_bytes;
  std::shared_ptr<File> file;
  if (kWalBlockBytes + frame_bytes <= size) {
    COFFER_ASSIGN(file, reuse_segment(header.sequence));
  } else {
    size = kWalBlockBytes + frame_bytes;
  }
  primed_ = size;
  if (file == nullptr) {
    COFFER_ASSIGN(file, disk_.open(segment_path(header.sequence), OpenMode::kCreateNew));
    COFFER_TRY(file->preallocate(size));
    primed_ = 0;
  }
  COFFER_TRY(file->write_at(0, encode_segment_header(header)));
  tail_ = std::move(file);
  tail_segment_ = header.sequence;
  tail_offset_ = kWalBlockBytes;
  tail_size_ = size;
  return ok_status();
}

// Null when there is no spare. What it held is of older sequences, which no reader takes for this one's.
Result<std::shared_ptr<File>> WriteAheadLog::reuse_segment(std::uint64_t sequence) {
  std::uint64_t spare = 0;
  {
    const std::lock_guard lock(mutex_);
    if (spares_.empty())
      return std::shared_ptr<File>();
    spare = spares_.back();
    spares_.pop_back();
  }
  COFFER_TRY(disk_.rename(spare_path(spare), segment_path(sequence)));
  // Before the first byte of it changes: a crash must not bring the file back under the name of the segment that it
  // was.
  COFFER_TRY(disk_.sync_folder(folder_));
  COFFER_ASSIGN(auto file, disk_.open(segment_path(sequence), OpenMode::kReadWrite));
  return std::shared_ptr<File>(std::move(file));
}

Status WriteAheadLog::prime(std::uint64_t from) {
  primed_ = std::min<std::uint64_t>(tail_size_, from + limits::kLogPrimeBytes);
  return tail_->write_at(from, std::string(primed_ - from, '\0'));
}

Result<Term> WriteAheadLog::term_at(Index index) const {
  const std::lock_guard lock(mutex_);
  const Index last = last_locked().index;
  if (index < base_.index || index > last)
    return Status(Code::kNotFound, "the log holds records " + std::to_string(base_.index.get() + 1) + " to " +
                                       std::to_string(last.get()) + ", not " + std::to_string(index.get()));
  return term_locked(index);
}

Result<std::vector<LogRecord>> WriteAheadLog::read(Index from, Index to_inclusive, std::size_t bytes_max) const {
  std::vector<LogRecord> found;
  std::size_t bytes = 0;
  while (from <= to_inclusive && (found.empty() || bytes < bytes_max)) {
    Run run{};
    std::shared_ptr<File> file;
    const std::size_t had = found.size();
    {
      const std::lock_guard lock(mutex_);
      if (from <= base_.index || to_inclusive > last_locked().index)
        return Status(Code::kNotFound, "the log does not hold records " + std::to_string(from.get()) + " to " +
                                           std::to_string(to_inclusive.get()));
      if (!unsynced_.empty() && from >= unsynced_.front().record.index) {
        found.push_back(unsynced_[from.get() - unsynced_.front().record.index.get()].record);
      } else {
        auto at = std::upper_bound(runs_.begin(), runs_.end(), from, [](Index i, const Run& r) { return i < r.first; });
        COFFER_CHECK(at != runs_.begin());
        run = *std::prev(at);
        file = segments_.at(run.segment);
      }
    }
    if (file != nullptr)
      COFFER_TRY(read_run(run, *file, from, std::min(run.last, to_inclusive), found));
    for (std::size_t i = had; i < found.size(); ++i) {
      bytes += found[i].payload->size();
      if (i > 0 && bytes > bytes_max) {
        found.resize(i);
        return found;
      }
    }
    from = found.back().index.next();
  }
  return found;
}

Status WriteAheadLog::read_run(const Run& run, File& file, Index from, Index to, std::vector<LogRecord>& out) const {
  std::string bytes(run.size, '\0');
  COFFER_ASSIGN(const std::size_t got, file.read_at(run.offset, bytes));
  bytes.resize(got);
  const auto frame = decode_frame(bytes);
  if (!frame || !frame->belongs_at(run.segment, run.offset))
    return damaged(run.segment, run.offset, "a frame does not fit its checksum");
  COFFER_ASSIGN(auto records, decode_records(frame->body, frame->head.records));
  // A frame may hold an index twice, when a record was replaced before it was synced; the last one counts.
  std::vector<LogRecord> live(to.get() - from.get() + 1);
  for (WalRecord& record : records) {
    if (record.kind == WalKind::kEntry && record.entry.index >= from && record.entry.index <= to)
      live[record.entry.index.get() - from.get()] = std::move(record.entry);
  }
  for (LogRecord& record : live) {
    if (record.payload == nullptr)
      return damaged(run.segment, run.offset, "a frame lacks a record");
    out.push_back(std::move(record));
  }
  return ok_status();
}

Status WriteAheadLog::cut_below(Index index) {
  std::vector<std::pair<std::uint64_t, std::shared_ptr<File>>> unneeded;
  {
    const std::lock_guard lock(mutex_);
    COFFER_TRY(failed_);
    // Until a reset is synced, a crash goes back to what stood before it.
    if (reset_frame_ > synced_frame_)
      return ok_status();
    while (segments_.size() > 1) {
      const std::uint64_t oldest = segments_.begin()->first;
      auto end = std::find_if(runs_.begin(), runs_.end(), [oldest](const Run& run) { return run.segment != oldest; });
      if (end != runs_.begin() && std::prev(end)->last >= index)
        break;
      if (end != runs_.begin()) {
        const Index last = std::prev(end)->last;
        base_ = {last, term_locked(last)};
      }
      runs_.erase(runs_.begin(), end);
      while (terms_.size() > 1 && terms_[1].first <= base_.index.next())
        terms_.erase(terms_.begin());
      unneeded.emplace_back(oldest, std::move(segments_.begin()->second));
      segments_.erase(segments_.begin());
    }
  }
  // Oldest first, and not synced: whatever part of it a crash undoes, the newest segments without a gap are the log.
  for (const auto& [sequence, file] : unneeded) {
    COFFER_ASSIGN(const std::uint64_t size, file->size());
    const std::lock_guard lock(mutex_);
    if (size == options_.segment_bytes && spares_.size() < limits::kLogSpareSegmentsMax) {
      COFFER_TRY(disk_.rename(segment_path(sequence), spare_path(sequence)));
      spares_.push_back(sequence);
    } else {
      COFFER_TRY(disk_.remove(segment_path(sequence)));
    }
  }
  return ok_status();
}

}  // namespace coffer::store
