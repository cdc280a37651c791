#include "server/otlp.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/encoding.h"
#include "base/error_text.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/version.h"

namespace coffer::server {
namespace {

constexpr std::chrono::milliseconds kFlushInterval{500};
constexpr int kSendSecondsMax = 5;
constexpr int kServerKind = 2;
constexpr int kInternalKind = 1;

std::string hex64(std::uint64_t value) {
  char bytes[8];
  for (int i = 7; i >= 0; --i, value >>= 8)
    bytes[i] = static_cast<char>(value & 0xff);
  return hex_encode({bytes, sizeof bytes});
}

// A span's id from its trace and its place in it, so that none need be drawn. Never 0.
std::uint64_t span_id(const core::FinishedRequest& request, std::uint64_t place) {
  std::uint64_t hash = 0xcbf29ce484222325ull ^ place;
  for (const char c : request.request_id)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash ^= hash >> 29;
  return hash == 0 ? 1 : hash;
}

json::Value attribute(json::Arena& arena, std::string_view key, json::Value value, std::string_view kind) {
  return json::ObjectBuilder(arena, 2)
      .add("key", key)
      .add("value", json::ObjectBuilder(arena, 1).add(kind, value).build())
      .build();
}

json::Value text_attribute(json::Arena& arena, std::string_view key, std::string_view text) {
  return attribute(arena, key, json::Value::string(arena, text), "stringValue");
}

std::string_view operation_of(const core::FinishedRequest& request) {
  constexpr std::string_view kNames[] = {"read", "write", "delete", "list", "patch", "help", "scan"};
  return kNames[static_cast<std::size_t>(request.operation)];
}

// Builds the spans of one export.
class Export {
 public:
  Export(json::Arena& arena, std::int64_t wall_offset) : arena_(arena), spans_(arena, 64), offset_(wall_offset) {}

  void add(const core::FinishedRequest& request) {
    const std::uint64_t root = span_id(request, 0);
    const core::StageTimes& t = request.times;
    std::string name(operation_of(request));
    if (!request.mount_type.empty())
      name.append(" ").append(request.mount_type);
    json::ArrayBuilder attributes(arena_, 6);
    attributes.add(text_attribute(arena_, "coffer.request_id", request.request_id));
    attributes.add(text_attribute(arena_, "coffer.operation", operation_of(request)));
    attributes.add(text_attribute(arena_, "coffer.mount_point", request.mount_point));
    attributes.add(text_attribute(arena_, "coffer.mount_type", request.mount_type));
    attributes.add(text_attribute(arena_, "coffer.surface", request.surface == core::Surface::kHttp ? "http" : "grpc"));
    const int status = request.status == 0 ? 200 : request.status;
    attributes.add(attribute(arena_, "http.response.status_code",
                             json::Value::string(arena_, std::to_string(status)), "intValue"));
    span(request, root, request.parent_span, name, kServerKind, t.began, t.ended, attributes.build(), status >= 500);
    const struct {
      std::string_view name;
      std::int64_t from, to;
    } stages[] = {{"route", t.began, t.token},          {"acl", t.token, t.policy},
                  {"barrier", t.policy, t.handled},     {"audit.request", t.audit_asked, t.request_audited},
                  {"raft", t.proposed, t.committed},    {"audit.response", t.response_asked, t.ended}};
    std::uint64_t place = 0;
    for (const auto& stage : stages) {
      ++place;
      if (stage.from != 0 && stage.to != 0)
        span(request, span_id(request, place), root, stage.name, kInternalKind, stage.from, stage.to,
             json::ArrayBuilder(arena_, 1).build(), false);
    }
  }
  json::Value build() const { return spans_.build(); }

 private:
  void span(const core::FinishedRequest& request, std::uint64_t id, std::uint64_t parent, std::string_view name,
            int kind, std::int64_t from, std::int64_t to, json::Value attributes, bool failed) {
    json::ObjectBuilder out(arena_, 10);
    out.add("traceId", hex_encode({reinterpret_cast<const char*>(request.trace_id.data()), request.trace_id.size()}));
    out.add("spanId", hex64(id));
    if (parent != 0)
      out.add("parentSpanId", hex64(parent));
    out.add("name", name).add("kind", kind);
    out.add("startTimeUnixNano", std::to_string(from + offset_)).add("endTimeUnixNano", std::to_string(to + offset_));
    out.add("attributes", attributes);
    json::ObjectBuilder status(arena_, 1);
    if (failed)
      status.add("code", 2);
    out.add("status", status.build());
    spans_.add(out.build());
  }

