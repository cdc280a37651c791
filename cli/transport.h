// One HTTP exchange with a server: the port between the client and the library that speaks HTTP.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace coffer::cli {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string url;  // scheme, host, escaped path and query
  Headers headers;
  std::string body;
  bool has_body = false;
  // When set, the body of a good answer goes here piece by piece as it comes, for at most `stream_time` (0: as long as
  // it lasts); false ends it. How it ended is no failure.
  std::function<bool(std::string_view)> on_piece;
  std::chrono::milliseconds stream_time{0};
  // With on_piece: the answer is of use only as a whole. One that breaks off, or stands still for longer than the
  // timeout, is a failure.
  bool whole = false;
  // When set, the body is this file, which is sent piece by piece and not before the server wants it.
  std::string body_file;
  // Asked about once a second while it lasts; true: it is given up. May be empty.
  std::function<bool()> gives_up;
  // Ends what neither sends nor receives anything for so long; 0: the timeout alone does.
  std::chrono::milliseconds silence_max{0};
  bool websocket = false;  // ask for one: each of its messages is a piece
};

struct HttpResponse {
  int status = 0;
  std::string location;  // of a redirect
  Headers headers;       // names in lower case; 64 KiB at most, the rest is left out
  std::string body;
  std::string ended;     // of a WebSocket that the server closed: why
};

struct TransportOptions {
  std::string ca_cert;        // files and folders; empty: the system's own
  std::string ca_path;
  std::string ca_pem;         // certificates themselves
  std::string client_cert;
  std::string client_key;
  std::string client_cert_pem;  // the same as texts
  std::string client_key_pem;
  std::string server_name;    // expected in the certificate instead of the address's host
  bool skip_verify = false;
  std::string unix_socket;    // connect there, whatever the URL's host
  std::string proxy;          // empty: none
  std::chrono::milliseconds timeout{60000};
};

// Used by one thread. A failure is kUnavailable; its message says what went wrong as Go's client does ("dial tcp
// 127.0.0.1:8200: connect: connection refused"), and is kPlainHttpAnswer when a server answered a TLS greeting in plain
// HTTP.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<HttpResponse> perform(const HttpRequest& request) = 0;
};

inline constexpr std::string_view kPlainHttpAnswer = "http: server gave HTTP response to HTTPS client";

using TransportFactory = std::function<Result<std::unique_ptr<Transport>>(const TransportOptions&)>;

}  // namespace coffer::cli
