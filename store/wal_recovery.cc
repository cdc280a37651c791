#include "store/wal_recovery.h"

#include <charconv>
#include <cstdio>

namespace coffer::store {
namespace {

constexpr std::string_view kSegmentPrefix = "log-";
constexpr std::string_view kSparePrefix = "spare-";
constexpr std::string_view kSuffix = ".seg";
constexpr Index kIndexMax{std::uint64_t{1} << 62};

std::string file_name(std::string_view prefix, std::uint64_t sequence) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sequence));
  return std::string(prefix) + digits + std::string(kSuffix);
}

std::optional<std::uint64_t> file_number(std::string_view prefix, const std::string& name) {
  if (!name.starts_with(prefix) || !name.ends_with(kSuffix) || name.size() <= prefix.size() + kSuffix.size())
    return std::nullopt;
  std::uint64_t number = 0;
  const char* end = name.data() + name.size() - kSuffix.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, number, 16);
  if (error != std::errc() || stop != end || number == 0 || file_name(prefix, number) != name)
    return std::nullopt;
  return number;
}

}  // namespace

std::string wal_segment_name(std::uint64_t sequence) { return file_name(kSegmentPrefix, sequence); }
std::optional<std::uint64_t> wal_segment_number(const std::string& name) { return file_number(kSegmentPrefix, name); }
std::string wal_spare_name(std::uint64_t sequence) { return file_name(kSparePrefix, sequence); }
std::optional<std::uint64_t> wal_spare_number(const std::string& name) { return file_number(kSparePrefix, name); }

Status WalRecovery::run() {
  COFFER_ASSIGN(const auto sequences, find_segments());
  if (sequences.empty() && log_.options_.must_exist)
    return Status(Code::kDataLoss, "log folder " + log_.folder_ +
                                       " has no log in it, but there is a state beside it: put back a backup of the "
                                       "whole data folder (docs/operations.md)");
  for (std::size_t i = 0; i < sequences.size(); ++i)
    COFFER_TRY(read_segment(sequences[i], i == 0, i + 1 == sequences.size()));
  log_.described_ = log_.describe_locked();
  log_.synced_frame_ = log_.next_frame_ - 1;
  // What was found may so far be in the page cache only. From here on it is acted upon, so it must be durable.
  if (log_.tail_ != nullptr) {
    COFFER_TRY(rewrite_last());
    COFFER_TRY(log_.tail_->sync_data());
  }
  COFFER_TRY(log_.disk_.sync_folder(log_.folder_));
  if (log_.hard_state_.commit > log_.last_locked().index)
    return log_.damaged(log_.tail_segment_, log_.tail_offset_,
                        "records up to " + std::to_string(log_.hard_state_.commit.get()) +
                            " were committed, but it ends at " + std::to_string(log_.last_locked().index.get()));
  return ok_status();
}

// The newest segments without a gap. Removals go from the oldest on and are not synced one by one, so a crash may bring
// back a segment older than a removed one.
Result<std::vector<std::uint64_t>> WalRecovery::find_segments() {
  COFFER_ASSIGN(const auto names, log_.disk_.list(log_.folder_));
  std::vector<std::uint64_t> sequences;
  for (const std::string& name : names) {
    if (const auto spare = wal_spare_number(name))
      COFFER_TRY(adopt_spare(*spare));
    const auto number = wal_segment_number(name);
    if (!number)
      continue;
    if (!sequences.empty() && *number != sequences.back() + 1) {
      for (const std::uint64_t older : sequences)
        COFFER_TRY(log_.disk_.remove(log_.segment_path(older)));
      sequences.clear();
    }
    sequences.push_back(*number);
  }
  return sequences;
}

