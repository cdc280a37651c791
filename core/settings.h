// Settings of the server that are stored and take effect with the entry that changes them (docs/formats/settings.md).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/autopilot_settings.h"
#include "core/certificate_plan.h"

namespace coffer::core {

struct ServerSettings {
  // Names in lower case, and whether their values are hashed in audit lines.
  using AuditedHeaders = std::map<std::string, bool, std::less<>>;

  std::shared_ptr<const AuditedHeaders> audited_headers;       // null: none
  bool cors_enabled = false;
  bool cors_credentials = false;
  std::vector<std::string> cors_origins;
  std::vector<std::string> cors_headers;                       // beside those that clients of Vault send
  std::map<std::string, std::vector<std::string>, std::less<>> ui_headers;
  bool metrics_enabled = true;
  Nanos approval_ttl_max{0};         // longest wait for others; 0: what policies say
  AutopilotSettings autopilot;
  CertificatePlan certificates;
  bool engines_see_headers = false;  // not stored: some mount is tuned to pass headers of requests
};

// Record names below core/config/, and what each holds.
inline constexpr std::string_view kAuditedHeadersRecord = "audited-headers";
inline constexpr std::string_view kCorsRecord = "cors";
inline constexpr std::string_view kUiHeadersRecord = "ui-headers";
inline constexpr std::string_view kMetricsRecord = "metrics";
inline constexpr std::string_view kApprovalRecord = "control-group";
inline constexpr std::string_view kAutopilotRecord = "autopilot";
inline constexpr std::string_view kCertificatesRecord = "certificates";

std::string encode_audited_headers(const ServerSettings& settings);
std::string encode_cors(const ServerSettings& settings);
std::string encode_ui_headers(const ServerSettings& settings);
std::string encode_metrics(const ServerSettings& settings);
std::string encode_approval(const ServerSettings& settings);

// Takes over one record; null: it was deleted, so what it held has its default. Unknown names are left alone.
Status take_setting(std::string_view name, const std::string* plaintext, ServerSettings& settings);

// Headers that a page of another site may always send.
extern const std::vector<std::string> kCorsHeadersAlways;

}  // namespace coffer::core
