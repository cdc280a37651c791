#include "store/archive.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/codec.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/time_text.h"
#include "crypto/sha256.h"

namespace coffer::store {
namespace {

constexpr std::string_view kMetaName = "meta.json";
constexpr std::string_view kStateName = "state.bin";
constexpr std::string_view kSumsName = "SHA256SUMS";
constexpr std::string_view kSealedName = "SHA256SUMS.sealed";
constexpr std::array<std::string_view, 4> kMembers = {kMetaName, kStateName, kSumsName, kSealedName};
constexpr std::size_t kStateMember = 1;
constexpr std::size_t kSmallMemberBytesMax = 64u << 10;  // of all but the state

constexpr std::size_t kTarBlockBytes = 512;
constexpr std::size_t kTarEndBytes = 2 * kTarBlockBytes;
constexpr std::size_t kTarNameBytes = 100;
constexpr std::size_t kTarSizeAt = 124;
constexpr std::size_t kTarSizeBytes = 12;
constexpr std::size_t kTarTimeAt = 136;
constexpr std::size_t kTarSumAt = 148;
constexpr std::size_t kTarSumBytes = 8;
constexpr std::size_t kTarKindAt = 156;
constexpr std::uint64_t kTarOctalBytesMax = (std::uint64_t{1} << 33) - 1;  // eleven octal digits
constexpr std::size_t kTarPaddingBytesMax = 64u << 10;  // zeros behind the last member: tar fills its records

constexpr std::size_t kStoredBytesMax = 65535;  // one stored block of gzip
constexpr std::size_t kInflatedBytes = 64u << 10;
constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for gzip's head and tail

std::string_view text_of(const crypto::Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string sum_line(const crypto::Digest256& digest, std::string_view name) {
  return hex_encode(text_of(digest)).append("  ").append(name).append("\n");
}

std::size_t padding_of(std::uint64_t size) {
  return static_cast<std::size_t>((kTarBlockBytes - size % kTarBlockBytes) % kTarBlockBytes);
}

// As if the field of the sum held spaces.
unsigned tar_sum(std::string_view head) {
  unsigned sum = ' ' * kTarSumBytes;
  for (std::size_t i = 0; i < head.size(); ++i)
    if (i < kTarSumAt || i >= kTarSumAt + kTarSumBytes)
      sum += static_cast<unsigned char>(head[i]);
  return sum;
}

std::string tar_head(std::string_view name, std::uint64_t size, std::int64_t seconds) {
  std::string head(kTarBlockBytes, '\0');
  const auto put = [&head](std::size_t at, std::string_view text) { text.copy(head.data() + at, text.size()); };
  char number[24];
  put(0, name);
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  if (size <= kTarOctalBytesMax) {
    std::snprintf(number, sizeof number, "%011llo", static_cast<unsigned long long>(size));
    put(kTarSizeAt, number);
  } else {
    head[kTarSizeAt] = '\x80';  // in base 256, as GNU tar does it
    std::string big;
    ByteWriter(big).u64_be(size);
    put(kTarSizeAt + kTarSizeBytes - big.size(), big);
  }
  std::snprintf(number, sizeof number, "%011llo", static_cast<unsigned long long>(std::max<std::int64_t>(seconds, 0)));
  put(kTarTimeAt, number);
  head[kTarKindAt] = '0';
  put(257, "ustar");
  put(263, "00");
  std::snprintf(number, sizeof number, "%06o", tar_sum(head));
  put(kTarSumAt, number);
  head[kTarSumAt + kTarSumBytes - 1] = ' ';
  return head;
}

std::optional<std::uint64_t> octal(std::string_view field) {
  while (!field.empty() && (field.back() == ' ' || field.back() == '\0'))
    field.remove_suffix(1);
  while (!field.empty() && field.front() == ' ')
    field.remove_prefix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (error != std::errc() || end != field.data() + field.size())
    return std::nullopt;
  return value;
}

std::optional<std::uint64_t> tar_size(std::string_view head) {
  const std::string_view field = head.substr(kTarSizeAt, kTarSizeBytes);
  if (field.front() != '\x80')
    return octal(field);
  if (field.substr(1, kTarSizeBytes - 9).find_first_not_of('\0') != std::string_view::npos)
    return std::nullopt;
  return ByteReader(field.substr(kTarSizeBytes - 8)).u64_be();
}

Status bad(std::string_view what) {
  return Status(Code::kInvalid, "the snapshot is damaged or is none: " + std::string(what));
}

// "1.21" of "1.21.0+coffer".
std::optional<std::pair<unsigned, unsigned>> major_minor(std::string_view version) {
  unsigned major = 0;
  unsigned minor = 0;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.')
    return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  if (second.ec != std::errc() || (second.ptr != end && *second.ptr != '.'))
    return std::nullopt;
  return std::pair(major, minor);
}

}  // namespace

std::string encode_archive_meta(const ArchiveMeta& meta) {
  json::Arena arena;
  json::ObjectBuilder out(arena, 9);
  out.add("Version", meta.version)
      .add("ID", meta.id)
      .add("Index", meta.index.get())
      .add("Term", meta.term.get())
      .add("Size", meta.state_bytes)
      .add("Created", format_time(meta.created))
      .add("ServerVersion", meta.server_version)
      .add("ClusterName", meta.cluster_name)
      .add("ClusterID", meta.cluster_id);
  std::string text;
  json::write_pretty(out.build(), text);
  return text + "\n";
}

Result<ArchiveMeta> decode_archive_meta(std::string_view text) {
  const Result<json::Document> document = json::Document::parse(text);
  if (!document.ok() || !document->root.is_object())
    return bad("meta.json is no JSON object");
  const json::Value& root = document->root;
  bool whole = true;
  const auto number = [&](std::string_view name) -> std::uint64_t {
    const json::Value* value = root.find(name);
    const Result<std::uint64_t> read =
        value == nullptr ? Result<std::uint64_t>(bad("a number is missing")) : value->as_uint64();
    whole = whole && read.ok();
    return read.ok() ? *read : 0;
  };
  ArchiveMeta meta;
  meta.version = number("Version");
  if (!whole)
    return bad("meta.json has no Version");
  if (meta.version != kArchiveVersion)
    return Status(Code::kInvalid, "the snapshot has version " + std::to_string(meta.version) +
                                      " of the format, and this server reads version " +
                                      std::to_string(kArchiveVersion) +
                                      ": restore it with a server of its own version");
  meta.id = root.string_or("ID", "");
  meta.index = Index(number("Index"));
  meta.term = Term(number("Term"));
  meta.state_bytes = number("Size");
  meta.server_version = root.string_or("ServerVersion", "");
  meta.cluster_name = root.string_or("ClusterName", "");
  meta.cluster_id = root.string_or("ClusterID", "");
  const Result<WallTime> created = parse_time(root.string_or("Created", ""));
  if (!whole || !created.ok())
    return bad("meta.json lacks Index, Term, Size or Created");
  meta.created = *created;
  return meta;
}

Status check_server_version(std::string_view made_by, std::string_view running) {
  const auto theirs = major_minor(made_by);
  const auto ours = major_minor(running);
  COFFER_CHECK(ours.has_value());
  if (theirs && theirs->first == ours->first && theirs->second <= ours->second + 1)
    return ok_status();
  return Status(Code::kInvalid, "the snapshot was made by a server of version " +
                                    (theirs ? std::string(made_by) : std::string("that cannot be read")) +
                                    ", which this one (" + std::string(running) +
                                    ") is not compatible with: restore it with a server of its own version");
}

class ArchiveWriter::Impl {
 public:
  Impl(const ArchiveMeta& meta, Seal seal) : meta_(meta), seal_(std::move(seal)), state_left_(meta.state_bytes) {}

