#include "cli/http_client.h"

#include <curl/curl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/error_text.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "cli/text.h"
#include "cli/websocket_client.h"

namespace coffer::cli {
namespace {

struct Body {
  std::string text;
  bool too_large = false;
  CURL* handle = nullptr;
  const std::function<bool(std::string_view)>* on_piece = nullptr;  // null: the body is collected
  bool streamed = false;
};

constexpr std::size_t kResponseHeaderBytesMax = 64u << 10;

struct HeaderLines {
  Headers lines;
  std::size_t bytes = 0;

  static std::size_t note(char* data, std::size_t size, std::size_t count, void* into) {
    auto* headers = static_cast<HeaderLines*>(into);
    const std::string_view line(data, size * count);
    const std::size_t colon = line.find(':');
    if (line.starts_with("HTTP/"))
      *headers = HeaderLines();  // those before were of an interim answer
    headers->bytes += line.size();
    if (colon != std::string_view::npos && headers->bytes <= kResponseHeaderBytesMax)
      headers->lines.emplace_back(lower(line.substr(0, colon)), trim(line.substr(colon + 1)));
    return line.size();
  }
};

// A file that is sent.
struct Upload {
  std::ifstream file;
  std::uint64_t bytes = 0;

  static std::size_t read(char* to, std::size_t size, std::size_t count, void* from) {
    auto* upload = static_cast<Upload*>(from);
    upload->file.read(to, static_cast<std::streamsize>(size * count));
    return upload->file.bad() ? CURL_READFUNC_ABORT : static_cast<std::size_t>(upload->file.gcount());
  }
};

// Gives up what stands still. Once all is sent the server may have a lot to do.
struct Patience {
  CURL* handle;
  curl_off_t silence_us;  // while something is to be sent or received
  curl_off_t work_us;     // after all was sent
  const std::function<bool()>* gives_up = nullptr;  // null: nobody is asked
  curl_off_t moved = 0;
  curl_off_t moved_at = 0;

