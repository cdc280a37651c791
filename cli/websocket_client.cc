#include "cli/websocket_client.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/websocket.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using websocket::Opcode;

constexpr milliseconds kLook{500};
constexpr std::size_t kHeadBytesMax = 64u << 10;

Result<websocket::Mask> random_mask() {
  websocket::Mask mask{};
  COFFER_TRY(system_random().fill(mask));
  return mask;
}

std::string handshake(const HttpRequest& request, std::string_view host, std::string_view key) {
  const std::size_t start = request.url.find("://");
  const std::size_t path = request.url.find_first_of("/?", start == std::string::npos ? 0 : start + 3);
  std::string out = "GET ";
  out += path == std::string::npos ? std::string("/") : request.url.substr(path);
  out.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
  out.append("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ").append(key).append("\r\n");
  for (const auto& [name, value] : request.headers)
    out.append(name).append(": ").append(value).append("\r\n");
  return out.append("\r\n");
}

// The value of a header, or nothing; `head` ends behind its last line.
std::string header(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && lower(std::string(line.substr(0, colon))) == name)
      return std::string(trim(line.substr(colon + 1)));
  }
  return {};
}

class Talk {
 public:
  Talk(ByteChannel& channel, const HttpRequest& request) : channel_(channel), request_(request) {}

  Result<HttpResponse> run(std::string_view host, milliseconds timeout) {
    std::array<std::uint8_t, 16> random{};
    COFFER_TRY(system_random().fill(random));
    const std::string key = base64_encode({reinterpret_cast<const char*>(random.data()), random.size()});
    COFFER_TRY(channel_.send(handshake(request_, host, key)));
    const auto until = SteadyClock::now() + timeout;
    std::size_t end = std::string::npos;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (input_.size() > kHeadBytesMax || SteadyClock::now() > until)
        return Status(Code::kUnavailable, "the server did not answer the WebSocket handshake");
      COFFER_TRY(read_more());
    }
    const std::string head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    HttpResponse response;
    if (head.size() > 12)
      std::from_chars(head.data() + 9, head.data() + 12, response.status);
    response.location = header(head, "location");
    if (response.status != 101)
      return read_body(head, response, until);
    COFFER_ASSIGN(const std::string accept, websocket::accept_of(key));
    if (header(head, "sec-websocket-accept") != accept)
      return Status(Code::kUnavailable, "the server's answer to the WebSocket handshake is wrong");
    return listen(response);
  }

 private:
  Status read_more() {
    COFFER_ASSIGN(const std::string some, channel_.receive(kLook));
    input_ += some;
    return ok_status();
  }

  Result<HttpResponse> read_body(const std::string& head, HttpResponse& response, SteadyClock::time_point until) {
    const std::string length = header(head, "content-length");
    std::size_t size = 0;
    std::from_chars(length.data(), length.data() + length.size(), size);
    while (input_.size() < std::min(size, limits::kClientResponseBytesMax) && SteadyClock::now() < until)
      COFFER_TRY(read_more());
    response.body = std::move(input_);
    return response;
  }

  Result<HttpResponse> listen(HttpResponse& response) {
    const auto until = SteadyClock::now() + request_.stream_time;
    const bool bounded = request_.stream_time.count() != 0;
    for (;;) {
      reader_.put(input_);
      input_.clear();
      COFFER_ASSIGN(const bool more, take_frames(response));
      if (!more)
        return response;
      if (bounded && SteadyClock::now() >= until) {
        COFFER_TRY(say_close());
        return response;
      }
      COFFER_TRY(read_more());
    }
  }

  // False when it is over.
  Result<bool> take_frames(HttpResponse& response) {
    for (;;) {
      COFFER_ASSIGN(std::optional<websocket::Frame> frame, reader_.next());
      if (!frame)
        return true;
      if (frame->opcode == Opcode::kClose) {
        response.ended = frame->close_reason();
        if (response.ended.empty())
          response.ended = "the server closed the WebSocket with code " + std::to_string(frame->close_code());
        COFFER_TRY(say_close());
        return false;
      }
      if (frame->opcode == Opcode::kPing) {
        COFFER_ASSIGN(const websocket::Mask mask, random_mask());
        std::string pong;
        websocket::append_frame(Opcode::kPong, frame->payload, &mask, pong);
        COFFER_TRY(channel_.send(pong));
      } else if (frame->opcode != Opcode::kPong && !request_.on_piece(frame->payload)) {
        COFFER_TRY(say_close());
        return false;
      }
    }
  }

  Status say_close() {
    COFFER_ASSIGN(const websocket::Mask mask, random_mask());
    std::string frame;
    websocket::append_close(websocket::kNormal, {}, &mask, frame);
    return channel_.send(frame);
  }

  ByteChannel& channel_;
  const HttpRequest& request_;
  std::string input_;
  websocket::FrameReader reader_{false, limits::kClientInputBytesMax};
};

}  // namespace

Result<HttpResponse> talk_websocket(ByteChannel& channel, const HttpRequest& request, std::string_view host,
                                    milliseconds timeout) {
  return Talk(channel, request).run(host, timeout);
}

}  // namespace coffer::cli