  void begin(std::string& out) {
    out.append("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
    const std::string text = encode_archive_meta(meta_);
    sums_ = sum_line(crypto::sha256(text), kMetaName);
    member(kMetaName, text, out);
    pack(tar_head(kStateName, meta_.state_bytes, seconds()), false, out);
  }

  void state(std::string_view piece, std::string& out) {
    COFFER_CHECK(piece.size() <= state_left_);
    state_left_ -= piece.size();
    hash_.update(piece);
    pack(piece, false, out);
  }

  void finish(std::string& out) {
    COFFER_CHECK(state_left_ == 0);
    pack(std::string(padding_of(meta_.state_bytes), '\0'), false, out);
    sums_ += sum_line(hash_.finish(), kStateName);
    member(kSumsName, sums_, out);
    member(kSealedName, seal_(sums_), out);
    pack(std::string(kTarEndBytes, '\0'), true, out);
    ByteWriter(out).u32(static_cast<std::uint32_t>(crc_)).u32(static_cast<std::uint32_t>(bytes_));
  }

 private:
  std::int64_t seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(meta_.created.time_since_epoch()).count();
  }

  void member(std::string_view name, std::string_view content, std::string& out) {
    std::string whole = tar_head(name, content.size(), seconds());
    whole.append(content).append(padding_of(content.size()), '\0');
    pack(whole, false, out);
  }

