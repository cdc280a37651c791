// The blocks `seal "KIND"` of the configuration.
#include <algorithm>
#include <array>
#include <span>

#include "seal/hsm_seal.h"
#include "server/aws_kms.h"
#include "server/azure_key_vault.h"
#include "server/config.h"
#include "server/config_section.h"
#include "server/gcp_kms.h"
#include "server/transit_seal.h"

namespace coffer::server {
namespace {

constexpr std::array kKinds = {seal::kStaticKind, seal::kPkcs11Kind, kAwsKmsKind, kAzureKind, kGcpKind, kTransitKind};

Status read_static_seal(Section& section, SealStanza& out) {
  seal::StaticSealOptions& options = out.static_options;
  COFFER_TRY(section.secret("current_key", options.current_key));
  COFFER_TRY(section.text("current_key_id", options.current_key_id));
  COFFER_TRY(section.secret("previous_key", options.previous_key));
  COFFER_TRY(section.text("previous_key_id", options.previous_key_id));
  return section.secrets("keys", options.keys);
}

Status read_pkcs11_seal(Section& section, Pkcs11Stanza& out) {
  COFFER_TRY(section.text("lib", out.library));
  COFFER_TRY(section.text("slot", out.slot));
  COFFER_TRY(section.text("token_label", out.token_label));
  COFFER_TRY(section.text("token_serial", out.token_serial));
  COFFER_TRY(section.secret("pin", out.pin));
  COFFER_TRY(section.text("default_key_label", out.key_label));
  COFFER_TRY(section.text("key_label", out.key_label));
  COFFER_TRY(section.text("key_id", out.key_id));
  COFFER_TRY(section.text("default_hmac_key_label", out.hmac_key_label));
  COFFER_TRY(section.text("hmac_key_label", out.hmac_key_label));
  COFFER_TRY(section.text("hmac_key_id", out.hmac_key_id));
  COFFER_TRY(section.text("mechanism", out.mechanism));
  COFFER_TRY(section.text("rsa_oaep_hash", out.oaep_hash));
  COFFER_TRY(section.flag("generate_key", out.generate_key));
  return section.flag("force_rw_session", out.force_rw_session);
}

// What the block of a key service may say, as it is written; the environment may too (server/seals.cc).
struct ServiceSettings {
  std::string_view kind;
  std::span<const char* const> texts;
};
constexpr std::array kAwsTexts = {"region",        "kms_key_id",
                                  "endpoint",      "access_key",
                                  "secret_key",    "session_token",
                                  "profile",       "shared_creds_filename",
                                  "role_arn",      "role_session_name",
                                  "web_identity_token_file"};
constexpr std::array kAzureTexts = {"tenant_id",  "client_id", "client_secret", "environment",
                                    "vault_name", "key_name",  "resource",      "endpoint"};
constexpr std::array kGcpTexts = {"project", "region", "key_ring", "crypto_key", "credentials", "endpoint"};
constexpr std::array kTransitTexts = {"address",         "token",          "key_name",       "mount_path", "namespace",
                                      "tls_ca_cert",     "tls_client_cert", "tls_client_key", "tls_server_name"};
constexpr std::array kTransitFlags = {"disable_renewal", "tls_skip_verify"};
constexpr std::array kServiceSettings = {
    ServiceSettings{kAwsKmsKind, kAwsTexts}, ServiceSettings{kAzureKind, kAzureTexts},
    ServiceSettings{kGcpKind, kGcpTexts}, ServiceSettings{kTransitKind, kTransitTexts}};

Status read_service_seal(Section& section, const ServiceSettings& known, SealStanza& out) {
  for (const char* name : known.texts)
    if (section.has(name))
      COFFER_TRY(section.secret(name, out.settings[name]));
  if (known.kind != kTransitKind)
    return ok_status();
  for (const char* name : kTransitFlags) {
    bool value = false;
    COFFER_TRY(section.flag(name, value));
    if (section.has(name))
      out.settings[name] = SecretBytes::copy_of(std::string_view(value ? "true" : "false"));
  }
  return ok_status();
}

Status read_seal(const hcl::Block& block, const std::string& file, Config& config) {
  SealStanza out;
  out.kind = block.labels.front();
  Section section(*block.body, file, "seal \"" + out.kind + "\"");
  COFFER_TRY(section.flag("disabled", out.disabled));
  COFFER_TRY(section.text("name", out.name));
  if (section.has("priority"))
    COFFER_TRY(section.number("priority", 1, 1000, out.priority));
  out.kind = seal_kind_of(out.kind);
  const auto known = std::ranges::find(kServiceSettings, out.kind, &ServiceSettings::kind);
  if (out.kind == seal::kStaticKind) {
    COFFER_TRY(read_static_seal(section, out));
  } else if (out.kind == seal::kPkcs11Kind) {
    COFFER_TRY(read_pkcs11_seal(section, out.pkcs11));
  } else if (known != kServiceSettings.end()) {
    COFFER_TRY(read_service_seal(section, *known, out));
  }
  if (out.kind == seal::kShamirKind || is_seal_kind(out.kind))
    section.warn_unknown(config.warnings);
  out.where = place_of(file, block.at);
  config.seals.push_back(std::move(out));
  return ok_status();
}

}  // namespace

std::string seal_kind_of(std::string_view written) {
  if (written == "aesgcm")
    return std::string(seal::kStaticKind);
  return std::string(written == "hsm" ? seal::kPkcs11Kind : written);
}

bool is_seal_kind(std::string_view kind) { return std::ranges::find(kKinds, kind) != kKinds.end(); }

Status check_seal_kind(std::string_view kind) {
  if (kind == seal::kShamirKind || is_seal_kind(kind))
    return ok_status();
  std::string all;
  for (const std::string_view one : kKinds)
    all.append("\"").append(one).append("\", ");
  return Status(Code::kInvalid, "seal \"" + std::string(kind) + "\": this kind is not available in this version; use " +
                                    all + "or none");
}

Status read_seals(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "seal", 1);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks)
    COFFER_TRY(read_seal(block, file, config));
  return ok_status();
}

}  // namespace coffer::server
