#include "base/websocket.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/encoding.h"

namespace coffer::websocket {
namespace {

constexpr std::string_view kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kControlBytesMax = 125;
constexpr std::size_t kKeyText = 24;
constexpr std::uint16_t kNoCode = 1005;

void append_length(std::size_t size, std::uint8_t mask_bit, std::string& out) {
  const auto put = [&out](std::size_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      out.push_back(static_cast<char>((value >> shift) & 0xff));
  };
  if (size <= kControlBytesMax) {
    out.push_back(static_cast<char>(mask_bit | size));
  } else if (size <= 0xffff) {
    out.push_back(static_cast<char>(mask_bit | 126));
    put(size, 2);
  } else {
    out.push_back(static_cast<char>(mask_bit | 127));
    put(size, 8);
  }
}

bool is_control(std::uint8_t opcode) { return (opcode & 8) != 0; }

bool is_known(std::uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

}  // namespace

Result<std::string> accept_of(std::string_view key) {
  const std::string text = std::string(key).append(kMagic);
  std::array<std::uint8_t, 20> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1 || size != digest.size())
    return Status(Code::kInternal, "the digest of a WebSocket handshake failed");
  return base64_encode(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

bool is_key(std::string_view key) noexcept {
  if (key.size() != kKeyText || !key.ends_with("=="))
    return false;
  const std::string_view digits = key.substr(0, kKeyText - 2);
  return std::all_of(digits.begin(), digits.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

void append_frame(Opcode opcode, std::string_view payload, const Mask* mask, std::string& out) {
  out.push_back(static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode)));
  append_length(payload.size(), mask == nullptr ? 0 : 0x80, out);
  if (mask == nullptr) {
    out.append(payload);
    return;
  }
  out.append(reinterpret_cast<const char*>(mask->data()), mask->size());
  for (std::size_t i = 0; i < payload.size(); ++i)
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(payload[i]) ^ (*mask)[i % mask->size()]));
}

void append_close(std::uint16_t code, std::string_view reason, const Mask* mask, std::string& out) {
  std::string payload;
  payload.push_back(static_cast<char>(code >> 8));
  payload.push_back(static_cast<char>(code & 0xff));
  payload.append(reason.substr(0, kControlBytesMax - 2));
  append_frame(Opcode::kClose, payload, mask, out);
}

std::uint16_t Frame::close_code() const noexcept {
  if (payload.size() < 2)
    return kNoCode;
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 | static_cast<std::uint8_t>(payload[1]));
}

std::string_view Frame::close_reason() const noexcept {
  return payload.size() < 2 ? std::string_view() : std::string_view(payload).substr(2);
}

Result<std::optional<Frame>> FrameReader::next() {
  const auto byte = [this](std::size_t at) { return static_cast<std::uint8_t>(input_[at]); };
  if (input_.size() < 2)
    return std::optional<Frame>();
  const std::uint8_t opcode = byte(0) & 0x0f;
  const bool masked = (byte(1) & 0x80) != 0;
  std::size_t size = byte(1) & 0x7f;
  if ((byte(0) & 0x70) != 0 || !is_known(opcode) || masked != masked_ ||
      (is_control(opcode) && (size > kControlBytesMax || (byte(0) & 0x80) == 0)))
    return Status(Code::kInvalid, "the peer breaks the WebSocket protocol");
  const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
  std::size_t at = 2;
  if (input_.size() < at + more)
    return std::optional<Frame>();
  if (more != 0) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < more; ++i)
      length = length << 8 | byte(at++);
    if (length > payload_bytes_max_)
      return Status(Code::kTooLarge, "the peer's frame is longer than it may be");
    size = static_cast<std::size_t>(length);
  }
  if (size > payload_bytes_max_)
    return Status(Code::kTooLarge, "the peer's frame is longer than it may be");
  const std::size_t mask_at = at;
  at += masked ? std::tuple_size_v<Mask> : 0;
  if (input_.size() < at + size)
    return std::optional<Frame>();
  Frame frame{static_cast<Opcode>(opcode), (byte(0) & 0x80) != 0, input_.substr(at, size)};
  for (std::size_t i = 0; masked && i < size; ++i)
    frame.payload[i] = static_cast<char>(static_cast<std::uint8_t>(frame.payload[i]) ^ byte(mask_at + i % 4));
  input_.erase(0, at + size);
  return std::optional<Frame>(std::move(frame));
}

}  // namespace coffer::websocket
