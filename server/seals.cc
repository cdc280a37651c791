#include "server/seals.h"

#include <unistd.h>

#include <array>

#include "base/ascii.h"
#include "base/encoding.h"
#include "hsm/client.h"
#include "seal/hsm_seal.h"
#include "seal/static_seal.h"
#include "server/aws_kms.h"

namespace coffer::server {
namespace {

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

Result<std::unique_ptr<seal::KeyWrapper>> make_awskms(AwsKmsStanza stanza, const Environment& variable,
                                                     const core::WebCall& call_web) {
  take_from(variable, "AWS_DEFAULT_REGION", stanza.region);
  take_from(variable, "AWS_REGION", stanza.region);  // the first of the two
  take_from(variable, "VAULT_AWSKMS_SEAL_KEY_ID", stanza.key_id);
  take_from(variable, "AWS_KMS_ENDPOINT", stanza.endpoint);
  // One set of credentials, never parts of two.
  if (const auto access_key = variable("AWS_ACCESS_KEY_ID"); access_key && !access_key->empty()) {
    stanza.secret_key = SecretBytes();
    stanza.session_token = SecretBytes();
    take_from(variable, "AWS_ACCESS_KEY_ID", stanza.access_key);
    take_from(variable, "AWS_SECRET_ACCESS_KEY", stanza.secret_key);
    take_from(variable, "AWS_SESSION_TOKEN", stanza.session_token);
  }
  AwsKmsSettings settings{stanza.region.empty() ? "us-east-1" : stanza.region, std::move(stanza.key_id),
                          std::move(stanza.endpoint), std::string(stanza.access_key.reveal_text()),
                          std::move(stanza.secret_key), std::move(stanza.session_token)};
  COFFER_ASSIGN(std::unique_ptr<seal::RemoteKey> key, make_aws_kms_key(std::move(settings), call_web, system_clock()));
  return seal::make_remote_seal(std::move(key));
}

}  // namespace

Result<std::unique_ptr<seal::KeyWrapper>> make_automatic_seal(SealStanza stanza, const Environment& variable,
                                                               const core::WebCall& call_web) {
  if (stanza.kind == seal::kPkcs11Kind)
    return make_pkcs11(std::move(stanza.pkcs11), variable);
  if (stanza.kind == kAwsKmsKind)
    return make_awskms(std::move(stanza.awskms), variable, call_web);
  seal::fill_from_environment(stanza.static_options, variable);
  return seal::make_static_seal(stanza.static_options, seal::read_key_reference);
}

}  // namespace coffer::server