  // The state is ciphertext, which nothing makes smaller: blocks are stored as they are.
  void pack(std::string_view bytes, bool last, std::string& out) {
    out.reserve(out.size() + bytes.size() + 5 * (bytes.size() / kStoredBytesMax + 1));
    crc_ = ::crc32_z(crc_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    bytes_ += bytes.size();
    while (!bytes.empty()) {
      const std::string_view block = bytes.substr(0, kStoredBytesMax);
      bytes.remove_prefix(block.size());
      const auto size = static_cast<std::uint16_t>(block.size());
      ByteWriter(out).u8(last && bytes.empty() ? 1 : 0).u16(size).u16(static_cast<std::uint16_t>(~size)).raw(block);
    }
  }

  const ArchiveMeta meta_;
  const Seal seal_;
  std::uint64_t state_left_;
  std::string sums_;
  crypto::Sha256 hash_;
  unsigned long crc_ = 0;
  std::uint64_t bytes_ = 0;  // of the tar
};

ArchiveWriter::ArchiveWriter(const ArchiveMeta& meta, Seal seal)
    : impl_(std::make_unique<Impl>(meta, std::move(seal))) {}
ArchiveWriter::~ArchiveWriter() = default;
void ArchiveWriter::begin(std::string& out) { impl_->begin(out); }
void ArchiveWriter::state(std::string_view piece, std::string& out) { impl_->state(piece, out); }
void ArchiveWriter::finish(std::string& out) { impl_->finish(out); }

class ArchiveReader::Impl {
 public:
  Impl(Meta meta, State state) : told_(std::move(meta)), state_(std::move(state)), inflated_(kInflatedBytes, '\0') {}
  ~Impl() {
    if (begun_)
      ::inflateEnd(&stream_);
  }

  Status take(std::string_view bytes) {
    if (!begun_ && ::inflateInit2(&stream_, kGzipWindow) != Z_OK)
      return Status(Code::kUnavailable, "no memory to unpack with");
    begun_ = true;
    while (!bytes.empty()) {
      if (unpacked_)
        return bad("something follows it");
      const std::string_view some = bytes.substr(0, kInflatedBytes);
      stream_.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(some.data()));
      stream_.avail_in = static_cast<unsigned>(some.size());
      COFFER_TRY(unpack());
      bytes.remove_prefix(some.size() - stream_.avail_in);
    }
    return ok_status();
  }

  Status finish() {
    if (!unpacked_ || member_ != kMembers.size() || part_ != Part::kEnd || tail_ < kTarEndBytes)
      return bad("it ends too early");
    if (sums() != small_[2])
      return bad("SHA256SUMS are not those of its files");
    return ok_status();
  }

  ArchiveMeta meta;
  std::array<std::string, kMembers.size()> small_;  // contents of all but the state

 private:
  enum class Part { kHead, kContent, kPadding, kEnd };

  std::string sums() {
    return sum_line(crypto::sha256(small_[0]), kMetaName) + sum_line(state_digest_, kStateName);
  }

