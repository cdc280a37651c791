#include "server/seals.h"

#include <unistd.h>

#include <array>
#include <initializer_list>
#include <map>

#include "base/ascii.h"
#include "base/disk.h"
#include "base/encoding.h"
#include "hsm/client.h"
#include "seal/hsm_seal.h"
#include "seal/static_seal.h"
#include "server/aws_kms.h"
#include "server/azure_key_vault.h"
#include "server/gcp_kms.h"
#include "server/key_service.h"
#include "server/transit_seal.h"

namespace coffer::server {
namespace {

constexpr std::size_t kCredentialsBytesMax = 65536;

Status invalid(std::string_view setting, std::string_view what) {
  return Status(Code::kInvalid, std::string("seal \"pkcs11\": ").append(setting).append(" ").append(what));
}

// The module may want variables of its own (SOFTHSM2_CONF); what is the server's is not its business.
std::vector<std::string> environment_of_module() {
  std::vector<std::string> out;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text(*one);
    if (!text.starts_with("VAULT_") && !text.starts_with("BAO_") && !text.starts_with("COFFER_"))
      out.emplace_back(text);
  }
  return out;
}

// A number as PKCS#11 writes it, or its name.
Result<std::uint64_t> mechanism_of(const std::string& text) {
  constexpr std::array kNames = {std::pair{"CKM_RSA_PKCS_OAEP", hsm::kRsaOaep},
                                 std::pair{"CKM_AES_CBC_PAD", hsm::kAesCbcPad},
                                 std::pair{"CKM_AES_GCM", hsm::kAesGcm}};
  for (const auto& [name, number] : kNames)
    if (text == name)
      return number;
  const std::optional<std::uint64_t> number = hsm::number_of(text);
  return number ? Result<std::uint64_t>(*number)
                : invalid("mechanism", "must be a number or a name such as CKM_AES_GCM");
}

Result<std::string> key_id_of(std::string_view setting, std::string_view text) {
  if (text.starts_with("0x"))
    text.remove_prefix(2);
  const Result<std::string> bytes = hex_decode(text);
  return bytes.ok() ? bytes : Result<std::string>(invalid(setting, "must be hexadecimal"));
}

Result<SecretBytes> pin_of(const SecretBytes& written) {
  const std::string_view text = written.reveal_text();
  if (!text.starts_with("file://") && !text.starts_with("env://") && !text.starts_with("fd://"))
    return written.clone();
  const Result<SecretBytes> read = seal::read_key_reference(text);
  if (!read.ok())
    return read.status().with_context("seal \"pkcs11\": pin");
  std::string_view pin = read->reveal_text();
  while (!pin.empty() && (pin.back() == '\n' || pin.back() == '\r'))
    pin.remove_suffix(1);
  return SecretBytes::copy_of(pin);
}

// The variable's value, when it has one.
void take_from(const Environment& variable, const std::string& name, std::string& out) {
  if (const auto value = variable(name); value && !value->empty())
    out = *value;
}

void take_from(const Environment& variable, const std::string& name, SecretBytes& out) {
  std::string value;
  take_from(variable, name, value);
  if (!value.empty())
    out = SecretBytes::copy_of(value);
  wipe(value.data(), value.size());
}

Result<std::unique_ptr<seal::KeyWrapper>> make_pkcs11(Pkcs11Stanza stanza, const Environment& variable) {
  const auto take = [&variable](const char* name, auto& out) {
    take_from(variable, std::string("VAULT_HSM_") + name, out);
  };
  take("LIB", stanza.library);
  take("SLOT", stanza.slot);
  take("TOKEN_LABEL", stanza.token_label);
  take("KEY_LABEL", stanza.key_label);
  take("KEY_ID", stanza.key_id);
  take("HMAC_KEY_LABEL", stanza.hmac_key_label);
  take("HMAC_KEY_ID", stanza.hmac_key_id);
  take("MECHANISM", stanza.mechanism);
  take("RSA_OAEP_HASH", stanza.oaep_hash);
  std::string generate;
  take("GENERATE_KEY", generate);
  take("PIN", stanza.pin);

  hsm::Settings settings;
  settings.library = stanza.library;
  settings.slot = stanza.slot;
  settings.token_label = stanza.token_label;
  settings.token_serial = stanza.token_serial;
  COFFER_ASSIGN(settings.pin, pin_of(stanza.pin));
  settings.key.label = stanza.key_label;
  COFFER_ASSIGN(settings.key.id, key_id_of("key_id", stanza.key_id));
  settings.hmac_key.label = stanza.hmac_key_label;
  COFFER_ASSIGN(settings.hmac_key.id, key_id_of("hmac_key_id", stanza.hmac_key_id));
  if (!stanza.mechanism.empty()) {
    COFFER_ASSIGN(settings.mechanism, mechanism_of(stanza.mechanism));
  }
  if (!stanza.oaep_hash.empty())
    settings.oaep_hash = lower_ascii(stanza.oaep_hash);
  settings.generate_key = generate.empty() ? stanza.generate_key : generate == "true" || generate == "1";
  settings.force_rw_session = stanza.force_rw_session;
  if (settings.library.empty())
    return invalid("lib", "is missing");
  if (settings.key.empty())
    return invalid("key_label", "or key_id is missing");
  return seal::make_hsm_seal(
      std::make_shared<hsm::Client>(std::move(settings), environment_of_module(), system_clock()));
}

// The settings of a key service's block, and what the environment has in their place.
class Settings {
 public:
  enum class First : std::uint8_t { kVariable, kBlock };

