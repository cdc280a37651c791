#include "base/codec.h"

#include <bit>

namespace coffer {
namespace {

static_assert(std::endian::native == std::endian::little, "loads and stores below copy native numbers");

template <typename T>
T load(const void* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void append_native(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

constexpr int kVarintBytesMax = 10;

}  // namespace

std::uint16_t load_u16(const void* from) noexcept { return load<std::uint16_t>(from); }
std::uint32_t load_u32(const void* from) noexcept { return load<std::uint32_t>(from); }
std::uint64_t load_u64(const void* from) noexcept { return load<std::uint64_t>(from); }
void store_u16(void* to, std::uint16_t value) noexcept { std::memcpy(to, &value, sizeof value); }
void store_u32(void* to, std::uint32_t value) noexcept { std::memcpy(to, &value, sizeof value); }
void store_u64(void* to, std::uint64_t value) noexcept { std::memcpy(to, &value, sizeof value); }

ByteWriter& ByteWriter::u8(std::uint8_t value) {
  out_.push_back(static_cast<char>(value));
  return *this;
}

ByteWriter& ByteWriter::u16(std::uint16_t value) {
  append_native(out_, value);
  return *this;
}

ByteWriter& ByteWriter::u32(std::uint32_t value) {
  append_native(out_, value);
  return *this;
}

ByteWriter& ByteWriter::u64(std::uint64_t value) {
  append_native(out_, value);
  return *this;
}

ByteWriter& ByteWriter::u32_be(std::uint32_t value) { return u32(__builtin_bswap32(value)); }
ByteWriter& ByteWriter::u64_be(std::uint64_t value) { return u64(__builtin_bswap64(value)); }

ByteWriter& ByteWriter::varint(std::uint64_t value) {
  char bytes[kVarintBytesMax];
  std::size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out_.append(bytes, size);
  return *this;
}

ByteWriter& ByteWriter::raw(std::string_view bytes) {
  out_.append(bytes);
  return *this;
}

ByteWriter& ByteWriter::bytes(std::string_view bytes) { return varint(bytes.size()).raw(bytes); }

std::string_view ByteReader::take(std::size_t size) {
  if (!ok_ || size > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  std::string_view taken = in_.substr(0, size);
  in_.remove_prefix(size);
  return taken;
}

std::uint8_t ByteReader::u8() {
  std::string_view from = take(1);
  return from.empty() ? 0 : static_cast<std::uint8_t>(from[0]);
}

std::uint16_t ByteReader::u16() {
  std::string_view from = take(2);
  return from.empty() ? 0 : load_u16(from.data());
}

std::uint32_t ByteReader::u32() {
  std::string_view from = take(4);
  return from.empty() ? 0 : load_u32(from.data());
}

std::uint64_t ByteReader::u64() {
  std::string_view from = take(8);
  return from.empty() ? 0 : load_u64(from.data());
}

std::uint32_t ByteReader::u32_be() { return __builtin_bswap32(u32()); }
std::uint64_t ByteReader::u64_be() { return __builtin_bswap64(u64()); }

std::uint64_t ByteReader::varint() {
  std::uint64_t value = 0;
  for (int i = 0; i < kVarintBytesMax; ++i) {
    const std::uint8_t byte = u8();
    if (!ok_)
      return 0;
    const bool overflows = i == kVarintBytesMax - 1 && byte > 1;
    const bool padded = i > 0 && byte == 0;
    if (overflows || padded)
      break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0)
      return value;
  }
  ok_ = false;
  in_ = {};
  return 0;
}

std::string_view ByteReader::raw(std::size_t size) { return take(size); }

std::string_view ByteReader::bytes() {
  const std::uint64_t size = varint();
  if (size > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  return take(static_cast<std::size_t>(size));
}

Status ByteReader::status() const {
  return ok_ ? Status() : Status(Code::kDataLoss, "a field is cut short or malformed");
}

Status ByteReader::finish() const {
  COFFER_TRY(status());
  return in_.empty() ? Status() : Status(Code::kDataLoss, "bytes follow the last field");
}

}  // namespace coffer
