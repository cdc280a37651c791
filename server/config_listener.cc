// One `listener` block.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/path.h"
#include "core/settings.h"
#include "http/config.h"
#include "server/config.h"
#include "server/config_section.h"

namespace coffer::server {
namespace {

// Settings that narrow what a listener lets through. Ignoring one would open what the operator closed, so they are
// refused.
constexpr std::array<std::string_view, 12> kRefused{"redact_addresses",
                                                    "redact_cluster_name",
                                                    "redact_version",
                                                    "disable_replication_status_endpoints",
                                                    "disable_unauthed_rekey_endpoints",
                                                    "disable_unauthed_generate_root_endpoints",
                                                    "proxy_protocol_behavior",
                                                    "proxy_protocol_authorized_addrs",
                                                    "x_forwarded_for_reject_not_present",
                                                    "x_forwarded_for_reject_not_authorized",
                                                    "x_forwarded_for_authorized_addrs",
                                                    "x_forwarded_for_client_cert_header"};

// "host:port", "[v6]:port", "host" or "[v6]".
bool split_address(std::string_view text, std::string& host, std::uint16_t& port) {
  std::string_view port_text;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || (close + 1 < text.size() && text[close + 1] != ':'))
      return false;
    host = text.substr(1, close - 1);
    if (close + 1 < text.size())
      port_text = text.substr(close + 2);
    if (close + 2 == text.size())
      return false;
  } else {
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos &&
        (text.find(':', colon + 1) != std::string_view::npos || colon + 1 == text.size()))
      return false;
    host = text.substr(0, colon);
    if (colon != std::string_view::npos)
      port_text = text.substr(colon + 1);
  }
  if (host.empty())
    host = "0.0.0.0";
  if (port_text.empty())
    return true;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  return error == std::errc() && end == port_text.data() + port_text.size();
}

Status read_address(Section& section, ListenerConfig& out) {
  const hcl::Node* node = section.find("address");
  if (node == nullptr)
    return ok_status();
  if (node->kind != hcl::Kind::kString || !split_address(node->text, out.host, out.port))
    return section.fail(node->at, "address", "expected host:port");
  return ok_status();
}

Status read_tls(Section& section, hcl::Position at, ListenerConfig& out) {
  bool disabled = false;
  crypto::TlsFiles tls;
  bool no_client_certs = false;
  COFFER_TRY(section.flag("tls_disable", disabled));
  COFFER_TRY(section.text("tls_cert_file", tls.cert_file));
  COFFER_TRY(section.text("tls_key_file", tls.key_file));
  COFFER_TRY(section.text("tls_client_ca_file", tls.client_ca_file));
  COFFER_TRY(section.flag("tls_require_and_verify_client_cert", tls.require_client_cert));
  COFFER_TRY(section.flag("tls_disable_client_certs", no_client_certs));
  std::string version;
  COFFER_TRY(section.text("tls_min_version", version));
  if (version != "" && version != "tls12" && version != "tls13")
    return section.fail(section.find("tls_min_version")->at, "tls_min_version",
                        "expected tls12 or tls13; older versions are not offered");
  if (version == "tls13" && out.kind == ListenerKind::kGrpc)
    return section.fail(section.find("tls_min_version")->at, "tls_min_version",
                        "expected tls12: gRPC offers TLS 1.2 too");
  tls.min_version = version == "tls13" ? crypto::TlsVersion::k13 : crypto::TlsVersion::k12;
  if (disabled)
    return ok_status();
  for (const auto& [key, value] : {std::pair<std::string_view, const std::string&>{"tls_cert_file", tls.cert_file},
                                   {"tls_key_file", tls.key_file}}) {
    if (value.empty())
      return section.fail(at, key, "must be set, or \"tls_disable = true\"");
  }
  if (tls.require_client_cert && no_client_certs)
    return section.fail(at, "tls_disable_client_certs", "contradicts tls_require_and_verify_client_cert");
  if (tls.require_client_cert && tls.client_ca_file.empty())
    return section.fail(at, "tls_client_ca_file", "must be set with tls_require_and_verify_client_cert");
  tls.ask_client_cert = !no_client_certs;
  out.tls = std::move(tls);
  return ok_status();
}

Status read_limits(Section& section, ListenerConfig& out) {
  COFFER_TRY(section.optional(&Section::bytes, "max_request_size", out.max_request_bytes));
  COFFER_TRY(section.optional(&Section::duration, "max_request_duration", out.max_request_duration));
  COFFER_TRY(section.optional(&Section::bytes, "max_request_json_strings", out.max_json_strings));
  COFFER_TRY(section.optional(&Section::bytes, "max_request_json_memory", out.max_json_memory_bytes));
  COFFER_TRY(section.optional(&Section::bytes, "max_json_depth", out.max_json_depth));
  COFFER_TRY(section.optional(&Section::duration, "http_read_timeout", out.read_timeout));
  COFFER_TRY(section.optional(&Section::duration, "http_read_header_timeout", out.read_header_timeout));
  COFFER_TRY(section.optional(&Section::duration, "http_write_timeout", out.write_timeout));
  COFFER_TRY(section.optional(&Section::duration, "http_idle_timeout", out.idle_timeout));
  return section.flag("require_request_header", out.require_request_header);
}

