#include "server/aws_kms.h"

#include <utility>

#include "base/encoding.h"
#include "core/aws_signature.h"
#include "server/key_service.h"

namespace coffer::server {
namespace {

// What to look at, for what the service names; `keys` for what is wrong with them.
std::string_view advice(std::string_view word, std::string_view keys) {
  if (word == "AccessDeniedException")
    return "these credentials may not use kms_key_id";
  if (word == "NotFoundException")
    return "kms_key_id names no key in this region";
  if (word == "DisabledException" || word == "KMSInvalidStateException")
    return "the key of kms_key_id cannot be used now";
  if (word.find("Token") != std::string_view::npos || word.find("Signature") != std::string_view::npos)
    return keys;
  return "";
}

class AwsKmsKey final : public seal::RemoteKey {
 public:
  AwsKmsKey(AwsKmsSettings settings, std::unique_ptr<AwsIdentity> identity, std::string url, KeyService service,
            const Clock& clock)
      : settings_(std::move(settings)),
        identity_(std::move(identity)),
        url_(std::move(url)),
        host_(url_.substr(url_.find("://") + 3)),
        service_(std::move(service)),
        clock_(clock) {}

  std::string_view kind() const noexcept override { return kAwsKmsKind; }
  std::string_view title() const noexcept override { return "key service"; }
  std::string_view envelope_id() const noexcept override { return "awskms"; }

  Result<std::string> encrypt(const SecretBytes& key) override {
    json::Arena arena;
    Wiped plaintext{base64_encode(key.reveal_text())};
    const json::Value fields =
        json::ObjectBuilder(arena).add("KeyId", settings_.key_id).add("Plaintext", plaintext.text).build();
    COFFER_ASSIGN(const json::Value answer, ask(arena, "Encrypt", fields));
    const std::string_view arn = answer.string_or("KeyId", "");
    const Result<std::string> blob = base64_decode(answer.string_or("CiphertextBlob", ""));
    if (!blob.ok() || !KeyService::fits({arn, *blob}))
      return service_.unavailable("the key service's answer to Encrypt is none");
    return KeyService::pack({arn, *blob});
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    COFFER_ASSIGN(const KeyService::Sealed sealed, service_.unpack(encrypted));
    json::Arena arena;
    const json::Value fields = json::ObjectBuilder(arena, 2)
                                   .add("CiphertextBlob", base64_encode(sealed.blob))
                                   .add("KeyId", sealed.name)
                                   .build();
    COFFER_ASSIGN(const json::Value answer, ask(arena, "Decrypt", fields));
    Result<SecretBytes> plaintext = base64_decode_secret(answer.string_or("Plaintext", ""));
    if (!plaintext.ok() || answer.string_or("KeyId", "") != sealed.name)
      return service_.unavailable("the key service's answer to Decrypt is none");
    return plaintext;
  }

  // An alias may name any key.
  bool is_current(std::string_view encrypted) const override {
    const std::string_view arn = KeyService::name_in(encrypted);
    return settings_.key_id.find("alias/") != std::string::npos || arn == settings_.key_id ||
           arn.ends_with("/" + settings_.key_id);
  }

  Status check() override {
    json::Arena arena;
    COFFER_ASSIGN(const json::Value answer,
                  ask(arena, "DescribeKey", json::ObjectBuilder(arena).add("KeyId", settings_.key_id).build()));
    const json::Value* key = answer.find("KeyMetadata");
    if (key == nullptr || key->string_or("KeyState", "") != "Enabled")
      return service_.unavailable("the key of kms_key_id is not enabled");
    return ok_status();
  }

 private:
  // The answer of 200; it lives in `arena`.
  Result<json::Value> ask(json::Arena& arena, std::string_view action, json::Value fields) {
    Wiped body;
    json::write(fields, body.text);
    COFFER_ASSIGN(KeyService::Answer answer, send(arena, action, body.text));
    std::string word = answer.word();
    if (word == "ExpiredTokenException" && identity_->forget()) {
      COFFER_ASSIGN(answer, send(arena, action, body.text));
      word = answer.word();
    }
    if (answer.status == 200)
      return answer.fields.is_object() ? Result<json::Value>(answer.fields)
                                       : service_.unavailable("the key service's answer is no JSON");
    if (word == "InvalidCiphertextException")
      return service_.damaged();
    if (word == "IncorrectKeyException")
      return Status(Code::kDenied, "seal \"awskms\": sealed by another key than it names");
    return service_.refusal(answer.status, word, advice(word, identity_->advice()));
  }

  Result<KeyService::Answer> send(json::Arena& arena, std::string_view action, const std::string& body) const {
    COFFER_ASSIGN(core::aws::Keys keys, identity_->keys());
    auto answer = service_.ask(arena, [&] { return signed_request(action, body, keys); });
    wipe(keys.secret_access_key.data(), keys.secret_access_key.size());
    wipe(keys.session_token.data(), keys.session_token.size());
    return answer;
  }

  core::WebRequest signed_request(std::string_view action, const std::string& body,
                                  const core::aws::Keys& keys) const {
    const core::aws::SignedRequest to_sign{
        "POST",
        host_,
        "/",
        {},
        {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "TrentService." + std::string(action)}},
        body};
    core::WebRequest out;
    out.method = "POST";
    out.url = url_ + "/";
    out.headers = core::aws::sign(to_sign, keys, settings_.region, "kms", clock_.wall_now());
    out.body = body;
    return out;
  }

  const AwsKmsSettings settings_;
  const std::unique_ptr<AwsIdentity> identity_;
  const std::string url_;
  const std::string host_;
  const KeyService service_;
  const Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<seal::RemoteKey>> make_aws_kms_key(AwsKmsSettings settings, core::WebCall call,
                                                          const Clock& clock) {
  const bool asks = call != nullptr;
  KeyService service(kAwsKmsKind, std::move(call));
  if (settings.key_id.empty())
    return service.setting("kms_key_id", "is missing");
  if (!is_plain(settings.key_id) || settings.key_id.size() > KeyService::kNameBytesMax)
    return service.setting("kms_key_id", "must be the id or ARN of a key, or alias/NAME");
  if (settings.region.empty() || !is_plain(settings.region) || settings.region.find_first_of(":/") != std::string::npos)
    return service.setting("region", "must be the name of a region, such as us-east-1");
  if (!asks)
    return service.setting("endpoint", "cannot be asked here");
  const std::string endpoint = settings.endpoint.empty() ? aws_host("kms", settings.region) : settings.endpoint;
  COFFER_ASSIGN(std::string url, service.url_of("endpoint", endpoint));
  COFFER_ASSIGN(std::unique_ptr<AwsIdentity> identity,
                AwsIdentity::create(std::move(settings.identity), settings.region, service, clock));
  return std::unique_ptr<seal::RemoteKey>(
      std::make_unique<AwsKmsKey>(std::move(settings), std::move(identity), std::move(url), std::move(service), clock));
}

}  // namespace coffer::server
