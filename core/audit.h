// Audit: every request and every answer is a line that at least one device has accepted before anything leaves. Every
// scalar that came from a client or goes to one is replaced by an HMAC-SHA256 under the device's own key, whatever its
// type (advisories H1, H5); structure, paths, operation and times stay readable.
//
// Formatting is pure and runs on the request's thread; devices accept lines through bounded rings and answer in
// batches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/request.h"

namespace coffer::core {

// What a line tells beside request and response: filled by the pipeline as it learns it.
struct AuditFacts {
  std::string_view accessor;             // hashed like the token unless the device says otherwise
  std::string_view display_name;
  std::string_view entity_id;
  std::string_view token_type;
  std::vector<std::string_view> policies;
  std::vector<std::string_view> token_policies;
  std::vector<std::string_view> identity_policies;
  Nanos token_ttl{0};
  WallTime token_issue_time{};
  std::string_view mount_point;          // "secret/"
  std::string_view mount_type;
  std::string_view mount_accessor;
  std::string_view mount_uuid;
  std::string_view namespace_id = "root";
  std::string_view namespace_path;
  std::string_view path;                 // within the namespace; empty: as the request has it
  bool client_token_known = false;       // false: there is no `auth` to tell of; the token is hashed all the same
  bool allowed = true;                   // what the policies decided
  bool creates = false;                  // a write of what did not exist: printed as "create", not "update"
  // Which headers of the request are told, and whether hashed; null: none.
  std::shared_ptr<const std::map<std::string, bool, std::less<>>> audited_headers;
  // Outermost keys of data that the mount is tuned to show in clear.
  std::vector<std::string_view> clear_request_keys;
  std::vector<std::string_view> clear_response_keys;
  std::int64_t remaining_uses = 0;       // of a use-limited token; 0: not limited
};

enum class AuditPhase : std::uint8_t { kRequest, kResponse };

// Called by a device's thread once per submitted exchange.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  // `status` is ok when at least one device accepted the lines; else nothing may leave. Any thread.
  virtual void audited(std::unique_ptr<Exchange> exchange, const Status& status) = 0;
};

// The set of enabled devices: immutable snapshot inside core::Published; submit() is thread-safe.
class AuditBroker {
 public:
  virtual ~AuditBroker() = default;
  virtual bool any_device() const = 0;
  // Formats the line of this phase for each device into exchange.audit_lines (no I/O yet) and makes exchange.audit_set
  // keep this set alive. The request's line comes first; `facts` of the response that equal those of the request (same
  // views) cost nothing twice. `error` is the text that the client gets, or empty.
  virtual void prepare(Exchange& exchange, AuditPhase phase, const AuditFacts& facts, WallTime now,
                       std::string_view error) = 0;
  // Hands all lines of the exchange that were prepared and not yet submitted to the devices' rings; `sink` hears of it
  // once, with the exchange: at once when there is no device or when all refuse, else from a device's thread or from
  // the tick. May be called on the set of exchange.audit_set only.
  virtual void submit(std::unique_ptr<Exchange> exchange, AuditSink& sink) = 0;
};

}  // namespace coffer::core