  static int look(void* with, curl_off_t, curl_off_t received, curl_off_t to_send, curl_off_t sent) {
    auto* patience = static_cast<Patience*>(with);
    if (patience->gives_up != nullptr && (*patience->gives_up)())
      return 1;
    curl_off_t now = 0;
    curl_easy_getinfo(patience->handle, CURLINFO_TOTAL_TIME_T, &now);
    if (received + sent != patience->moved) {
      patience->moved = received + sent;
      patience->moved_at = now;
    }
    const bool works = to_send > 0 && sent >= to_send && received == 0;
    return now - patience->moved_at > (works ? patience->work_us : patience->silence_us) ? 1 : 0;
  }
};
constexpr std::chrono::minutes kServerWorkTimeMax{30};  // to take in what was sent

std::size_t append_body(char* data, std::size_t size, std::size_t count, void* into) {
  auto* body = static_cast<Body*>(into);
  long status = 0;
  if (body->on_piece != nullptr && curl_easy_getinfo(body->handle, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
      status == 200) {
    body->streamed = true;
    return (*body->on_piece)({data, size * count}) ? size * count : 0;
  }
  if (body->text.size() + size * count > limits::kClientResponseBytesMax) {
    body->too_large = true;
    return 0;
  }
  body->text.append(data, size * count);
  return size * count;
}

std::string host_port(const std::string& url) {
  std::size_t start = url.find("://");
  start = start == std::string::npos ? 0 : start + 3;
  std::string host = url.substr(start, url.find_first_of("/?", start) - start);
  if (host.find(':', host.rfind(']') == std::string::npos ? 0 : host.rfind(']')) == std::string::npos)
    host += url.starts_with("https") ? ":443" : ":80";
  return host;
}

// A connection that libcurl made and does not speak on.
class CurlChannel final : public ByteChannel {
 public:
  explicit CurlChannel(CURL* handle) : handle_(handle) {}

  Status send(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::size_t sent = 0;
      const CURLcode code = curl_easy_send(handle_, bytes.data(), bytes.size(), &sent);
      if (code == CURLE_AGAIN && wait(POLLOUT, kSendWait))
        continue;
      if (code != CURLE_OK)
        return Status(Code::kUnavailable, "the connection was closed");
      bytes.remove_prefix(sent);
    }
    return ok_status();
  }

  Result<std::string> receive(std::chrono::milliseconds time_max) override {
    std::string bytes(kReceiveBytes, '\0');
    for (bool waited = false;; waited = true) {
      std::size_t got = 0;
      const CURLcode code = curl_easy_recv(handle_, bytes.data(), bytes.size(), &got);
      if (code == CURLE_AGAIN && !waited && wait(POLLIN, time_max))
        continue;
      if (code != CURLE_OK && code != CURLE_AGAIN)
        return Status(Code::kUnavailable, "the connection was closed");
      if (code == CURLE_OK && got == 0)
        return Status(Code::kUnavailable, "EOF");
      bytes.resize(code == CURLE_OK ? got : 0);
      return bytes;
    }
  }

 private:
  static constexpr std::size_t kReceiveBytes = 16u << 10;
  static constexpr std::chrono::milliseconds kSendWait{30000};

  bool wait(short what, std::chrono::milliseconds time_max) const {
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(handle_, CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK || socket == CURL_SOCKET_BAD)
      return false;
    pollfd one{socket, what, 0};
    return ::poll(&one, 1, static_cast<int>(time_max.count())) > 0;
  }

  CURL* handle_;
};

class CurlTransport final : public Transport {
 public:
  CurlTransport(CURL* handle, TransportOptions options) : handle_(handle), options_(std::move(options)) {}
  ~CurlTransport() override { curl_easy_cleanup(handle_); }
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  Result<HttpResponse> perform(const HttpRequest& request) override {
    if (!request.url.starts_with("http://") && !request.url.starts_with("https://"))
      return Status(Code::kUnavailable,
                    "unsupported protocol scheme \"" + request.url.substr(0, request.url.find("://")) + "\"");
    curl_easy_reset(handle_);
    error_[0] = '\0';
    Body body;
    HttpResponse response;
    set_request(request, body);
    if (request.on_piece) {
      body.handle = handle_;
      body.on_piece = &request.on_piece;
      curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(request.stream_time.count()));
    }
    HeaderLines received;
    curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, HeaderLines::note);
    curl_easy_setopt(handle_, CURLOPT_HEADERDATA, &received);
    Upload upload;
    COFFER_TRY(set_upload(request, upload));
    Patience patience{handle_, microseconds(options_.timeout), microseconds(kServerWorkTimeMax)};
    if (request.whole || !request.body_file.empty())
      set_patience(patience);
    else if (request.gives_up || request.silence_max.count() > 0)
      watch(request, patience);
    set_connection();
    curl_slist* headers = nullptr;
    curl_slist* route = redirect_to_server_name(request, headers);
    for (const auto& [name, value] : request.headers)
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    headers = curl_slist_append(headers, request.body_file.empty() ? "Expect:" : "Expect: 100-continue");
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
    if (request.websocket) {
      curl_easy_setopt(handle_, CURLOPT_CONNECT_ONLY, 1L);
      curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    }
    CURLcode code = curl_easy_perform(handle_);
    curl_slist_free_all(headers);
    curl_slist_free_all(route);
    if (request.websocket && code == CURLE_OK) {
      CurlChannel channel(handle_);
      return talk_websocket(channel, request, host_port(request.url), options_.timeout);
    }
    const bool ended = request.on_piece && !request.whole && (body.streamed || code == CURLE_OPERATION_TIMEDOUT);
    if (code != CURLE_OK && !ended)
      return Status(Code::kUnavailable, failure(code, request, body.too_large));
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    char* location = nullptr;
    curl_easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr)
      response.location = location;
    response.headers = std::move(received.lines);
    response.body = std::move(body.text);
    return response;
  }

 private:
  static curl_off_t microseconds(std::chrono::microseconds time) { return static_cast<curl_off_t>(time.count()); }

  Status set_upload(const HttpRequest& request, Upload& upload) {
    if (request.body_file.empty())
      return ok_status();
    std::error_code error;
    upload.bytes = std::filesystem::file_size(request.body_file, error);
    upload.file.open(request.body_file, std::ios::binary);
    if (error || !upload.file)
      return Status(Code::kInvalid,
                    "open " + request.body_file + ": " + lower_error_text(error ? error.value() : errno));
    curl_easy_setopt(handle_, CURLOPT_POST, 1L);
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, nullptr);
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(upload.bytes));
    curl_easy_setopt(handle_, CURLOPT_READFUNCTION, Upload::read);
    curl_easy_setopt(handle_, CURLOPT_READDATA, &upload);
    // The server says whether it wants the file; without its word nothing is sent.
    curl_easy_setopt(handle_, CURLOPT_EXPECT_100_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    return ok_status();
  }

  void set_patience(Patience& patience) {
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    curl_easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, Patience::look);
    curl_easy_setopt(handle_, CURLOPT_XFERINFODATA, &patience);
  }

  // Beside the timeout for the whole.
  void watch(const HttpRequest& request, Patience& patience) {
    if (request.silence_max.count() > 0)
      patience.silence_us = patience.work_us = microseconds(request.silence_max);
    if (request.gives_up)
      patience.gives_up = &request.gives_up;
    curl_easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, Patience::look);
    curl_easy_setopt(handle_, CURLOPT_XFERINFODATA, &patience);
  }

  void set_request(const HttpRequest& request, Body& body) {
    curl_easy_setopt(handle_, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle_, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, error_);
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, append_body);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    curl_easy_setopt(handle_, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(handle_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (request.has_body || request.method == "PUT" || request.method == "POST" || request.method == "PATCH") {
      curl_easy_setopt(handle_, CURLOPT_POST, 1L);
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request.body.c_str());
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  // The name to expect in the certificate is the URL's host for curl, so the URL gets that name and the connection the
  // real host.
  curl_slist* redirect_to_server_name(const HttpRequest& request, curl_slist*& headers) {
    if (options_.server_name.empty() || !request.url.starts_with("https://"))
      return nullptr;
    std::string host = host_port(request.url);
    std::string port = host.substr(host.rfind(':') + 1);
    std::size_t path = request.url.find_first_of("/?", 8);
    std::string rest = path == std::string::npos ? "" : request.url.substr(path);
    curl_easy_setopt(handle_, CURLOPT_URL, ("https://" + options_.server_name + ":" + port + rest).c_str());
    curl_slist* route = curl_slist_append(nullptr, (options_.server_name + ":" + port + ":" + host).c_str());
    curl_easy_setopt(handle_, CURLOPT_CONNECT_TO, route);
    headers = curl_slist_append(headers, ("Host: " + host).c_str());
    return route;
  }

  void set_blob(CURLoption option, const std::string& text) {
    if (text.empty())
      return;
    curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
    curl_easy_setopt(handle_, option, &blob);
  }

  void set_text(CURLoption option, const std::string& value) {
    if (!value.empty())
      curl_easy_setopt(handle_, option, value.c_str());
  }

  void set_connection() {
    // Like Go, only the proxy that we were told about; curl would read the environment once more.
    curl_easy_setopt(handle_, CURLOPT_PROXY, options_.proxy.c_str());
    set_text(CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket);
    set_text(CURLOPT_SSLCERT, options_.client_cert);
    set_text(CURLOPT_SSLKEY, options_.client_key);
    set_blob(CURLOPT_SSLCERT_BLOB, options_.client_cert_pem);
    set_blob(CURLOPT_SSLKEY_BLOB, options_.client_key_pem);
    if (options_.skip_verify || mutant(Mutant::kOutboundTlsUnverified)) {
      curl_easy_setopt(handle_, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(handle_, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!options_.ca_pem.empty() && options_.ca_cert.empty()) {
      set_blob(CURLOPT_CAINFO_BLOB, options_.ca_pem);
      curl_easy_setopt(handle_, CURLOPT_CAPATH, nullptr);
    } else if (!options_.ca_cert.empty()) {
      curl_easy_setopt(handle_, CURLOPT_CAINFO, options_.ca_cert.c_str());
      curl_easy_setopt(handle_, CURLOPT_CAPATH, nullptr);
    }
  }

  std::string failure(CURLcode code, const HttpRequest& request, bool too_large) const {
    std::string_view detail = error_;
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST: {
        std::string host = host_port(request.url);
        return "dial tcp: lookup " + host.substr(0, host.rfind(':')) + ": no such host";
      }
      case CURLE_COULDNT_CONNECT: return "dial " + dialled(request) + ": connect: " + connect_reason();
      case CURLE_ABORTED_BY_CALLBACK:
      case CURLE_OPERATION_TIMEDOUT:
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
      case CURLE_SSL_CONNECT_ERROR:
        if (detail.find("wrong version number") != std::string_view::npos ||
            detail.find("packet length too long") != std::string_view::npos)
          return std::string(kPlainHttpAnswer);
        return "tls: handshake failed: " + std::string(detail);
      case CURLE_PEER_FAILED_VERIFICATION: return "tls: failed to verify certificate: x509: " + verify_reason(request);
      case CURLE_GOT_NOTHING: return "EOF";
      case CURLE_PARTIAL_FILE: return "unexpected EOF";
      case CURLE_RECV_ERROR: return "read " + dialled(request) + ": " + connect_reason();
      case CURLE_WRITE_ERROR:
        if (too_large)
          return "the answer is larger than " + std::to_string(limits::kClientResponseBytesMax >> 20) + " MiB";
        break;
      default: break;
    }
    return detail.empty() ? curl_easy_strerror(code) : std::string(detail);
  }

  std::string dialled(const HttpRequest& request) const {
    return options_.unix_socket.empty() ? "tcp " + host_port(request.url) : "unix " + options_.unix_socket;
  }

  std::string connect_reason() const {
    long code = 0;
    curl_easy_getinfo(handle_, CURLINFO_OS_ERRNO, &code);
    return code == 0 ? std::string(error_) : lower_error_text(code);
  }

  std::string verify_reason(const HttpRequest& request) const {
    long result = 0;
    curl_easy_getinfo(handle_, CURLINFO_SSL_VERIFYRESULT, &result);
    std::string_view detail = error_;
    if (detail.find("does not match target host name") != std::string_view::npos ||
        detail.find("alternative certificate subject name") != std::string_view::npos) {
      std::string host = host_port(request.url);
      return "certificate is not valid for " +
             (options_.server_name.empty() ? host.substr(0, host.rfind(':')) : options_.server_name);
    }
    constexpr long kExpired = 10;
    constexpr long kFirstUntrusted = 18;
    constexpr long kLastUntrusted = 21;
    if (result == kExpired)
      return "certificate has expired or is not yet valid";
    if (result == 2 || (result >= kFirstUntrusted && result <= kLastUntrusted))
      return "certificate signed by unknown authority";
    return std::string(detail);
  }

  CURL* handle_;  // owned
  TransportOptions options_;
  char error_[CURL_ERROR_SIZE] = {};
};

Status readable(const std::string& path, std::string_view what) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0)
    return ok_status();
  return Status(Code::kInvalid, "failed to setup TLS config: Error loading " + std::string(what) + ": open " + path +
                                    ": " + lower_error_text(errno));
}

