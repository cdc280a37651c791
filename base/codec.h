// Bytes of everything that is stored or sent: fixed little-endian numbers, varints, length-prefixed strings.
//
// ByteWriter appends to a string that the caller owns. ByteReader walks a view that must outlive it and never reads
// past its end: after the first field that does not fit, every further call returns zero or an empty view and status()
// says so. Callers read all fields of a record, then check finish() once, and use nothing before that.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer {

// Unaligned loads and stores, little-endian.
std::uint16_t load_u16(const void* from) noexcept;
std::uint32_t load_u32(const void* from) noexcept;
std::uint64_t load_u64(const void* from) noexcept;
void store_u16(void* to, std::uint16_t value) noexcept;
void store_u32(void* to, std::uint32_t value) noexcept;
void store_u64(void* to, std::uint64_t value) noexcept;

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  ByteWriter& u8(std::uint8_t value);
  ByteWriter& u16(std::uint16_t value);
  ByteWriter& u32(std::uint32_t value);
  ByteWriter& u64(std::uint64_t value);
  ByteWriter& u32_be(std::uint32_t value);  // big-endian, for keys whose byte order must be their number order
  ByteWriter& u64_be(std::uint64_t value);
  ByteWriter& varint(std::uint64_t value);  // 7 bits a byte, low first, at most 10 bytes
  ByteWriter& raw(std::string_view bytes);
  ByteWriter& bytes(std::string_view bytes);  // varint length, then the bytes

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  std::uint32_t u32_be();
  std::uint64_t u64_be();
  std::uint64_t varint();  // refuses encodings longer than needed, so that one value has one form
  std::string_view raw(std::size_t size);
  std::string_view bytes();

  std::size_t left() const noexcept { return in_.size(); }
  bool ok() const noexcept { return ok_; }
  // kDataLoss once a field did not fit; the caller adds which record of which file with with_context().
  Status status() const;
  // status(), and kDataLoss as well when bytes are left over.
  Status finish() const;

 private:
  std::string_view take(std::size_t size);

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace coffer
