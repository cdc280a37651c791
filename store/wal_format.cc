#include "store/wal_format.h"

#include "base/codec.h"
#include "base/crc32c.h"

namespace coffer::store {
namespace {

constexpr std::string_view kSegmentMagic = "COFRLOG1";
constexpr std::uint32_t kFrameMagic = 0x31464643;  // "CFF1"
constexpr std::size_t kFrameChecksumEnd = 8;
constexpr std::size_t kSegmentChecksumEnd = 12;
constexpr std::size_t kSegmentHeaderBytes = kSegmentChecksumEnd + 8 * 8;

std::size_t padded(std::size_t size) { return (size + kWalBlockBytes - 1) / kWalBlockBytes * kWalBlockBytes; }

void write_hard_state(ByteWriter& out, const HardState& state) {
  out.u64(state.term.get()).u64(state.voted_for).u64(state.commit.get()).u64(state.incarnation);
}

HardState read_hard_state(ByteReader& in) {
  HardState state;
  state.term = Term(in.u64());
  state.voted_for = in.u64();
  state.commit = Index(in.u64());
  state.incarnation = in.u64();
  return state;
}

bool same(const HardState& a, const HardState& b) {
  return a.term == b.term && a.voted_for == b.voted_for && a.commit == b.commit && a.incarnation == b.incarnation;
}

}  // namespace

bool operator==(const SegmentHeader& a, const SegmentHeader& b) {
  return a.sequence == b.sequence && a.first_frame == b.first_frame && a.last_index == b.last_index &&
         a.last_term == b.last_term && same(a.hard_state, b.hard_state);
}

std::string encode_segment_header(const SegmentHeader& header) {
  std::string block;
  ByteWriter out(block);
  out.raw(kSegmentMagic).u32(0);
  out.u64(header.sequence).u64(header.first_frame).u64(header.last_index.get()).u64(header.last_term.get());
  write_hard_state(out, header.hard_state);
  COFFER_CHECK(block.size() == kSegmentHeaderBytes);
  store_u32(block.data() + kSegmentMagic.size(), crc32c(std::string_view(block).substr(kSegmentChecksumEnd)));
  block.resize(kWalBlockBytes);
  return block;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view block) {
  if (block.size() < kSegmentHeaderBytes || !block.starts_with(kSegmentMagic))
    return std::nullopt;
  const std::string_view fields = block.substr(kSegmentChecksumEnd, kSegmentHeaderBytes - kSegmentChecksumEnd);
  if (load_u32(block.data() + kSegmentMagic.size()) != crc32c(fields))
    return std::nullopt;
  ByteReader in(fields);
  SegmentHeader header;
  header.sequence = in.u64();
  header.first_frame = in.u64();
  header.last_index = Index(in.u64());
  header.last_term = Term(in.u64());
  header.hard_state = read_hard_state(in);
  COFFER_CHECK(in.finish().ok());
  return header;
}

void encode_entry(std::string& body, const LogRecord& entry) {
  ByteWriter(body)
      .u8(static_cast<std::uint8_t>(WalKind::kEntry))
      .varint(entry.index.get())
      .varint(entry.term.get())
      .u8(entry.kind)
      .bytes(*entry.payload);
}

void encode_hard_state(std::string& body, const HardState& state) {
  ByteWriter out(body);
  out.u8(static_cast<std::uint8_t>(WalKind::kHardState));
  write_hard_state(out, state);
}

void encode_truncate(std::string& body, Index from, Term term_before) {
  ByteWriter(body).u8(static_cast<std::uint8_t>(WalKind::kTruncate)).varint(from.get()).varint(term_before.get());
}

void encode_reset(std::string& body, Index index, Term term) {
  ByteWriter(body).u8(static_cast<std::uint8_t>(WalKind::kReset)).varint(index.get()).varint(term.get());
}

void finish_frame(std::string& frame, const FrameHead& head) {
  COFFER_CHECK(frame.size() >= kFrameHeadBytes);
  std::string bytes;
  ByteWriter(bytes)
      .u32(kFrameMagic)
      .u32(0)
      .u64(head.sequence)
      .u64(head.number)
      .u64(head.offset)
      .u32(static_cast<std::uint32_t>(frame.size() - kFrameHeadBytes))
      .u32(head.records);
  COFFER_CHECK(bytes.size() == kFrameHeadBytes);
  frame.replace(0, kFrameHeadBytes, bytes);
  store_u32(frame.data() + 4, crc32c(std::string_view(frame).substr(kFrameChecksumEnd)));
  frame.resize(padded(frame.size()));
}

std::size_t frame_size(std::string_view head, std::size_t room) noexcept {
  if (head.size() < kFrameHeadBytes || load_u32(head.data()) != kFrameMagic)
    return 0;
  const std::size_t size = padded(kFrameHeadBytes + std::size_t{load_u32(head.data() + 32)});
  return size <= room ? size : 0;
}

std::optional<Frame> decode_frame(std::string_view bytes) {
  const std::size_t size = frame_size(bytes, bytes.size());
  if (size == 0)
    return std::nullopt;
  ByteReader in(bytes.substr(kFrameChecksumEnd));
  Frame frame;
  frame.size = size;
  frame.head.sequence = in.u64();
  frame.head.number = in.u64();
  frame.head.offset = in.u64();
  const std::uint32_t body_bytes = in.u32();
  frame.head.records = in.u32();
  frame.body = bytes.substr(kFrameHeadBytes, body_bytes);
  const std::string_view guarded = bytes.substr(kFrameChecksumEnd, kFrameHeadBytes - kFrameChecksumEnd + body_bytes);
  if (load_u32(bytes.data() + 4) != crc32c(guarded))
    return std::nullopt;
  return frame;
}

Result<std::vector<WalRecord>> decode_records(std::string_view body, std::uint32_t records) {
  std::vector<WalRecord> decoded;
  ByteReader in(body);
  for (std::uint32_t i = 0; i < records && in.ok(); ++i) {
    WalRecord record;
    record.kind = static_cast<WalKind>(in.u8());
    switch (record.kind) {
      case WalKind::kEntry:
        record.entry.index = Index(in.varint());
        record.entry.term = Term(in.varint());
        record.entry.kind = in.u8();
        record.entry.payload = std::make_shared<const std::string>(in.bytes());
        break;
      case WalKind::kHardState:
        record.hard_state = read_hard_state(in);
        break;
      case WalKind::kTruncate:
      case WalKind::kReset:
        record.index = Index(in.varint());
        record.term = Term(in.varint());
        break;
      default:
        return Status(Code::kDataLoss, "a log record is of an unknown kind");
    }
    decoded.push_back(std::move(record));
  }
  COFFER_TRY(in.finish());
  return decoded;
}

}  // namespace coffer::store