// All certificates of a folder, whatever its files are called; curl's own way wants them named by hash.
std::string certificates_in(const std::string& folder) {
  std::string all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::error_code kind_error;
    if (!entry.is_regular_file(kind_error))
      continue;
    std::ifstream file(entry.path());
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (text.find("-----BEGIN CERTIFICATE-----") != std::string::npos && all.size() < limits::kClientInputBytesMax)
      all += text + "\n";
  }
  return all;
}

}  // namespace

Result<std::unique_ptr<Transport>> make_curl_transport(const TransportOptions& options) {
  COFFER_TRY(readable(options.ca_cert, "CA File"));
  COFFER_TRY(readable(options.ca_path, "CA path"));
  if (options.client_cert.empty() != options.client_key.empty())
    return Status(Code::kInvalid, "failed to setup TLS config: both client cert and client key must be provided");
  COFFER_TRY(readable(options.client_cert, "client certificate"));
  COFFER_TRY(readable(options.client_key, "client key"));
  TransportOptions complete = options;
  if (options.ca_cert.empty() && options.ca_pem.empty() && !options.ca_path.empty())
    complete.ca_pem = certificates_in(options.ca_path);
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* handle = started == CURLE_OK ? curl_easy_init() : nullptr;
  if (handle == nullptr)
    return Status(Code::kInternal, "failed to create client: libcurl did not start");
  return std::unique_ptr<Transport>(std::make_unique<CurlTransport>(handle, std::move(complete)));
}

}  // namespace coffer::cli
