// Frames of WebSocket (RFC 6455), without a socket: what a server and a client of it have in common. Messages here are
// whole in one frame; extensions are not spoken. Pure but for the digest of the handshake.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::websocket {

enum class Opcode : std::uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// Why a peer ends a connection.
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kPolicyViolation = 1008;
inline constexpr std::uint16_t kTooLarge = 1009;
inline constexpr std::uint16_t kInternalError = 1011;

// The answer to a client's Sec-WebSocket-Key. kInternal when the digest is not to be had.
Result<std::string> accept_of(std::string_view key);
// Whether `key` is what a client may send: 16 bytes in base64.
bool is_key(std::string_view key) noexcept;

using Mask = std::array<std::uint8_t, 4>;

// Appends one whole frame. A client masks what it sends, a server does not (null).
void append_frame(Opcode opcode, std::string_view payload, const Mask* mask, std::string& out);
// A reason longer than a frame of this kind holds is cut.
void append_close(std::uint16_t code, std::string_view reason, const Mask* mask, std::string& out);

struct Frame {
  Opcode opcode = Opcode::kText;
  bool last = true;      // of its message
  std::string payload;   // unmasked

  // Of a close frame; 1005 when the peer gave none.
  std::uint16_t close_code() const noexcept;
  std::string_view close_reason() const noexcept;
};

// Bytes as they come to whole frames. After a failure nothing more can be read.
class FrameReader {
 public:
  // `masked`: whether the peer has to mask (it is a client) or must not.
  FrameReader(bool masked, std::size_t payload_bytes_max) : masked_(masked), payload_bytes_max_(payload_bytes_max) {}

  void put(std::string_view bytes) { input_.append(bytes); }
  // Nothing: more bytes are needed. kInvalid: the peer breaks the protocol. kTooLarge: its frame is longer than it may.
  Result<std::optional<Frame>> next();

 private:
  const bool masked_;
  const std::size_t payload_bytes_max_;
  std::string input_;
};

}  // namespace coffer::websocket
