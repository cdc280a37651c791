// module: store/wal_format.cc store/wal_format.h store/wal_recovery.cc
// Log segments from anywhere: decoding them frame by frame neither crashes nor believes what does not fit its checksum,
// and what is decoded is encoded to the same bytes again. A second way in treats the bytes as a body whose checksum
// already fitted.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/model_disk.h"
#include "store/wal.h"
#include "store/wal_recovery.h"

namespace {

using namespace coffer;         // NOLINT
using namespace coffer::store;  // NOLINT

std::string encode(const std::vector<WalRecord>& records) {
  std::string body;
  for (const WalRecord& record : records) {
    switch (record.kind) {
      case WalKind::kEntry: encode_entry(body, record.entry); break;
      case WalKind::kHardState: encode_hard_state(body, record.hard_state); break;
      case WalKind::kTruncate: encode_truncate(body, record.index, record.term); break;
      case WalKind::kReset: encode_reset(body, record.index, record.term); break;
    }
  }
  return body;
}

void require(bool holds) {
  if (!holds)
    std::abort();
}

void decode_body(std::string_view body) {
  for (std::uint32_t records = 0; records < 8; ++records) {
    const auto decoded = decode_records(body, records);
    if (decoded.ok())
      require(encode(*decoded) == body);
  }
}

// The bytes as the body of a good frame, in a good segment, through the whole of recovery: refused, or a log that can
// be read and appended to.
void recover(std::string_view body, std::uint32_t records) {
  ModelDisk disk(1);
  {
    const auto file = std::move(*disk.open("/log/" + wal_segment_name(1), OpenMode::kCreateNew));
    SegmentHeader header;
    header.sequence = 1;
    header.first_frame = 1;
    std::string frame(kFrameHeadBytes, '\0');
    frame += body;
    finish_frame(frame, {1, 1, kWalBlockBytes, records});
    require(file->write_at(0, encode_segment_header(header)).ok() && file->write_at(kWalBlockBytes, frame).ok());
  }
  const auto log = WriteAheadLog::open(disk, "/log", {.segment_bytes = 64u << 10});
  if (!log.ok())
    return;
  const Index first = (*log)->first_index(), last = (*log)->last_index();
  if (first <= last)
    require((*log)->read(first, last, SIZE_MAX).ok());
  require((*log)->term_at(last).ok());
  if (last.get() == UINT64_MAX)
    return;
  const LogRecord next{last.next(), Term(UINT64_MAX), 0, std::make_shared<const std::string>("next")};
  require((*log)->append(std::vector<LogRecord>{next}).ok() && (*log)->sync().ok());
}

void decode_file(std::string_view bytes) {
  (void)decode_segment_header(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 512) {
    if (const auto frame = decode_frame(bytes.substr(at)))
      decode_body(frame->body);
  }
  ModelDisk disk(1);
  const auto file = std::move(*disk.open("/log/" + wal_segment_name(1), OpenMode::kCreateNew));
  require(file->write_at(0, bytes).ok());
  (void)WriteAheadLog::open(disk, "/log", {.segment_bytes = 64u << 10});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.empty())
    return 0;
  const auto selector = static_cast<unsigned char>(bytes[0]);
  if (selector == 0) {
    decode_file(bytes.substr(1));
  } else {
    decode_body(bytes.substr(1));
    recover(bytes.substr(1), selector);
  }
  return 0;
}
