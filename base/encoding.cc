#include "base/encoding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/check.h"

namespace coffer {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kBase62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kHex = "0123456789abcdef";

constexpr std::array<std::int8_t, 256> inverse(std::string_view alphabet) {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}
constexpr std::array<std::int8_t, 256> kStandardInverse = inverse(kStandard);
constexpr std::array<std::int8_t, 256> kUrlInverse = inverse(kUrl);

std::uint32_t byte_of(char c) noexcept { return static_cast<unsigned char>(c); }

std::string encode64(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t group = byte_of(bytes[i]) << 16 | byte_of(bytes[i + 1]) << 8 | byte_of(bytes[i + 2]);
    const char text[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], alphabet[group >> 6 & 63],
                          alphabet[group & 63]};
    out.append(text, 4);
  }
  const std::size_t left = bytes.size() - i;
  if (left != 0) {
    const std::uint32_t group = byte_of(bytes[i]) << 16 | (left == 2 ? byte_of(bytes[i + 1]) << 8 : 0);
    out.push_back(alphabet[group >> 18]);
    out.push_back(alphabet[group >> 12 & 63]);
    if (left == 2)
      out.push_back(alphabet[group >> 6 & 63]);
    if (pad)
      out.append(3 - left, '=');
  }
  return out;
}

Status bad_base64(std::size_t at) { return Status(Code::kInvalid, "base64: wrong at character " + std::to_string(at)); }

// Cuts the padding and checks its length. Groups of four count without line ends.
Status cut_padding(std::string_view& text, bool required) {
  std::size_t pads = 0;
  std::size_t lines = 0;
  std::size_t end = text.size();
  while (end > 0 && (text[end - 1] == '=' || text[end - 1] == '\n' || text[end - 1] == '\r')) {
    --end;
    pads += text[end] == '=';
  }
  text = text.substr(0, end);
  lines =
      static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }));
  const std::size_t rest = (text.size() - lines) % 4;
  const std::size_t wanted = rest == 0 ? 0 : 4 - rest;
  if (rest == 1 || (pads != wanted && (required || pads != 0)))
    return Status(Code::kInvalid, "base64: wrong length or padding");
  return ok_status();
}

// Decodes to `out`, which has room for three bytes every four characters. Sets `size`.
Status decode64(std::string_view text, const std::array<std::int8_t, 256>& table, bool lines, std::uint8_t* out,
                std::size_t& size) {
  std::uint32_t group = 0;
  unsigned bits = 0;
  size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lines && (text[i] == '\n' || text[i] == '\r'))
      continue;
    const int value = table[static_cast<unsigned char>(text[i])];
    if (value < 0)
      return bad_base64(i);
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[size++] = static_cast<std::uint8_t>(group >> bits);
    }
  }
  if ((group & ((1u << bits) - 1)) != 0)
    return bad_base64(text.size());
  return ok_status();
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Status decode_hex(std::string_view text, std::uint8_t* out) {
  if (text.size() % 2 != 0)
    return Status(Code::kInvalid, "hexadecimal: an odd number of digits");
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0)
      return Status(Code::kInvalid, "hexadecimal: wrong at character " + std::to_string(i));
    out[i / 2] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return ok_status();
}

std::uint8_t* bytes_of(std::string& text) noexcept { return reinterpret_cast<std::uint8_t*>(text.data()); }

}  // namespace

std::string base64_encode(std::string_view bytes) { return encode64(bytes, kStandard, true); }
std::string base64url_encode(std::string_view bytes) { return encode64(bytes, kUrl, false); }

Result<std::string> base64_decode(std::string_view text) {
  COFFER_TRY(cut_padding(text, true));
  std::string out(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  COFFER_TRY(decode64(text, kStandardInverse, true, bytes_of(out), size));
  out.resize(size);
  return out;
}

Result<SecretBytes> base64_decode_secret(std::string_view text) {
  COFFER_TRY(cut_padding(text, true));
  SecretBytes room(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  COFFER_TRY(decode64(text, kStandardInverse, true, room.reveal_mutable().data(), size));
  return SecretBytes::copy_of(room.reveal().first(size));
}

Result<std::string> base64url_decode(std::string_view text) {
  if (text.find_first_of("\r\n") != std::string_view::npos)
    return bad_base64(text.find_first_of("\r\n"));
  COFFER_TRY(cut_padding(text, false));
  std::string out(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  COFFER_TRY(decode64(text, kUrlInverse, false, bytes_of(out), size));
  out.resize(size);
  return out;
}

std::string hex_encode(std::string_view bytes) {
  std::string out(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = kHex[byte_of(bytes[i]) >> 4];
    out[2 * i + 1] = kHex[byte_of(bytes[i]) & 15];
  }
  return out;
}

Result<std::string> hex_decode(std::string_view text) {
  std::string out(text.size() / 2, '\0');
  COFFER_TRY(decode_hex(text, bytes_of(out)));
  return out;
}

Result<SecretBytes> hex_decode_secret(std::string_view text) {
  SecretBytes out(text.size() / 2);
  COFFER_TRY(decode_hex(text, out.reveal_mutable().data()));
  return out;
}

Result<std::string> random_base62(RandomSource& random, std::size_t length) {
  std::string out;
  out.reserve(length);
  std::array<std::uint8_t, 64> pool;
  while (out.size() < length) {
    COFFER_TRY(random.fill(pool));
    for (std::size_t i = 0; i < pool.size() && out.size() < length; ++i) {
      // 248 is the largest multiple of 62 in a byte: what lies above would favour the first characters.
      if (pool[i] < 248)
        out.push_back(kBase62[pool[i] % 62]);
    }
  }
  wipe(pool.data(), pool.size());
  return out;
}

static void write_uuid(const std::uint8_t* bytes, char* to) noexcept {
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      *to++ = '-';
    *to++ = kHex[bytes[i] >> 4];
    *to++ = kHex[bytes[i] & 15];
  }
}

std::string uuid_text(std::string_view sixteen_bytes) {
  COFFER_CHECK(sixteen_bytes.size() == 16);
  std::string out(kUuidTextBytes, '\0');
  write_uuid(reinterpret_cast<const std::uint8_t*>(sixteen_bytes.data()), out.data());
  return out;
}

void write_random_uuid(std::span<std::uint8_t, 16> random, char* to) noexcept {
  random[6] = static_cast<std::uint8_t>((random[6] & 0x0f) | 0x40);
  random[8] = static_cast<std::uint8_t>((random[8] & 0x3f) | 0x80);
  write_uuid(random.data(), to);
}

Result<std::string> random_uuid(RandomSource& random) {
  std::array<std::uint8_t, 16> bytes;
  COFFER_TRY(random.fill(bytes));
  std::string out(kUuidTextBytes, '\0');
  write_random_uuid(bytes, out.data());
  return out;
}

bool is_uuid(std::string_view text) noexcept {
  if (text.size() != kUuidTextBytes)
    return false;
  for (std::size_t i = 0; i < kUuidTextBytes; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : hex_digit(text[i]) < 0)
      return false;
  }
  return true;
}

}  // namespace coffer
