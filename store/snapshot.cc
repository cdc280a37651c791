#include "store/snapshot.h"

#include "base/codec.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "store/key.h"
#include "store/load_thread.h"
#include "store/overlay.h"

namespace coffer::store {
namespace {

constexpr std::string_view kMagic = "COFRSNP1";
constexpr std::uint8_t kHeaderChunk = 1;
constexpr std::uint8_t kRecordsChunk = 2;
constexpr std::uint8_t kEndChunk = 3;
constexpr std::size_t kChunkHeadBytes = 9;  // length, checksum, kind

std::uint32_t chunk_checksum(std::uint32_t number, std::string_view kind_and_body) {
  return crc32c(kind_and_body, number);
}

}  // namespace

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::begin(File& out, const SnapshotMeta& meta) {
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(out, meta.hash_key));
  COFFER_TRY(out.write_at(0, kMagic));
  writer->offset_ = kMagic.size();
  std::string body;
  ByteWriter(body)
      .u64(meta.applied.get())
      .u64(meta.term.get())
      .raw({reinterpret_cast<const char*>(meta.hash_key.data()), meta.hash_key.size()})
      .bytes(meta.extra);
  COFFER_TRY(writer->write_chunk(kHeaderChunk, body));
  return writer;
}

Status SnapshotWriter::write_chunk(std::uint8_t kind, std::string_view body) {
  std::string chunk;
  chunk.reserve(kChunkHeadBytes + body.size());
  ByteWriter(chunk).u32(static_cast<std::uint32_t>(body.size())).u32(0).u8(kind).raw(body);
  store_u32(chunk.data() + 4, chunk_checksum(chunk_++, std::string_view(chunk).substr(8)));
  COFFER_TRY(out_.write_at(offset_, chunk));
  offset_ += chunk.size();
  return ok_status();
}

Status SnapshotWriter::add(std::string_view key, std::string_view value) {
  ByteWriter(body_).bytes(key).bytes(value);
  hash_.add(key, value);
  ++records_;
  if (body_.size() < limits::kSnapshotChunkBytes)
    return ok_status();
  const Status status = write_chunk(kRecordsChunk, body_);
  body_.clear();
  return status;
}

Status SnapshotWriter::finish() {
  if (!body_.empty())
    COFFER_TRY(write_chunk(kRecordsChunk, body_));
  std::string end;
  ByteWriter(end).u64(records_).u64(hash_.sum().low).u64(hash_.sum().high);
  return write_chunk(kEndChunk, end);
}

Status write_snapshot(const View& view, SnapshotMeta meta, File& out) {
  meta.applied = view.index();
  COFFER_ASSIGN(const auto writer, SnapshotWriter::begin(out, meta));
  COFFER_ASSIGN(const auto cursor, view.cursor());
  COFFER_ASSIGN(bool more, cursor->seek({}));
  while (more) {
    COFFER_TRY(writer->add(cursor->key(), cursor->value()));
    COFFER_ASSIGN(more, cursor->next());
  }
  return writer->finish();
}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(std::unique_ptr<File> file, std::string name) {
  std::unique_ptr<SnapshotReader> reader(new SnapshotReader(std::move(file), std::move(name)));
  COFFER_TRY(reader->read_header());
  return reader;
}

Status SnapshotReader::damaged(std::string_view what) const {
  return Status(Code::kDataLoss, "snapshot " + name_ + " is damaged at offset " + std::to_string(offset_) + " (" +
                                     std::string(what) + "): use another one");
}

Result<std::uint8_t> SnapshotReader::read_chunk() {
  std::string head(kChunkHeadBytes, '\0');
  COFFER_ASSIGN(const std::size_t head_got, file_->read_at(offset_, head));
  if (head_got != head.size())
    return damaged("it ends too early");
  const std::size_t size = load_u32(head.data());
  if (size > limits::kSnapshotChunkBytesMax)
    return damaged("a chunk is too long");
  chunk_bytes_.resize(1 + size);
  COFFER_ASSIGN(const std::size_t got, file_->read_at(offset_ + kChunkHeadBytes - 1, chunk_bytes_));
  if (got != chunk_bytes_.size() || load_u32(head.data() + 4) != chunk_checksum(chunk_, chunk_bytes_))
    return damaged("a chunk does not fit its checksum");
  ++chunk_;
  offset_ += kChunkHeadBytes + size;
  body_ = std::string_view(chunk_bytes_).substr(1);
  return static_cast<std::uint8_t>(chunk_bytes_[0]);
}

