// One request and its answer, the same for HTTP and gRPC. Both live in an Exchange, which owns the arena that holds all
// their text; the arena is wiped when the exchange is reused or destroyed, so string_views into it must not outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/path.h"
#include "base/status.h"

namespace coffer::core {

// What the client asks for. Whether a write is a create or an update (two capabilities) is decided by the engine's
// existence check, as in Vault.
// kScan lists whole trees: names of a folder and of all folders below it.
enum class Operation : std::uint8_t { kRead, kWrite, kDelete, kList, kPatch, kHelp, kScan };

// Both of a folder: their paths end in '/'.
constexpr bool lists(Operation operation) noexcept {
  return operation == Operation::kList || operation == Operation::kScan;
}

enum class Surface : std::uint8_t { kHttp, kGrpc };

// What the listener that a request came by allows beside or below what policies say.
struct Door {
  bool open_metrics = false;   // sys/metrics without a token, sealed or not
  bool metrics_only = false;   // nothing but sys/metrics
  bool no_metrics = false;     // sys/metrics for nobody
};

// A header of the request, in the order in which they came.
struct HeaderLine {
  std::string_view name;
  std::string_view value;
  const HeaderLine* next = nullptr;
};

// Answers piece by piece, for as long as the client listens. All calls come from the connection's thread.
class ByteStream {
 public:
  enum class Next : std::uint8_t {
    kLater,   // at the next tick, about twice a second, or when on_ready() says so
    kMore,    // as soon as the client has taken this
    kEnd,     // nothing will follow
    kBroken,  // nothing will follow and something is missing: the connection ends without the answer's end
  };
  virtual ~ByteStream() = default;
  // Appends what there is by now.
  virtual Next next(std::string& out) = 0;
  // `ready` may be called by any thread, until this is destroyed.
  virtual void on_ready(std::function<void()>) {}
  // Worth nothing unless it is whole: a server that stops breaks it off rather than ends it.
  virtual bool must_be_whole() const { return false; }
};

// A login that comes with a request: its token is made for this request, and is good for nothing else.
struct InlineLogin {
  CanonicalPath path;
  std::string_view namespace_path;
  json::Value data;  // object
};

// What a wrapping token is handed out as.
enum class WrapFormat : std::uint8_t { kToken, kJwt };

class BodyPipe;
class EventFeed;

struct Request {
  std::string_view id;                    // UUID text
  Surface surface = Surface::kHttp;
  Operation operation = Operation::kRead;
  CanonicalPath path;                     // below /v1/, e.g. "secret/data/x"
  std::string_view namespace_path;        // as in X-Vault-Namespace; empty is root
  std::string_view token;                 // empty when none was sent
  std::string_view remote_address;
  std::uint16_t remote_port = 0;
  Nanos time_max{0};                      // from dispatch to answer; 0: no bound of its own
  std::optional<Nanos> wrap_ttl;          // X-Vault-Wrap-TTL
  WrapFormat wrap_format = WrapFormat::kToken;  // X-Vault-Wrap-Format
  bool explain = false;                   // a refusal says which of the caller's own rules decided
  bool passing_login = false;             // its token shall live for one request, and its path must be one of logins
  std::shared_ptr<const InlineLogin> inline_login;  // null: none
  const HeaderLine* known_states = nullptr;  // X-Vault-Index: what the answer must not be older than
  bool at_leader = false;        // X-Vault-Forward: active-node; the node that leads is to answer
  bool leader_if_behind = false; // X-Vault-Inconsistent: forward-active-node; it is, where this node has no such state
  std::string_view content_type;          // tells merge-patch from json-patch
  std::string_view origin;                // of an allowed site of a browser; empty for all other clients
  Door door;
  bool takes_feed = false;                // the client can be told of events for as long as it listens
  const HeaderLine* headers = nullptr;    // kept only while somebody asks for them (core/door.h)
  bool forces_restore = false;            // X-Vault-Raft-Snapshot-Force (core/restore.h)
  std::shared_ptr<BodyPipe> body;         // set: the body goes there (core/body_pipe.h), and `data` holds none of it
  json::Value data;  // an object, or null when there was no body; query parameters of a read are members
};

// A token handed out or described. Text lives in the arena.
struct Auth {
  std::string_view client_token;
  std::string_view accessor;
  std::vector<std::string_view> policies;        // token and identity policies, sorted
  std::vector<std::string_view> token_policies;
  std::vector<std::string_view> identity_policies;
  json::Value metadata;                          // object or null
  Nanos lease_duration{0};
  bool renewable = false;
  bool orphan = false;
  std::string_view entity_id;
  std::string_view token_type = "service";
  std::int64_t num_uses = 0;
};

struct WrapInfo {
  std::string_view token;
  std::string_view accessor;
  Nanos ttl{0};
  WallTime creation_time;
  std::string_view creation_path;
  std::string_view wrapped_accessor;
};

// The answer. `status` 0 means: 200 with a body, 204 without one. A failed answer has a status >= 400 and its `errors`.
struct Response {
  int status = 0;
  json::Value data;                     // object or null: `data` of the envelope
  bool data_also_top_level = false;     // sys/mounts and its kind answer both ways
  bool bare = false;  // the body is `data` itself, without the envelope (health, seal-status, key-status…)
  std::optional<Auth> auth;
  std::optional<WrapInfo> wrap_info;
  std::string_view lease_id;
  Nanos lease_duration{0};
  bool renewable = false;
  std::string_view mount_type;
  std::vector<std::string_view> warnings;
  std::vector<std::string_view> errors;
  bool late = false;                    // failed because its time was over
  std::shared_ptr<ByteStream> stream;   // when set, and content_type: the body is what it gives, until it ends
  std::shared_ptr<EventFeed> feed;      // when set: the answer is what it tells (core/event_feed.h)
  std::string_view raw_body;            // when content_type is set: the body is this text
  std::string_view content_type;
  std::vector<std::pair<std::string_view, std::string_view>> headers;  // further ones, of HTTP; metadata of gRPC
  bool has_errors() const noexcept { return status >= 400; }
};

class Exchange;

// Where an exchange came from: a connection of some thread.
class Home {
 public:
  virtual ~Home() = default;
  // Any thread. Later, on the home thread, `Dispatcher::resume(exchange)` runs. Wake-ups are batched.
  virtual void resume_later(std::unique_ptr<Exchange> exchange) = 0;
  // Any thread. The answer is complete: it is written to the client (the shell moves to its own thread itself).
  virtual void respond(std::unique_ptr<Exchange> exchange) = 0;
};

// What the pipeline keeps of a request between its stages; defined in core/pipeline.h.
class PipelineState;

// The formatted lines of an exchange for one device; `device` is its place in the broker's set. Only the broker reads
// or writes it.
struct AuditLine {
  std::uint32_t device = 0;
  std::string text;                 // whole lines
  std::uint32_t submitted = 0;      // how much of it the device has been handed already
  std::uint32_t common_at = 0;      // what the response line has in common with the request line...
  std::uint32_t common_size = 0;
  std::uint64_t common_of = 0;      // ...and a fingerprint of what it was made of