  Settings(const std::map<std::string, SecretBytes>& written, const Environment& variable)
      : written_(written), variable_(variable) {}

  SecretBytes secret(const std::string& name, std::initializer_list<const char*> variables,
                     First first = First::kVariable) const {
    SecretBytes out;
    const auto block = written_.find(name);
    const bool given = block != written_.end() && !block->second.empty();
    if (first == First::kBlock && given)
      return block->second.clone();
    for (const char* one : variables)
      if (out.empty())
        take_from(variable_, one, out);
    return out.empty() && given ? block->second.clone() : std::move(out);
  }
  std::string text(const std::string& name, std::initializer_list<const char*> variables,
                   First first = First::kVariable) const {
    return std::string(secret(name, variables, first).reveal_text());
  }

 private:
  const std::map<std::string, SecretBytes>& written_;
  const Environment& variable_;
};

// The shared file of AWS's own clients: the one that is named, or the user's if it is there or a profile is named.
std::string shared_file(const Settings& given, const std::string& profile) {
  std::string out = given.text("shared_creds_filename", {"AWS_SHARED_CREDENTIALS_FILE"});
  const std::string home = given.text("", {"HOME"});
  if (!out.empty() || home.empty())
    return out;
  out = home + "/.aws/credentials";
  return !profile.empty() || ::access(out.c_str(), F_OK) == 0 ? out : std::string();
}

AwsIdentitySettings aws_identity(const Settings& given) {
  AwsIdentitySettings out;
  // One set of credentials, never parts of two.
  const bool named = !given.secret("", {"AWS_ACCESS_KEY_ID"}).empty();
  out.access_key = given.text(named ? "" : "access_key", {"AWS_ACCESS_KEY_ID"});
  if (named) {
    out.secret_key = given.secret("", {"AWS_SECRET_ACCESS_KEY"});
    out.session_token = given.secret("", {"AWS_SESSION_TOKEN"});
  } else {
    out.secret_key = given.secret("secret_key", {});
    out.session_token = given.secret("session_token", {});
  }
  out.web_identity_token_file = given.text("web_identity_token_file", {"AWS_WEB_IDENTITY_TOKEN_FILE"});
  // AWS_ROLE_ARN is a web identity's role; a role that other keys assume is the block's to name.
  const bool web = !out.web_identity_token_file.empty();
  out.role_arn = web ? given.text("role_arn", {"AWS_ROLE_ARN"}) : given.text("role_arn", {});
  out.role_session_name = given.text("role_session_name", {"AWS_ROLE_SESSION_NAME"});
  out.profile = given.text("profile", {"AWS_PROFILE"});
  out.shared_creds_filename = shared_file(given, out.profile);
  out.container_uri = given.text("", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"});
  out.container_token = given.secret("", {"AWS_CONTAINER_AUTHORIZATION_TOKEN"});
  out.container_token_file = given.text("", {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"});
  out.sts_endpoint = given.text("", {"AWS_ENDPOINT_URL_STS"});
  out.metadata_endpoint = given.text("", {"AWS_EC2_METADATA_SERVICE_ENDPOINT"});
  out.metadata_disabled = given.text("", {"AWS_EC2_METADATA_DISABLED"}) == "true";
  return out;
}

Result<std::unique_ptr<seal::RemoteKey>> make_awskms(const Settings& given, const core::WebCall& call_web) {
  AwsKmsSettings out;
  out.region = given.text("region", {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (out.region.empty())
    out.region = "us-east-1";
  out.key_id = given.text("kms_key_id", {"VAULT_AWSKMS_SEAL_KEY_ID"});
  out.endpoint = given.text("endpoint", {"AWS_KMS_ENDPOINT"});
  out.identity = aws_identity(given);
  return make_aws_kms_key(std::move(out), call_web, system_clock());
}

Result<std::unique_ptr<seal::RemoteKey>> make_azure(const Settings& given, const core::WebCall& call_web) {
  AzureSettings out;
  out.tenant_id = given.text("tenant_id", {"AZURE_TENANT_ID"});
  out.client_id = given.text("client_id", {"AZURE_CLIENT_ID"});
  out.client_secret = given.secret("client_secret", {"AZURE_CLIENT_SECRET"});
  out.federated_token_file = given.text("", {"AZURE_FEDERATED_TOKEN_FILE"});
  out.environment = given.text("environment", {"AZURE_ENVIRONMENT"});
  out.vault_name = given.text("vault_name", {"VAULT_AZUREKEYVAULT_VAULT_NAME"});
  out.key_name = given.text("key_name", {"VAULT_AZUREKEYVAULT_KEY_NAME"});
  out.resource = given.text("resource", {"AZURE_AD_RESOURCE"});
  out.endpoint = given.text("endpoint", {"VAULT_AZUREKEYVAULT_ENDPOINT"});
  out.authority_host = given.text("", {"AZURE_AUTHORITY_HOST"});
  out.identity_host = given.text("", {"AZURE_POD_IDENTITY_AUTHORITY_HOST"});
  return make_azure_key(std::move(out), call_web, system_clock());
}

// A service account's key, as it is or as the name of a file with it.
Result<SecretBytes> credentials_of(SecretBytes written) {
  if (written.empty() || written.reveal_text().starts_with('{'))
    return written;
  Result<std::string> read = read_file(posix_disk(), std::string(written.reveal_text()), kCredentialsBytesMax);
  if (!read.ok())
    return Status(Code::kInvalid, "seal \"gcpckms\": credentials: " + read.status().message());
  const Wiped text{std::move(*read)};
  return SecretBytes::copy_of(text.text);
}

Result<std::unique_ptr<seal::RemoteKey>> make_gcp(const Settings& given, const core::WebCall& call_web) {
  GcpSettings out;
  out.project = given.text("project", {"GOOGLE_PROJECT"});
  out.region = given.text("region", {"GOOGLE_REGION"});
  out.key_ring = given.text("key_ring", {"VAULT_GCPCKMS_SEAL_KEY_RING"});
  out.crypto_key = given.text("crypto_key", {"VAULT_GCPCKMS_SEAL_CRYPTO_KEY"});
  COFFER_ASSIGN(out.credentials, credentials_of(given.secret(
                                     "credentials", {"GOOGLE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"})));
  out.endpoint = given.text("endpoint", {"GOOGLE_KMS_CUSTOM_ENDPOINT"});
  out.metadata_host = given.text("", {"GCE_METADATA_HOST"});
  return make_gcp_key(std::move(out), call_web, system_clock());
}

// What the command line's variables say too is of this server's own clients as well: there the block goes first.
Result<std::unique_ptr<seal::RemoteKey>> make_transit(const Settings& given, const core::WebCall& call_web) {
  constexpr auto kBlock = Settings::First::kBlock;
  const auto flag = [](const std::string& text) { return text == "true" || text == "1"; };
  TransitSettings out;
  out.address = given.text("address", {"VAULT_ADDR"}, kBlock);
  out.token = given.secret("token", {"VAULT_TOKEN"}, kBlock);
  out.key_name = given.text("key_name", {"VAULT_TRANSIT_SEAL_KEY_NAME"});
  out.mount_path = given.text("mount_path", {"VAULT_TRANSIT_SEAL_MOUNT_PATH"});
  out.name_space = given.text("namespace", {"VAULT_NAMESPACE"}, kBlock);
  out.disable_renewal = flag(given.text("disable_renewal", {"VAULT_TRANSIT_SEAL_DISABLE_RENEWAL"}));
  out.ca_file = given.text("tls_ca_cert", {"VAULT_CACERT"}, kBlock);
  out.cert_file = given.text("tls_client_cert", {"VAULT_CLIENT_CERT"}, kBlock);
  out.key_file = given.text("tls_client_key", {"VAULT_CLIENT_KEY"}, kBlock);
  out.server_name = given.text("tls_server_name", {"VAULT_TLS_SERVER_NAME"}, kBlock);
  out.skip_verify = flag(given.text("tls_skip_verify", {"VAULT_SKIP_VERIFY"}, kBlock));
  return make_transit_key(std::move(out), call_web);
}

Result<std::unique_ptr<seal::RemoteKey>> make_service_key(const SealStanza& stanza, const Environment& variable,
                                                          const core::WebCall& call_web) {
  const Settings given(stanza.settings, variable);
  if (stanza.kind == kAwsKmsKind)
    return make_awskms(given, call_web);
  if (stanza.kind == kAzureKind)
    return make_azure(given, call_web);
  return stanza.kind == kGcpKind ? make_gcp(given, call_web) : make_transit(given, call_web);
}

}  // namespace

Result<std::unique_ptr<seal::KeyWrapper>> make_automatic_seal(SealStanza stanza, const Environment& variable,
                                                               const core::WebCall& call_web) {
  if (stanza.kind == seal::kPkcs11Kind)
    return make_pkcs11(std::move(stanza.pkcs11), variable);
  if (stanza.kind != seal::kStaticKind) {
    COFFER_ASSIGN(std::unique_ptr<seal::RemoteKey> key, make_service_key(stanza, variable, call_web));
    return seal::make_remote_seal(std::move(key));
  }
  seal::fill_from_environment(stanza.static_options, variable);
  return seal::make_static_seal(stanza.static_options, seal::read_key_reference);
}

}  // namespace coffer::server
