// `audit` blocks: devices that the configuration declares. `tracing`: where spans go.
#include <algorithm>
#include <charconv>

#include "base/path.h"
#include "core/audit_options.h"
#include "server/config.h"
#include "server/config_section.h"
#include "server/otlp.h"

namespace coffer::server {
namespace {

Status read_options(Section& section, AuditStanza& out) {
  section.know("options");
  const auto blocks = hcl::blocks(section.object(), "options", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + section.file());
  for (const hcl::Block& block : *blocks) {
    for (const hcl::Item& item : block.body->items) {
      if (item.value.kind == hcl::Kind::kList || item.value.kind == hcl::Kind::kObject)
        return section.fail(item.at, item.key, "expected a text, a number or true or false");
      out.options.emplace_back(item.key, item.value.text);
    }
  }
  return ok_status();
}

}  // namespace

Status read_audits(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "audit", 2);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    AuditStanza out;
    out.type = block.labels[0];
    out.path = block.labels[1];
    while (out.path.ends_with('/'))
      out.path.pop_back();
    Section section(*block.body, file, "audit \"" + out.type + "\" \"" + out.path + "\"");
    COFFER_TRY(section.text("description", out.description));
    COFFER_TRY(section.flag("local", out.local));
    COFFER_TRY(read_options(section, out));
    section.warn_unknown(config.warnings);
    if (out.path.empty() || !CanonicalPath::from_text(out.path).ok())
      return config_error(file, block.at, "audit: the second label must be a path such as \"file\"");
    const bool known = std::ranges::any_of(config.audits, [&out](const AuditStanza& a) { return a.path == out.path; });
    if (known)
      return config_error(file, block.at, "audit \"" + out.path + "\": is declared twice");
    if (const auto options = core::parse_audit_options(out.type, out.options); !options.ok())
      return config_error(file, block.at, section.name() + ": " + options.status().message());
    config.audits.push_back(std::move(out));
  }
  return ok_status();
}

namespace {

Status read_ratio(Section& section, double& out) {
  const hcl::Node* node = section.find("sample_ratio");
  if (node == nullptr)
    return ok_status();
  const auto [end, error] = std::from_chars(node->text.data(), node->text.data() + node->text.size(), out);
  if (error != std::errc() || end != node->text.data() + node->text.size() || !(out >= 0.0 && out <= 1.0))
    return section.fail(node->at, "sample_ratio", "expected a number from 0 to 1");
  return ok_status();
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c != 0x7f; });
}

Status read_headers(Section& section, TracingOptions& out) {
  section.know("headers");
  const hcl::Node* headers = section.object().find("headers");
  if (headers == nullptr)
    return ok_status();
  for (const hcl::Item& item : headers->items) {
    if (item.value.kind != hcl::Kind::kString || !is_printable(item.value.text) || !is_printable(item.key) ||
        item.key.find_first_of(": ") != std::string::npos)
      return section.fail(item.at, "headers", "expected names and values of headers");
    out.headers.emplace_back(item.key, item.value.text);
  }
  return ok_status();
}

}  // namespace

Status split_endpoint(TracingOptions& options) {
  const Status wrong(Code::kInvalid, "expected http://host:port/path; put a collector beside the server for TLS");
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = options.endpoint;
  if (!rest.starts_with(kScheme))
    return wrong;
  rest.remove_prefix(kScheme.size());
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && slash + 1 < rest.size())
    options.path = rest.substr(slash);
  rest = rest.substr(0, slash);
  const std::size_t colon = rest.rfind(':');
  const bool v6 = rest.ends_with(']');
  options.host = rest.substr(0, v6 ? rest.size() : colon);
  options.port = v6 || colon == std::string_view::npos ? "4318" : std::string(rest.substr(colon + 1));
  if (options.host.starts_with('[') && options.host.ends_with(']'))
    options.host = options.host.substr(1, options.host.size() - 2);
  const bool plain = options.path.find_first_of(" \r\n") == std::string::npos && !options.host.empty() &&
                     options.port.find_first_not_of("0123456789") == std::string::npos && !options.port.empty();
  return plain ? ok_status() : wrong;
}

Status read_tracing(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "tracing", 0);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    TracingOptions out;
    Section section(*block.body, file, "tracing");
    COFFER_TRY(section.text("endpoint", out.endpoint));
    COFFER_TRY(section.text("service_name", out.service_name));
    COFFER_TRY(read_ratio(section, out.sample_ratio));
    COFFER_TRY(read_headers(section, out));
    section.warn_unknown(config.warnings);
    if (const Status status = split_endpoint(out); !status.ok())
      return section.fail(block.at, "endpoint", status.message());
    config.tracing = std::move(out);
  }
  return ok_status();
}

}  // namespace coffer::server
