// One `service_registration` block.
#include "server/config.h"
#include "server/config_section.h"

namespace coffer::server {
namespace {

Status read_consul(Section& section, hcl::Position at, RegistrationOptions& out) {
  std::string tags;
  bool disabled = false;
  COFFER_TRY(section.text("address", out.address));
  COFFER_TRY(section.text("scheme", out.scheme));
  COFFER_TRY(section.text("token", out.token));
  COFFER_TRY(section.text("service", out.service));
  COFFER_TRY(section.text("service_tags", tags));
  if (section.has("service_address")) {
    out.service_address.emplace();
    COFFER_TRY(section.text("service_address", *out.service_address));
  }
  COFFER_TRY(section.flag("disable_registration", disabled));
  COFFER_TRY(section.duration("check_timeout", out.check_timeout));
  COFFER_TRY(section.text("tls_ca_file", out.ca_file));
  COFFER_TRY(section.text("tls_cert_file", out.cert_file));
  COFFER_TRY(section.text("tls_key_file", out.key_file));
  COFFER_TRY(section.flag("tls_skip_verify", out.skip_verify));
  out.disabled = disabled;
  for (const std::string_view part : {"http://", "https://"})
    if (out.address.starts_with(part)) {
      out.scheme = part.substr(0, part.find(':'));
      out.address.erase(0, part.size());
    }
  if (out.scheme != "http" && out.scheme != "https")
    return section.fail(at, "scheme", "expected http or https");
  if (out.check_timeout < std::chrono::seconds(1))
    return section.fail(at, "check_timeout", "must be at least 1s");
  while (!tags.empty()) {
    const std::size_t comma = tags.find(',');
    std::string tag = tags.substr(0, comma);
    tags = comma == std::string::npos ? std::string() : tags.substr(comma + 1);
    std::erase(tag, ' ');
    if (!tag.empty())
      out.tags.push_back(std::move(tag));
  }
  return ok_status();
}

}  // namespace

Status read_registration(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "service_registration", 1);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    const std::string& kind = block.labels.front();
    RegistrationOptions out;
    Section section(*block.body, file, "service_registration \"" + kind + "\"");
    if (kind == "consul") {
      COFFER_TRY(read_consul(section, block.at, out));
    } else if (kind == "kubernetes") {
      out.kind = RegistrationOptions::Kind::kKubernetes;
      COFFER_TRY(section.text("namespace", out.name_space));
      COFFER_TRY(section.text("pod_name", out.pod_name));
      COFFER_TRY(section.text("service_account_folder", out.account_folder));
    } else {
      return config_error(file, block.at,
                          "unknown service_registration \"" + kind + "\": expected \"consul\" or \"kubernetes\"");
    }
    section.warn_unknown(config.warnings);
    config.registration = std::move(out);
  }
  return ok_status();
}

}  // namespace coffer::server