  Status unpack() {
    do {
      stream_.next_out = reinterpret_cast<unsigned char*>(inflated_.data());
      stream_.avail_out = static_cast<unsigned>(inflated_.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return bad("gzip cannot read it");
      COFFER_TRY(read(std::string_view(inflated_).substr(0, inflated_.size() - stream_.avail_out)));
      unpacked_ = result == Z_STREAM_END;
    } while (!unpacked_ && stream_.avail_out == 0);
    return ok_status();
  }

  Status read(std::string_view tar) {
    while (!tar.empty()) {
      switch (part_) {
        case Part::kHead: COFFER_TRY(read_head(tar)); break;
        case Part::kContent: COFFER_TRY(read_content(tar)); break;
        case Part::kPadding: COFFER_TRY(read_padding(tar)); break;
        case Part::kEnd: COFFER_TRY(read_end(tar)); break;
      }
    }
    return ok_status();
  }

  std::string name() const { return std::string(kMembers[member_]); }

  Status read_head(std::string_view& tar) {
    const std::string_view some = tar.substr(0, kTarBlockBytes - head_.size());
    head_.append(some);
    tar.remove_prefix(some.size());
    if (head_.size() < kTarBlockBytes)
      return ok_status();
    const std::string_view head = head_;
    const std::string_view called = head.substr(0, std::min(head.find('\0'), kTarNameBytes));
    const auto sum = octal(head.substr(kTarSumAt, kTarSumBytes));
    const auto size = tar_size(head);
    const char kind = head[kTarKindAt];
    if (called != kMembers[member_] || !sum || *sum != tar_sum(head) || !size || (kind != '0' && kind != '\0'))
      return bad("the head of " + name() + " is missing or wrong");
    if (member_ != kStateMember && (*size == 0 || *size > kSmallMemberBytesMax))
      return bad(name() + " has a size that it cannot have");
    if (member_ == kStateMember && *size != meta.state_bytes)
      return bad("meta.json tells of another size of state.bin");
    head_.clear();
    left_ = size_ = *size;
    part_ = left_ > 0 ? Part::kContent : Part::kPadding;
    return left_ > 0 ? ok_status() : end_content();
  }

  Status read_content(std::string_view& tar) {
    const std::string_view some = tar.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, tar.size())));
    tar.remove_prefix(some.size());
    left_ -= some.size();
    if (member_ == kStateMember) {
      hash_.update(some);
      COFFER_TRY(state_(some));
    } else {
      small_[member_].append(some);
    }
    return left_ == 0 ? end_content() : ok_status();
  }

  Status end_content() {
    if (member_ == 0) {
      COFFER_ASSIGN(meta, decode_archive_meta(small_[0]));
      COFFER_TRY(told_(meta));
    } else if (member_ == kStateMember) {
      state_digest_ = hash_.finish();
    }
    left_ = padding_of(size_);
    ++member_;
    part_ = left_ > 0 ? Part::kPadding : after_member();
    return ok_status();
  }

  Part after_member() const { return member_ == kMembers.size() ? Part::kEnd : Part::kHead; }

  Status read_padding(std::string_view& tar) {
    const std::string_view some = tar.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, tar.size())));
    tar.remove_prefix(some.size());
    left_ -= some.size();
    if (some.find_first_not_of('\0') != std::string_view::npos)
      return bad("what stands behind a file is not empty");
    if (left_ == 0)
      part_ = after_member();
    return ok_status();
  }

  Status read_end(std::string_view& tar) {
    tail_ += tar.size();
    if (tar.find_first_not_of('\0') != std::string_view::npos || tail_ > kTarPaddingBytesMax)
      return bad("something follows its last file");
    tar = {};
    return ok_status();
  }

  const Meta told_;
  const State state_;
  z_stream stream_{};
  bool begun_ = false;
  bool unpacked_ = false;
  std::string inflated_;
  Part part_ = Part::kHead;
  std::size_t member_ = 0;
  std::string head_;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;  // of the content or the padding
  std::size_t tail_ = 0;
  crypto::Sha256 hash_;
  crypto::Digest256 state_digest_{};
};

ArchiveReader::ArchiveReader(Meta meta, State state)
    : impl_(std::make_unique<Impl>(std::move(meta), std::move(state))) {}
ArchiveReader::~ArchiveReader() = default;
Status ArchiveReader::take(std::string_view bytes) { return impl_->take(bytes); }
Status ArchiveReader::finish() { return impl_->finish(); }
const ArchiveMeta& ArchiveReader::meta() const noexcept { return impl_->meta; }
std::string_view ArchiveReader::sums() const noexcept { return impl_->small_[2]; }
std::string_view ArchiveReader::sealed_sums() const noexcept { return impl_->small_[3]; }

}  // namespace coffer::store
