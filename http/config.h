// What an operator can set of the HTTP listener. Defaults come from base/limits.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "core/door.h"
#include "core/request.h"
#include "crypto/tls_files.h"

namespace coffer::http {

// Headers that an operator adds to the answers of a listener, ready to be sent; by status.
class CustomHeaders {
 public:
  using Lines = std::vector<std::pair<std::string, std::string>>;
  // `pattern`: "default", "2xx" or "404". What is said of a status goes before what is said of its class, and that
  // before the default. kInvalid names the pattern or the header.
  Status add(std::string_view pattern, const Lines& lines);
  bool empty() const noexcept { return rules_.empty(); }
  // "Name: value\r\n" for each.
  std::string_view lines_of(int status) const;
  // A header of the server's own in every answer; `value` is printable.
  void always(std::string_view name, std::string_view value);
  // To be called once, when everything was added.
  void finish();

 private:
  std::map<std::string, Lines, std::less<>> rules_;
  std::map<int, std::string> texts_;  // by status; 0: any that no rule names
};

struct Listener {
  std::string host = "127.0.0.1";  // numeric address; brackets around IPv6 are not part of it
  std::uint16_t port = 8200;       // 0: the system chooses
  std::optional<crypto::TlsFiles> tls;  // absent: plain HTTP
  core::Door door;
  CustomHeaders headers;
  std::string chroot;  // namespace that all its requests are in, without slashes at its ends; empty: the root
  std::shared_ptr<const core::DoorSettings> cors;  // which other sites may speak to it; null: what the API says
};

struct RequestLimits {
  std::size_t header_bytes = limits::kRequestHeaderBytesMax;
  std::size_t body_bytes = limits::kRequestBodyBytesMax;
  std::size_t tokenless_body_bytes = limits::kTokenlessBodyBytesMax;
  // Bodies held by all connections together: small ones (up to kSmallBodyBytesMax each) have an allowance of their own,
  // so that large uploads never starve logins.
  std::size_t small_bodies_bytes = limits::kSmallBodiesHeldBytesMax;
  std::size_t large_bodies_bytes = limits::kLargeBodiesHeldBytesMax;
  std::size_t connections = limits::kConnectionsMax;
  json::Limits json;
};

struct Timeouts {
  Nanos handshake = std::chrono::seconds(10);
  Nanos header = std::chrono::seconds(10);  // from a request's first byte to the end of its head
  Nanos body = std::chrono::seconds(30);    // from there to the end of its body
  Nanos idle = std::chrono::minutes(5);     // between requests
  Nanos write = std::chrono::seconds(30);   // a client that does not read its answer
  Nanos request = limits::kRequestTimeMax;  // from a whole request to its answer
};

struct Config {
  std::vector<Listener> listeners;
  RequestLimits limits;
  Timeouts timeouts;
  unsigned threads = 0;  // 0: one a processor
  // refuse requests without `X-Vault-Request: true` (the agent's protection from browsers)
  bool require_request_header = false;
  std::shared_ptr<const core::DoorBoard> board;  // null: nothing is asked of the listener
};

}  // namespace coffer::http