Status SnapshotReader::read_header() {
  std::string magic(kMagic.size(), '\0');
  COFFER_ASSIGN(const std::size_t got, file_->read_at(0, magic));
  if (got != magic.size() || magic != kMagic)
    return damaged("it does not begin as a snapshot does");
  offset_ = kMagic.size();
  COFFER_ASSIGN(const std::uint8_t kind, read_chunk());
  ByteReader in(body_);
  meta_.applied = Index(in.u64());
  meta_.term = Term(in.u64());
  const std::string_view hash_key = in.raw(meta_.hash_key.size());
  meta_.extra = in.bytes();
  if (kind != kHeaderChunk || !in.finish().ok())
    return damaged("its header is malformed");
  std::copy(hash_key.begin(), hash_key.end(), meta_.hash_key.begin());
  hash_ = SetHash(meta_.hash_key);
  body_ = {};
  return ok_status();
}

Status SnapshotReader::check_end() const {
  ByteReader in(body_);
  const std::uint64_t records = in.u64();
  Hash128 sum;
  sum.low = in.u64();
  sum.high = in.u64();
  if (!in.finish().ok() || records != records_ || sum != hash_.sum())
    return damaged("its records do not add up");
  char behind = 0;
  COFFER_ASSIGN(const std::size_t more, file_->read_at(offset_, {&behind, 1}));
  return more == 0 ? ok_status() : damaged("something follows its end");
}

Result<bool> SnapshotReader::next() {
  if (ended_)
    return false;
  if (body_.empty()) {
    last_key_ = key_;
    key_ = last_key_;
    COFFER_ASSIGN(const std::uint8_t kind, read_chunk());
    if (kind == kEndChunk) {
      COFFER_TRY(check_end());
      ended_ = true;
      return false;
    }
    if (kind != kRecordsChunk || body_.empty())
      return damaged("a chunk of another kind stands where records should");
  }
  ByteReader in(body_);
  const std::string_view key = in.bytes();
  const std::string_view value = in.bytes();
  if (!in.ok() || !parse_key(key).ok())
    return damaged("a record is malformed");
  if (key <= key_)
    return damaged("its records are out of order");
  body_ = in.raw(in.left());
  key_ = key;
  value_ = value;
  hash_.add(key, value);
  ++records_;
  if (seen_)
    seen_(key, value);
  return true;
}

namespace {

Status load(LmdbState& state, SnapshotReader& snapshot) {
  LoadThread into(state);
  COFFER_TRY(into.begin());
  while (true) {
    COFFER_ASSIGN(const bool more, snapshot.next());
    if (!more)
      return into.finish(snapshot.set_hash());
    COFFER_TRY(into.put(snapshot.key(), snapshot.value()));
  }
}

}  // namespace

Result<LoadedState> load_snapshot(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                  RandomSource& random, SnapshotReader& snapshot) {
  LoadedState loaded;
  COFFER_ASSIGN(loaded.name, next_state_file(disk, folder));
  COFFER_ASSIGN(loaded.state,
                LmdbState::create(folder + "/" + loaded.name, options, random, snapshot.meta().hash_key));
  if (const Status status = load(*loaded.state, snapshot); !status.ok()) {
    loaded.state.reset();
    COFFER_TRY(disk.remove(folder + "/" + loaded.name));
    return status;
  }
  COFFER_TRY(disk.sync_folder(folder));
  return loaded;
}

Result<std::unique_ptr<LmdbState>> install_snapshot(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                                    RandomSource& random, SnapshotReader& snapshot) {
  COFFER_ASSIGN(LoadedState loaded, load_snapshot(disk, folder, options, random, snapshot));
  COFFER_TRY(loaded.state->commit(Generation(), snapshot.meta().applied));
  COFFER_TRY(write_current(disk, folder, loaded.name));
  return std::move(loaded.state);
}

}  // namespace coffer::store