Status WalRecovery::read_segment(std::uint64_t sequence, bool oldest, bool newest) {
  COFFER_ASSIGN(std::shared_ptr<File> file, log_.disk_.open(log_.segment_path(sequence), OpenMode::kReadWrite));
  file_ = file.get();
  COFFER_ASSIGN(file_size_, file->size());
  std::string bytes(kWalBlockBytes, '\0');
  COFFER_ASSIGN(const std::size_t got, file->read_at(0, bytes));
  const auto header = decode_segment_header(std::string_view(bytes).substr(0, got));
  if (!header || header->sequence != sequence) {
    COFFER_TRY(check_torn(sequence, 0));
    if (newest)
      COFFER_TRY(check_unfinished(sequence, std::string_view(bytes).substr(0, got)));
    // A later segment would have been begun only after this one was whole.
    return newest ? forget_unfinished(sequence) : log_.damaged(sequence, 0, "its header does not fit its checksum");
  }
  COFFER_TRY(check_header(*header, sequence, oldest));
  header_ = *header;
  frames_ = 0;
  std::uint64_t offset = kWalBlockBytes;
  while (true) {
    COFFER_ASSIGN(const auto frame, read_frame(offset, bytes));
    if (!frame || !frame->belongs_at(sequence, offset) || frame->head.number != log_.next_frame_)
      break;
    COFFER_TRY(replay(*frame));
    ++log_.next_frame_;
    offset += frame->size;
    last_frame_.swap(bytes);
    ++frames_;
  }
  // In an older segment a missing frame shows in the next one's header, which says the number of its first.
  if (newest)
    COFFER_TRY(check_torn(sequence, offset));
  log_.tail_ = file;
  log_.tail_segment_ = sequence;
  log_.tail_offset_ = offset;
  log_.tail_size_ = file_size_;
  log_.segments_.emplace(sequence, std::move(file));
  return ok_status();
}

Status WalRecovery::check_header(const SegmentHeader& header, std::uint64_t sequence, bool oldest) {
  if (oldest) {
    log_.next_frame_ = header.first_frame;
    log_.base_ = {header.last_index, header.last_term};
    log_.hard_state_ = header.hard_state;
    return ok_status();
  }
  SegmentHeader expected = log_.describe_locked();
  expected.sequence = sequence;
  expected.first_frame = log_.next_frame_;
  if (header == expected)
    return ok_status();
  return log_.damaged(log_.tail_segment_, log_.tail_offset_, "the segment after it goes on from another record");
}

Result<std::optional<Frame>> WalRecovery::read_frame(std::uint64_t offset, std::string& bytes) {
  if (offset + kFrameHeadBytes > file_size_)
    return std::optional<Frame>();
  bytes.resize(kFrameHeadBytes);
  COFFER_ASSIGN(const std::size_t head_got, file_->read_at(offset, bytes));
  const std::size_t size = frame_size(std::string_view(bytes).substr(0, head_got), file_size_ - offset);
  if (size == 0)
    return std::optional<Frame>();
  bytes.resize(size);
  COFFER_ASSIGN(const std::size_t got, file_->read_at(offset, bytes));
  return decode_frame(std::string_view(bytes).substr(0, got));
}

// What a crash leaves of the last frame is never a whole frame: not at its place, not behind it.
Status WalRecovery::check_torn(std::uint64_t sequence, std::uint64_t bad) {
  std::string bytes;
  for (std::uint64_t offset = bad; offset < file_size_; offset += kWalBlockBytes) {
    COFFER_ASSIGN(const auto frame, read_frame(offset, bytes));
    if (!frame)
      continue;
    // A file that was used before still shows frames of its older sequence.
    if (frame->head.sequence != sequence)
      continue;
    if (offset == bad)
      return log_.damaged(sequence, bad, "a frame of another place stands there");
    if (!frame->belongs_at(sequence, offset))
      continue;
    if (bad > 0)
      return log_.damaged(sequence, bad, "a good frame follows");
    // The header is synced with the first frame; of the two a crash may leave the frame alone.
    if (frame->head.number > log_.next_frame_)
      return log_.damaged(sequence, 0, "its header does not fit its checksum");
  }
  return ok_status();
}

