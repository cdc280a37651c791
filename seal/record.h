// Internal to seal/: fixed big-endian fields and length-prefixed strings, for the records described in docs/formats/.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace coffer::seal {

inline void store_be(std::uint8_t* at, std::uint64_t value, std::size_t bytes) noexcept {
  for (std::size_t i = bytes; i-- > 0; value >>= 8)
    at[i] = static_cast<std::uint8_t>(value);
}

inline std::uint64_t load_be(const std::uint8_t* at, std::size_t bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value = value << 8 | at[i];
  return value;
}

inline std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline void append_be(std::string& out, std::uint64_t value, std::size_t bytes) {
  std::array<std::uint8_t, 8> field;
  store_be(field.data(), value, bytes);
  out.append(reinterpret_cast<const char*>(field.data()), bytes);
}

inline void append_bytes(std::string& out, std::span<const std::uint8_t> bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// `length_bytes` of big-endian length, then the text, which must fit (a caller's bug otherwise: sizes are bounded before).
inline void append_text(std::string& out, std::string_view text, std::size_t length_bytes) {
  append_be(out, text.size(), length_bytes);
  out.append(text);
}

// Reads fields from the front. Once something did not fit, ok() is false, and everything read is zero or empty.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::uint8_t> data) noexcept : rest_(data) {}

  std::span<const std::uint8_t> bytes(std::size_t count) noexcept {
    if (!ok_ || rest_.size() < count) {
      ok_ = false;
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint64_t be(std::size_t count) noexcept {
    const auto field = bytes(count);
    return ok_ ? load_be(field.data(), count) : 0;
  }
  std::string_view text(std::size_t length_bytes) noexcept {
    const std::uint64_t size = be(length_bytes);
    const auto field = bytes(size);
    return {reinterpret_cast<const char*>(field.data()), field.size()};
  }

  bool ok() const noexcept { return ok_; }
  // Everything was read, nothing is left over.
  bool finished() const noexcept { return ok_ && rest_.empty(); }

 private:
  std::span<const std::uint8_t> rest_;
  bool ok_ = true;
};

}  // namespace coffer::seal
