// Requests to a server as Vault's own client makes them: headers, one redirect, retries, and errors in its very words.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/flags.h"
#include "cli/invocation.h"
#include "cli/transport.h"

namespace coffer::cli {

struct Call {
  std::string method;
  std::string path;  // without /v1/
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string body = {};  // JSON; none when has_body is false
  bool has_body = false;
  bool merge_patch = false;
  std::function<bool(std::string_view)> on_piece = {};  // as HttpRequest's; such an answer is not read as JSON
  std::chrono::milliseconds stream_time{0};
  bool whole = false;         // as HttpRequest's
  std::string body_file = {};  // as HttpRequest's; never sent twice but for a redirect
  Headers headers = {};       // further ones
  bool websocket = false; // as HttpRequest's
  bool aside = false;     // a look-up before the real request: not wrapped, and made even under -output-curl-string
};

struct Reply {
  enum class Kind {
    kOk,         // 2xx, or 429 of a health check
    kHttp,       // the server answered with an error
    kTransport,  // no answer
    kPrinted,    // -output-curl-string or -output-policy: there was no request
  };
  Kind kind = Kind::kOk;
  int status = 0;
  std::string error;                // what to print when !ok()
  std::vector<std::string> errors;  // of the server
  std::string body;
  std::string ended;                // as HttpResponse's
  json::Value json;                 // null when the body is empty or no JSON

  bool ok() const { return kind == Kind::kOk; }
};

struct ClientOptions {
  std::string address;           // URL; unix:///path for a socket
  bool address_is_default = false;
  std::string token;
  std::string namespace_path;    // empty for none
  Headers headers;
  std::vector<std::string> mfa;
  bool policy_override = false;
  std::int64_t wrap_ttl_nanos = 0;
  int retries = 0;
  bool follow_redirects = true;
  bool print_curl = false;       // compose the request as a curl command instead
  bool print_policy = false;     // compose the policy that the request needs instead
  std::string program_name;      // in what is printed
  TransportOptions transport;
};

// Options from flags and environment, without the token. kInvalid with the text to print.
Result<ClientOptions> client_options(const FlagSet& flags, const Invocation& invocation, std::string program_name);

class Client {
 public:
  struct Hooks {
    TransportFactory transport;
    std::function<void(std::chrono::milliseconds)> sleep;
    std::function<void(const std::string&)> warn;
  };

  // `arena` outlives the client and holds the answers' trees.
  static Result<std::unique_ptr<Client>> create(ClientOptions options, Hooks hooks, Arena& arena);

  Reply call(const Call& request);

  const ClientOptions& options() const { return options_; }
  const std::string& token() const { return options_.token; }
  void set_token(std::string token) { options_.token = std::move(token); }
  void stop_wrapping() { options_.wrap_ttl_nanos = 0; wrapping_ = false; }
  // The curl command or policy of the last request, when options ask for one.
  const std::string& printed() const { return printed_; }

 private:
  Client(ClientOptions options, Hooks hooks, Arena& arena, std::unique_ptr<Transport> transport);

  HttpRequest build(const Call& request) const;
  Result<HttpResponse> send(HttpRequest& request);
  Result<HttpResponse> send_with_retries(HttpRequest& request);
  Reply reply_of(const Call& request, const HttpRequest& http, const HttpResponse& response) const;
  std::string curl_command(const HttpRequest& request) const;

  ClientOptions options_;
  Hooks hooks_;
  Arena& arena_;
  std::unique_ptr<Transport> transport_;
  bool wrapping_ = true;
  std::string printed_;
};

// The policy that allows `method` on `path`.
std::string policy_for(const std::string& method, const std::string& path, bool list);

}  // namespace coffer::cli