// A write of the header replaces its sector or does not: a crash leaves zeros, or the header of an older segment. With
// anything else there, a whole first frame was synced together with a header that was whole then.
Status WalRecovery::check_unfinished(std::uint64_t sequence, std::string_view block) {
  const auto header = decode_segment_header(block);
  if ((header && header->sequence < sequence) || block.find_first_not_of('\0') == std::string_view::npos)
    return ok_status();
  std::string bytes;
  COFFER_ASSIGN(const auto frame, read_frame(kWalBlockBytes, bytes));
  if (frame && frame->belongs_at(sequence, kWalBlockBytes) && frame->head.number == log_.next_frame_)
    return log_.damaged(sequence, 0, "its header does not fit its checksum, and its first frame is whole");
  return ok_status();
}

// After a sync that failed, the system takes the pages for clean: a restart reads them and its sync succeeds, yet
// nothing is written. So what no finished sync may cover is written once more: the last frame, and the header when
// nothing was synced after it. The bytes are the same, so a crash in between harms nothing.
Status WalRecovery::rewrite_last() {
  if (frames_ <= 1)
    COFFER_TRY(log_.tail_->write_at(0, encode_segment_header(header_)));
  if (frames_ == 0)
    return ok_status();
  return log_.tail_->write_at(log_.tail_offset_ - last_frame_.size(), last_frame_);
}

Status WalRecovery::adopt_spare(std::uint64_t sequence) {
  const std::string path = log_.spare_path(sequence);
  std::uint64_t size = 0;
  {
    COFFER_ASSIGN(const auto file, log_.disk_.open(path, OpenMode::kRead));
    COFFER_ASSIGN(size, file->size());
  }
  if (size != log_.options_.segment_bytes || log_.spares_.size() >= limits::kLogSpareSegmentsMax)
    return log_.disk_.remove(path);
  log_.spares_.push_back(sequence);
  return ok_status();
}

// Its first frame was never synced, nor its name: as if it had not been begun.
Status WalRecovery::forget_unfinished(std::uint64_t sequence) { return log_.disk_.remove(log_.segment_path(sequence)); }

Status WalRecovery::replay(const Frame& frame) {
  auto records = decode_records(frame.body, frame.head.records);
  if (!records.ok())
    return log_.damaged(frame.head.sequence, frame.head.offset, records.status().message());
  WriteAheadLog::Run run{Index(), Index(), frame.head.sequence, frame.head.offset, frame.size};
  for (const WalRecord& record : *records) {
    switch (record.kind) {
      case WalKind::kEntry:
        COFFER_TRY(replay_entry(record.entry, frame, run));
        break;
      case WalKind::kHardState:
        log_.hard_state_ = record.hard_state;
        break;
      case WalKind::kReset:
        if (record.index > kIndexMax)
          return log_.damaged(frame.head.sequence, frame.head.offset, "a reset goes beyond every index");
        log_.clear_locked({record.index, record.term});
        run.first = run.last = Index();
        break;
      case WalKind::kTruncate:
        if (record.index == Index(0))
          return log_.damaged(frame.head.sequence, frame.head.offset, "a truncation begins before every index");
        if (run.first != Index()) {
          log_.runs_.push_back(run);
          run.first = run.last = Index();
        }
        log_.drop_from_locked(record.index);
        if (record.index <= log_.base_.index)
          log_.base_ = {Index(record.index.get() - 1), record.term};
        break;
    }
  }
  if (run.first != Index())
    log_.runs_.push_back(run);
  return ok_status();
}

Status WalRecovery::replay_entry(const LogRecord& entry, const Frame& frame, WriteAheadLog::Run& run) {
  // The run in progress is not in runs_ yet, so the last record may be its.
  const Index last_index = run.first != Index() ? run.last : log_.last_locked().index;
  const Term last_term = log_.terms_.empty() ? log_.base_.term : log_.terms_.back().term;
  if (entry.index != last_index.next() || entry.term < last_term)
    return log_.damaged(frame.head.sequence, frame.head.offset,
                        "record " + std::to_string(entry.index.get()) + " follows " + std::to_string(last_index.get()));
  log_.note_term_locked(entry.index, entry.term);
  if (run.first == Index())
    run.first = entry.index;
  run.last = entry.index;
  return ok_status();
}

}  // namespace coffer::store