  json::Arena& arena_;
  json::ArrayBuilder spans_;
  const std::int64_t offset_;
};

class Connected {
 public:
  ~Connected() {
    if (fd >= 0)
      ::close(fd);
  }
  int fd = -1;
};

Status connect_to(const TracingOptions& options, Connected& out) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(options.host.c_str(), options.port.c_str(), &wanted, &found); error != 0)
    return Status(Code::kUnavailable, ::gai_strerror(error));
  Status last(Code::kUnavailable, "no address");
  for (const addrinfo* one = found; one != nullptr && out.fd < 0; one = one->ai_next) {
    const int fd = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
    const timeval limit{kSendSecondsMax, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (fd >= 0 && ::connect(fd, one->ai_addr, one->ai_addrlen) == 0) {
      out.fd = fd;
      break;
    }
    last = Status(Code::kUnavailable, "connect: " + std::string(error_text(errno)));
    if (fd >= 0)
      ::close(fd);
  }
  ::freeaddrinfo(found);
  return out.fd >= 0 ? ok_status() : last;
}

}  // namespace

std::string otlp_json(const std::vector<core::FinishedRequest>& requests, std::int64_t wall_offset,
                      const TracingOptions& options) {
  json::Arena arena;
  Export all(arena, wall_offset);
  for (const core::FinishedRequest& request : requests)
    all.add(request);
  json::ArrayBuilder resource(arena, 2);
  resource.add(text_attribute(arena, "service.name", options.service_name));
  resource.add(text_attribute(arena, "service.version", kVaultVersion));
  const json::Value scope =
      json::ObjectBuilder(arena, 2).add("name", "coffer").add("version", kVaultVersion).build();
  const json::Value scope_spans =
      json::ArrayBuilder(arena, 1)
          .add(json::ObjectBuilder(arena, 2).add("scope", scope).add("spans", all.build()).build())
          .build();
  const json::Value resource_spans =
      json::ArrayBuilder(arena, 1)
          .add(json::ObjectBuilder(arena, 2)
                   .add("resource", json::ObjectBuilder(arena, 1).add("attributes", resource.build()).build())
                   .add("scopeSpans", scope_spans)
                   .build())
          .build();
  std::string out;
  json::write(json::ObjectBuilder(arena, 1).add("resourceSpans", resource_spans).build(), out);
  return out;
}

OtlpExporter::OtlpExporter(TracingOptions options, const Clock& clock, Logger& logger)
    : options_(std::move(options)), clock_(clock), logger_(logger), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "otlp");
}

OtlpExporter::~OtlpExporter() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool OtlpExporter::wants(const std::array<std::uint8_t, 16>& trace_id, const bool* sampled) const {
  if (sampled != nullptr)
    return *sampled;
  std::uint64_t low = 0;
  std::memcpy(&low, trace_id.data() + 8, sizeof low);
  // The first bits of a UUID's second half are fixed; the others are as good as random.
  return static_cast<double>(low >> 11) / static_cast<double>(1ull << 53) < options_.sample_ratio;
}

void OtlpExporter::finished(core::FinishedRequest request) {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (queue_.size() >= kRequestsQueuedMax) {
      metrics::add(metrics::Count::kSpansDropped);
      return;
    }
    queue_.push_back(std::move(request));
    wake = queue_.size() == kRequestsPerExportMax;
  }
  if (wake)
    changed_.notify_one();
}

void OtlpExporter::run() {
  bool complained = false;
  for (bool last = false; !last;) {
    std::vector<core::FinishedRequest> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kFlushInterval, [this] { return stopping_ || queue_.size() >= kRequestsPerExportMax; });
      last = stopping_;
      while (!queue_.empty() && batch.size() < kRequestsPerExportMax) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    if (batch.empty())
      continue;
    const std::int64_t offset = clock_.wall_now().time_since_epoch().count() - metrics::now_ns();
    const Status sent = send(otlp_json(batch, offset, options_));
    metrics::add(sent.ok() ? metrics::Count::kSpansSent : metrics::Count::kSpansDropped, batch.size());
    if (!sent.ok() && !complained)
      logger_.warn("server", "traces cannot be sent to the collector: " + sent.message());
    complained = !sent.ok();
  }
}

Status OtlpExporter::send(const std::string& body) const {
  Connected connection;
  COFFER_TRY(connect_to(options_, connection));
  std::string message = "POST " + options_.path + " HTTP/1.1\r\nHost: " + options_.host + ":" + options_.port +
                        "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : options_.headers)
    message.append(name).append(": ").append(value).append("\r\n");
  message.append("\r\n").append(body);
  for (std::string_view left = message; !left.empty();) {
    const ssize_t sent = ::send(connection.fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return Status(Code::kUnavailable, "send: " + std::string(error_text(errno)));
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  char answer[64];
  const ssize_t got = ::recv(connection.fd, answer, sizeof answer, MSG_WAITALL);
  const std::string_view line(answer, got > 0 ? static_cast<std::size_t>(got) : 0);
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[9] != '2')
    return Status(Code::kUnavailable, "the collector did not take them");
  return ok_status();
}

}  // namespace coffer::server