  // Ready for another request, keeping the memory.
  void clear() noexcept {
    text.clear();
    submitted = common_at = common_size = 0;
  }
};

class Exchange {
 public:
  Exchange();
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Ready for another request: wipes the arena, keeps its first chunk.
  void reset();

  json::Arena arena;
  Request request;
  Response response;
  bool authenticated = false;                // it showed a token that is alive
  Home* home = nullptr;                      // outlives the exchange
  void* connection = nullptr;                // the shell's own, opaque here
  std::vector<AuditLine> audit_lines;        // prepared and not yet submitted; reused
  std::shared_ptr<const void> audit_set;     // keeps the device set alive that audit_lines refer to
  std::unique_ptr<PipelineState> pipeline;   // the pipeline's own; kept across requests to save its allocations
};

// The door of the server's core. Thread-safe.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  // Takes the request through the pipeline. May answer before it returns, on this thread, or later. Exactly one
  // respond() follows, whatever happens.
  virtual void dispatch(std::unique_ptr<Exchange> exchange) = 0;
  // Goes on with an exchange that came back by Home::resume_later.
  virtual void resume(std::unique_ptr<Exchange> exchange) = 0;
};

// Sets a failed answer from a Status (the one place that maps a category to an HTTP status) or from a status and texts.
int http_status(Code code) noexcept;
void fail(Exchange& exchange, const Status& status);
void fail(Exchange& exchange, int status, std::string_view error);

}  // namespace coffer::core