Status read_telemetry(Section& section, ListenerConfig& out, std::vector<std::string>& warnings) {
  section.know("telemetry");
  const auto blocks = hcl::blocks(section.object(), "telemetry", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + section.file());
  for (const hcl::Block& block : *blocks) {
    Section inner(*block.body, section.file(), section.name() + " telemetry");
    COFFER_TRY(inner.flag("unauthenticated_metrics_access", out.unauthenticated_metrics));
    COFFER_TRY(inner.flag("metrics_only", out.metrics_only));
    COFFER_TRY(inner.flag("disallow_metrics", out.disallow_metrics));
    if (out.metrics_only && out.disallow_metrics)
      return inner.fail(block.at, "metrics_only", "contradicts disallow_metrics");
    inner.warn_unknown(warnings);
  }
  return ok_status();
}

// custom_response_headers { "default" = { "Name" = ["value", …] } }
Status read_response_headers(Section& section, ListenerConfig& out) {
  section.know("custom_response_headers");
  const auto blocks = hcl::blocks(section.object(), "custom_response_headers", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + section.file());
  http::CustomHeaders check;
  for (const hcl::Block& block : *blocks) {
    for (const hcl::Item& rule : block.body->items) {
      auto& lines = out.response_headers[rule.key];
      const std::vector<hcl::Node> one{rule.value};
      for (const hcl::Node& part : rule.value.kind == hcl::Kind::kList ? rule.value.list : one) {
        for (const hcl::Item& header : part.items) {
          const std::vector<hcl::Node> single{header.value};
          for (const hcl::Node& value : header.value.kind == hcl::Kind::kList ? header.value.list : single)
            lines.emplace_back(header.key, value.text);
        }
      }
      if (const Status status = check.add(rule.key, lines); !status.ok())
        return section.fail(rule.at, "custom_response_headers", status.message());
    }
  }
  return ok_status();
}

Status read_chroot(Section& section, ListenerConfig& out) {
  COFFER_TRY(section.text("chroot_namespace", out.chroot_namespace));
  if (!section.has("chroot_namespace"))
    return ok_status();
  const hcl::Position at = section.find("chroot_namespace")->at;
  if (out.kind == ListenerKind::kGrpc)
    return section.fail(at, "chroot_namespace", "is of listeners of kind \"tcp\" only");
  while (out.chroot_namespace.ends_with('/'))
    out.chroot_namespace.pop_back();
  while (out.chroot_namespace.starts_with('/'))
    out.chroot_namespace.erase(0, 1);
  if (out.chroot_namespace.empty() || !CanonicalPath::from_text(out.chroot_namespace).ok())
    return section.fail(at, "chroot_namespace", "must be the path of a namespace");
  return ok_status();
}

Status read_cors(Section& section, ListenerConfig& out) {
  core::DoorSettings cors;
  COFFER_TRY(section.flag("cors_enabled", cors.cors));
  COFFER_TRY(section.flag("cors_allow_credentials", cors.cors_credentials));
  COFFER_TRY(section.texts("cors_allowed_origins", cors.cors_origins));
  COFFER_TRY(section.texts("cors_allowed_headers", cors.cors_headers));
  if (!section.has("cors_enabled")) {
    for (const char* key : {"cors_allow_credentials", "cors_allowed_origins", "cors_allowed_headers"})
      if (section.has(key))
        return section.fail(section.find(key)->at, key, "needs \"cors_enabled\"");
    return ok_status();
  }
  const hcl::Position at = section.find("cors_enabled")->at;
  if (out.kind == ListenerKind::kGrpc)
    return section.fail(at, "cors_enabled", "is of listeners of kind \"tcp\" only");
  if (cors.cors && cors.cors_origins.empty())
    return section.fail(at, "cors_enabled", "needs \"cors_allowed_origins\"");
  const bool any = std::ranges::find(cors.cors_origins, "*") != cors.cors_origins.end();
  if (any && (cors.cors_origins.size() > 1 || cors.cors_credentials))
    return section.fail(at, "cors_allowed_origins",
                        "\"*\" stands alone, and without \"cors_allow_credentials\"");
  for (const std::string& text : cors.cors_headers)
    if (text.find_first_of("\r\n,: ") != std::string::npos || text.empty())
      return section.fail(at, "cors_allowed_headers", "must be names of headers");
  cors.cors_headers.insert(cors.cors_headers.begin(), core::kCorsHeadersAlways.begin(), core::kCorsHeadersAlways.end());
  out.cors = std::move(cors);
  return ok_status();
}

}  // namespace

Result<ListenerConfig> read_listener(const hcl::Block& block, const std::string& file,
                                     std::vector<std::string>& warnings) {
  ListenerConfig out;
  const std::string& kind = block.labels.front();
  if (kind != "tcp" && kind != "grpc")
    return config_error(file, block.at, "unknown listener kind \"" + kind + "\": expected \"tcp\" or \"grpc\"");
  out.kind = kind == "grpc" ? ListenerKind::kGrpc : ListenerKind::kTcp;
  out.port = kind == "grpc" ? 8210 : 8200;
  Section section(*block.body, file, "listener \"" + kind + "\"");
  COFFER_TRY(read_address(section, out));
  COFFER_TRY(section.text("cluster_address", out.cluster_address));
  COFFER_TRY(read_tls(section, block.at, out));
  COFFER_TRY(read_limits(section, out));
  COFFER_TRY(read_telemetry(section, out, warnings));
  COFFER_TRY(read_response_headers(section, out));
  COFFER_TRY(read_chroot(section, out));
  COFFER_TRY(read_cors(section, out));
  for (const std::string_view key : kRefused) {
    if (const hcl::Node* node = section.find(key))
      return section.fail(node->at, key, "is not supported by this version");
  }
  section.warn_unknown(warnings);
  return out;
}

}  // namespace coffer::server
