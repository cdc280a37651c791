// The meaning of a request head and body, once they are complete: operation, canonical path, namespace, data.
#pragma once

#include <optional>
#include <string_view>

#include "core/request.h"
#include "http/config.h"
#include "http/request_reader.h"

namespace coffer::http {

enum class Method : std::uint8_t { kGet, kHead, kList, kScan, kPost, kPut, kPatch, kDelete, kOptions, kOther };

// What the reader keeps of a head; text lives in the exchange's arena.
struct Head {
  Method method = Method::kOther;
  bool http11 = false;
  bool expects_continue = false;
  bool request_header = false;  // X-Vault-Request: true
  bool upgrades = false;        // Connection and Upgrade ask for a WebSocket...
  bool websocket_13 = false;    // ...of the version that there is
  std::string_view websocket_key{};
  std::string_view target;
  std::string_view token;       // X-Vault-Token
  std::string_view bearer;      // Authorization: Bearer
  std::string_view namespace_path;
  std::string_view wrap_ttl;
  std::string_view wrap_format;
  std::string_view explain;
  std::string_view inconsistent;
  std::string_view forward;
  std::string_view inline_path;   // X-Vault-Inline-Auth-Path and its kind
  std::string_view inline_operation;
  std::string_view inline_namespace;
  const core::HeaderLine* inline_parameters = nullptr;
  std::string_view content_type;
  std::string_view origin;        // kept only while other sites are let in
};

// Checks that need no body, and everything of the request but `data` of a body. `cors` may be null.
// Nothing on success.
std::optional<Refusal> build_head(const Head& head, const Config& config, const core::DoorSettings* cors,
                                  core::Exchange& exchange);

// Parses the body into request.data where the operation has one. `body` outlives the exchange's use.
std::optional<Refusal> build_body(std::string_view body, const Config& config, core::Exchange& exchange);

}  // namespace coffer::http
