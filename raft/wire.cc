#include "raft/wire.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "base/codec.h"
#include "raft/entry.h"

namespace coffer::raft {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kReject = 1, kForce = 2, kCatchingUp = 4, kStagedFlag = 8, kAllFlags = 15;
constexpr std::size_t kHeadBytesMax = 256;     // everything but entries and snapshot
constexpr std::size_t kEntryHeadBytesMax = 21;  // term, kind, length of the payload
constexpr std::size_t kEntryBytesMin = 3;
constexpr std::size_t kSnapshotBytesMax = 64 + 8 * (kVotersMax + kLearnersMax);

Status malformed(const char* what) { return Status(Code::kInvalid, std::string("raft message: ") + what); }

std::uint64_t bits_of(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime time_of(std::uint64_t bits) { return WallTime(Nanos(static_cast<std::int64_t>(bits))); }

void encode_snapshot(const SnapshotMeta& meta, ByteWriter& out) {
  const std::string configuration = encode_configuration(meta.configuration);
  out.varint(meta.index.get()).varint(meta.term.get()).u64(bits_of(meta.time));
  out.bytes(std::string_view(configuration).substr(kEntryHeaderBytes));
}

Status decode_snapshot(ByteReader& in, Message& message) {
  auto meta = std::make_shared<SnapshotMeta>();
  meta->index = Index(in.varint());
  meta->term = Term(in.varint());
  meta->time = time_of(in.u64());
  const std::string_view body = in.bytes();
  if (!in.ok())
    return malformed("cut short in its snapshot");
  auto configuration = decode_configuration(body);
  if (!configuration.ok())
    return malformed("its snapshot's configuration is malformed");
  meta->configuration = std::move(configuration).value();
  message.snapshot = std::move(meta);
  return ok_status();
}

Status decode_entries(ByteReader& in, Message& message) {
  const std::uint64_t count = in.varint();
  if (count > kMessageEntriesMax || count > in.left() / kEntryBytesMin)
    return malformed("it claims more entries than it has");
  if (count != 0 && message.kind != MessageKind::kAppend)
    return malformed("entries in a kind that has none");
  message.entries.reserve(static_cast<std::size_t>(count));
  Index index = message.index;
  Term before = message.log_term;
  for (std::uint64_t i = 0; i < count; ++i) {
    store::LogRecord entry;
    if (index.get() == ~std::uint64_t{0})
      return malformed("indexes that wrap around");
    entry.index = index = index.next();
    entry.term = Term(in.varint());
    entry.kind = in.u8();
    const std::string_view payload = in.bytes();
    if (!in.ok())
      return malformed("cut short in its entries");
    if (entry.term < before || entry.term > message.term)
      return malformed("terms of entries out of order");
    if (entry.kind > static_cast<std::uint8_t>(kEntryKindMax) || payload.size() < kEntryHeaderBytes)
      return malformed("an entry of no known kind");
    before = entry.term;
    entry.payload = std::make_shared<const std::string>(payload);
    message.entries.push_back(std::move(entry));
  }
  return ok_status();
}

void decode_head(ByteReader& in, std::uint8_t flags, Message& message) {
  message.reject = (flags & kReject) != 0;
  message.force = (flags & kForce) != 0;
  message.catching_up = (flags & kCatchingUp) != 0;
  message.staged = (flags & kStagedFlag) != 0;
  message.from = NodeId(in.u64());
  message.to = NodeId(in.u64());
  message.term = Term(in.varint());
  message.index = Index(in.varint());
  message.log_term = Term(in.varint());
  message.commit = Index(in.varint());
  message.hint = Index(in.varint());
  message.hint_term = Term(in.varint());
  message.catch_up_to = Index(in.varint());
  message.round = in.varint();
  message.context = in.varint();
  message.incarnation = in.varint();
  message.time = time_of(in.u64());
}

}  // namespace

std::size_t encoded_bytes_max(const Message& message) {
  std::size_t bytes = kHeadBytesMax + (message.snapshot != nullptr ? kSnapshotBytesMax : 0);
  for (const store::LogRecord& entry : message.entries)
    bytes += kEntryHeadBytesMax + entry.payload->size();
  return bytes;
}

void encode_message(const Message& message, std::string& out) {
  COFFER_CHECK(message.from != kNobody && message.to != kNobody);
  COFFER_CHECK((message.kind == MessageKind::kSnapshot) == (message.snapshot != nullptr));
  COFFER_CHECK(message.entries.size() <= kMessageEntriesMax);
  ByteWriter w(out);
  const auto flags = static_cast<std::uint8_t>((message.reject ? kReject : 0) | (message.force ? kForce : 0) |
                                               (message.catching_up ? kCatchingUp : 0) |
                                               (message.staged ? kStagedFlag : 0));
  w.u8(kVersion).u8(static_cast<std::uint8_t>(message.kind)).u8(flags);
  w.u64(message.from.get()).u64(message.to.get());
  w.varint(message.term.get()).varint(message.index.get()).varint(message.log_term.get());
  w.varint(message.commit.get()).varint(message.hint.get()).varint(message.hint_term.get());
  w.varint(message.catch_up_to.get()).varint(message.round).varint(message.context).varint(message.incarnation);
  w.u64(bits_of(message.time));
  if (message.snapshot != nullptr)
    encode_snapshot(*message.snapshot, w);
  w.varint(message.entries.size());
  Index index = message.index;
  for (const store::LogRecord& entry : message.entries) {
    COFFER_CHECK(entry.index == index.next());
    index = entry.index;
    w.varint(entry.term.get()).u8(entry.kind).bytes(*entry.payload);
  }
}

Result<Message> decode_message(std::string_view bytes) {
  if (bytes.size() > kMessageBytesMax)
    return malformed("too long");
  ByteReader in(bytes);
  if (in.u8() != kVersion)
    return malformed("of an unknown version");
  const std::uint8_t kind = in.u8();
  const std::uint8_t flags = in.u8();
  if (kind > static_cast<std::uint8_t>(MessageKind::kStaged) || (flags & ~kAllFlags) != 0)
    return malformed("of an unknown kind");
  Message message;
  message.kind = static_cast<MessageKind>(kind);
  decode_head(in, flags, message);
  if (!in.ok())
    return malformed("cut short");
  if (message.from == kNobody || message.to == kNobody)
    return malformed("from or to nobody");
  if (message.staged && message.kind != MessageKind::kSnapshot)
    return malformed("of a kind that is never staged");
  if (message.kind == MessageKind::kSnapshot)
    COFFER_TRY(decode_snapshot(in, message));
  COFFER_TRY(decode_entries(in, message));
  if (!in.finish().ok())
    return malformed("cut short, or with bytes left over");
  return message;
}

}  // namespace coffer::raft
