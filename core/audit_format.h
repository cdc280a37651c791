// What an audit line looks like (docs/formats/audit_line.md): one JSON object a line, in the shape that Vault's users
// parse. Pure; a formatter is immutable, so any thread may use it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "core/audit.h"
#include "core/audit_options.h"
#include "crypto/hmac.h"

namespace coffer::core {

inline constexpr std::string_view kAuditHashPrefix = "hmac-sha256:";

// Replaces values by "hmac-sha256:<64 hex digits>" under one device's key. Equal texts give equal hashes.
class AuditHasher {
 public:
  explicit AuditHasher(const SecretBytes& salt);
  std::string hash(std::string_view text) const;
  // Appends it as a JSON string.
  void append_quoted(std::string_view text, std::string& out) const;

 private:
  using Hash = std::array<char, kAuditHashPrefix.size() + 64 + 2>;  // with its quotes
  Hash compute(std::string_view text) const;
  const Hash* known(std::string_view text) const noexcept;

  crypto::HmacKey key_;
  // Of what every second answer holds: "", "true", "false" and small numbers. Not secret: anybody who may ask
  // sys/audit-hash can make the same table.
  std::vector<Hash> numbers_;
  Hash empty_;
  Hash true_;
  Hash false_;
};

// "read", "create", …: what a line calls the request's operation.
std::string_view audit_operation_name(const Request& request, const AuditFacts& facts);

// Gives a line that was made ahead the time at which it takes effect.
void set_line_time(std::string& line, WallTime now);

class AuditFormatter {
 public:
  AuditFormatter(const SecretBytes& salt, const AuditOptions& options, std::string_view running_version);

  // Appends the line of this phase, with its newline, to line.text. A response line takes over what the request line
  // before it said, when that line is there and tells the same.
  void append(const Exchange& exchange, AuditPhase phase, const AuditFacts& facts, WallTime now, std::string_view error,
              AuditLine& line) const;
  // The line that is written when a device is enabled.
  void append_test(std::string_view id, WallTime now, std::string& out) const;

  const AuditHasher& hasher() const noexcept { return hasher_; }

 private:
  // Where a hidden text stands in the line, so that it is copied and not hashed when it comes again.
  struct Shown {
    std::size_t at = 0;
    std::size_t size = 0;
  };
  void append_auth(const Request& request, const AuditFacts& facts, std::string& out, Shown& token,
                   Shown& accessor) const;
  void append_request(const Request& request, const AuditFacts& facts, std::string& out, Shown token,
                      Shown accessor) const;
  void append_headers(const Request& request, const AuditFacts& facts, std::string& out) const;
  void append_mount(const AuditFacts& facts, std::string_view version_name, std::string& out) const;
  void append_response(const Request& request, const Response& response, const AuditFacts& facts,
                       std::string& out) const;
  void append_response_auth(const Auth& auth, std::string& out) const;
  void append_wrap_info(const WrapInfo& wrap, std::string& out) const;
  void append_data(const json::Value& data, bool listed, const std::vector<std::string_view>& clear,
                   std::string& out) const;
  void append_elided(const json::Value& data, std::string& out) const;
  void append_hidden(std::string_view text, std::string& out) const;     // quoted
  void append_accessor(std::string_view text, std::string& out) const;   // quoted

  AuditHasher hasher_;
  bool log_raw_;
  bool hmac_accessor_;
  bool elide_lists_;
  std::vector<AuditExclusion> exclude_;
  std::string running_version_;  // empty: left out
};

}  // namespace coffer::core
