// A client of a WebSocket over a connection that stands: handshake, messages in, and what the protocol wants said back.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "cli/transport.h"

namespace coffer::cli {

// A connection to a server, already encrypted where it has to be.
class ByteChannel {
 public:
  virtual ~ByteChannel() = default;
  virtual Status send(std::string_view bytes) = 0;
  // What is there, waiting for at most `wait`; empty when nothing came. kUnavailable, "EOF", at the end.
  virtual Result<std::string> receive(std::chrono::milliseconds wait) = 0;
};

// Asks for an upgrade and hands each message to request.on_piece, until that says false, request.stream_time has passed
// or the server ends it: HttpResponse::ended says why then. An answer that is no upgrade is returned as it is.
// `timeout` is for the answer to the handshake.
Result<HttpResponse> talk_websocket(ByteChannel& channel, const HttpRequest& request, std::string_view host,
                                    std::chrono::milliseconds timeout);

}  // namespace coffer::cli
