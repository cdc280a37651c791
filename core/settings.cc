#include "core/settings.h"

#include "base/codec.h"
#include "core/token_params.h"

namespace coffer::core {
namespace {

constexpr std::size_t kEntriesMax = 1024;

Status take_audited_headers(ByteReader& reader, ServerSettings& settings) {
  auto headers = std::make_shared<ServerSettings::AuditedHeaders>();
  const std::uint64_t size = reader.varint();
  for (std::uint64_t i = 0; i < size && i < kEntriesMax && reader.ok(); ++i) {
    const std::string name(reader.bytes());
    headers->emplace(name, reader.u8() != 0);
  }
  settings.audited_headers = headers->empty() ? nullptr : std::move(headers);
  return reader.finish();
}

Status take_cors(ByteReader& reader, ServerSettings& settings) {
  const std::uint8_t flags = reader.u8();
  settings.cors_enabled = (flags & 1) != 0;
  settings.cors_credentials = (flags & 2) != 0;
  settings.cors_origins = decode_texts(reader);
  settings.cors_headers = decode_texts(reader);
  return reader.finish();
}

Status take_ui_headers(ByteReader& reader, ServerSettings& settings) {
  settings.ui_headers.clear();
  const std::uint64_t size = reader.varint();
  for (std::uint64_t i = 0; i < size && i < kEntriesMax && reader.ok(); ++i) {
    const std::string name(reader.bytes());
    settings.ui_headers[name] = decode_texts(reader);
  }
  return reader.finish();
}

std::string with_format() { return std::string(1, '\x01'); }

}  // namespace

const std::vector<std::string> kCorsHeadersAlways{
    "Content-Type",       "Authorization",    "X-Vault-Token",
    "X-Vault-MFA",        "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format", "X-Vault-Wrap-TTL", "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID", "X-Vault-Policy-Override"};

std::string encode_audited_headers(const ServerSettings& settings) {
  std::string out = with_format();
  ByteWriter writer(out);
  writer.varint(settings.audited_headers ? settings.audited_headers->size() : 0);
  if (settings.audited_headers)
    for (const auto& [name, hashed] : *settings.audited_headers)
      writer.bytes(name).u8(hashed ? 1 : 0);
  return out;
}

std::string encode_cors(const ServerSettings& settings) {
  std::string out = with_format();
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>((settings.cors_enabled ? 1 : 0) | (settings.cors_credentials ? 2 : 0)));
  encode_texts(settings.cors_origins, writer);
  encode_texts(settings.cors_headers, writer);
  return out;
}

std::string encode_ui_headers(const ServerSettings& settings) {
  std::string out = with_format();
  ByteWriter writer(out);
  writer.varint(settings.ui_headers.size());
  for (const auto& [name, values] : settings.ui_headers) {
    writer.bytes(name);
    encode_texts(values, writer);
  }
  return out;
}

std::string encode_metrics(const ServerSettings& settings) {
  return with_format() + (settings.metrics_enabled ? '\x01' : '\0');
}

std::string encode_approval(const ServerSettings& settings) {
  std::string out = with_format();
  ByteWriter(out).u64(static_cast<std::uint64_t>(settings.approval_ttl_max.count()));
  return out;
}

Status take_setting(std::string_view name, const std::string* plaintext, ServerSettings& settings) {
  std::string none = with_format();
  ByteReader reader(plaintext != nullptr ? std::string_view(*plaintext) : std::string_view(none));
  if (reader.u8() != 1)
    return Status(Code::kDataLoss, "a setting's record has an unknown form");
  Status status;
  if (name == kAuditedHeadersRecord) {
    if (plaintext == nullptr)
      settings.audited_headers = nullptr;
    else
      status = take_audited_headers(reader, settings);
  } else if (name == kCorsRecord) {
    settings.cors_enabled = settings.cors_credentials = false;
    settings.cors_origins = settings.cors_headers = {};
    if (plaintext != nullptr)
      status = take_cors(reader, settings);
  } else if (name == kUiHeadersRecord) {
    settings.ui_headers.clear();
    if (plaintext != nullptr)
      status = take_ui_headers(reader, settings);
  } else if (name == kMetricsRecord) {
    settings.metrics_enabled = plaintext == nullptr || reader.u8() != 0;
  } else if (name == kApprovalRecord) {
    settings.approval_ttl_max = Nanos(plaintext == nullptr ? 0 : static_cast<std::int64_t>(reader.u64()));
  } else if (name == kAutopilotRecord) {
    settings.autopilot = AutopilotSettings();
    if (plaintext != nullptr) {
      COFFER_ASSIGN(settings.autopilot, decode_autopilot_settings(*plaintext));
    }
  } else if (name == kCertificatesRecord) {
    settings.certificates = CertificatePlan();
    if (plaintext != nullptr) {
      COFFER_ASSIGN(settings.certificates, decode_certificate_plan(*plaintext));
    }
  }
  return status.with_context("a setting's record");
}

}  // namespace coffer::core
