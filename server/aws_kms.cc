#include "server/aws_kms.h"

#include <utility>

#include "base/codec.h"
#include "base/encoding.h"
#include "base/json.h"
#include "core/aws_signature.h"

namespace coffer::server {
namespace {

constexpr unsigned kTriesMax = 2;  // of one call that had no answer, or 5xx
constexpr std::chrono::seconds kCallTimeMax{5};
constexpr std::size_t kBlobBytesMax = 1024;  // a text of 32 bytes becomes some 150
constexpr std::size_t kArnBytesMax = 512;
constexpr std::size_t kWordBytesMax = 64;  // of the service's own word for what is wrong

// Wipes what held a secret, whatever way a function ends.
struct Wiped {
  std::string text;
  ~Wiped() { wipe(text.data(), text.size()); }
};

Status setting(std::string_view name, std::string_view what) {
  return Status(Code::kInvalid, std::string("seal \"awskms\": ").append(name).append(" ").append(what));
}

Status unavailable(std::string_view what) {
  return Status(Code::kUnavailable, std::string("seal \"awskms\": ").append(what));
}

bool plain(std::string_view text) {
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/") ==
         std::string_view::npos;
}

// "AccessDeniedException", without the name space that some put before it.
std::string word_of(const json::Value& answer) {
  std::string_view word = answer.string_or("__type", "");
  if (const std::size_t at = word.rfind('#'); at != std::string_view::npos)
    word.remove_prefix(at + 1);
  return plain(word) ? std::string(word.substr(0, kWordBytesMax)) : std::string();
}

// What to look at, for what the service names.
std::string_view advice(std::string_view word) {
  if (word == "AccessDeniedException")
    return ": these credentials may not use kms_key_id";
  if (word == "NotFoundException")
    return ": kms_key_id names no key in this region";
  if (word == "DisabledException" || word == "KMSInvalidStateException")
    return ": the key of kms_key_id cannot be used now";
  if (word.find("Token") != std::string_view::npos || word.find("Signature") != std::string_view::npos)
    return ": access_key, secret_key or session_token is wrong or has ended";
  return "";
}

Status refusal(int status, const std::string& word) {
  if (word == "InvalidCiphertextException")
    return Status(Code::kDataLoss, "what the key service sealed is damaged");
  if (word == "IncorrectKeyException")
    return Status(Code::kDenied, "seal \"awskms\": sealed by another key than it names");
  return unavailable("the key service answered " + std::to_string(status) + (word.empty() ? "" : " " + word) +
                     std::string(advice(word)));
}

class AwsKmsKey final : public seal::RemoteKey {
 public:
  AwsKmsKey(AwsKmsSettings settings, std::string scheme, std::string host, core::WebCall call, const Clock& clock)
      : settings_(std::move(settings)),
        scheme_(std::move(scheme)),
        host_(std::move(host)),
        call_(std::move(call)),
        clock_(clock) {}

  std::string_view kind() const noexcept override { return kAwsKmsKind; }
  std::string_view title() const noexcept override { return "key service"; }
  std::string_view envelope_id() const noexcept override { return "awskms"; }

  Result<std::string> encrypt(const SecretBytes& key) override {
    Arena arena;
    Wiped plaintext{base64_encode(key.reveal_text())};
    const json::Value fields =
        json::ObjectBuilder(arena).add("KeyId", settings_.key_id).add("Plaintext", plaintext.text).build();
    COFFER_ASSIGN(const json::Value answer, ask(arena, "Encrypt", fields));
    const std::string_view arn = answer.string_or("KeyId", "");
    const Result<std::string> blob = base64_decode(answer.string_or("CiphertextBlob", ""));
    if (arn.empty() || arn.size() > kArnBytesMax || !blob.ok() || blob->empty() || blob->size() > kBlobBytesMax)
      return unavailable("the key service's answer to Encrypt is none");
    std::string out;
    ByteWriter(out).bytes(arn).bytes(*blob);
    return out;
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    ByteReader in(encrypted);
    const std::string_view arn = in.bytes();
    const std::string_view blob = in.bytes();
    if (!in.finish().ok() || arn.empty() || arn.size() > kArnBytesMax || blob.empty() || blob.size() > kBlobBytesMax)
      return Status(Code::kDataLoss, "what the key service sealed is damaged");
    Arena arena;
    const json::Value fields =
        json::ObjectBuilder(arena).add("CiphertextBlob", base64_encode(blob)).add("KeyId", arn).build();
    COFFER_ASSIGN(const json::Value answer, ask(arena, "Decrypt", fields));
    Result<SecretBytes> plaintext = base64_decode_secret(answer.string_or("Plaintext", ""));
    if (!plaintext.ok() || answer.string_or("KeyId", "") != arn)
      return unavailable("the key service's answer to Decrypt is none");
    return plaintext;
  }

  Status check() override {
    Arena arena;
    COFFER_ASSIGN(const json::Value answer,
                  ask(arena, "DescribeKey", json::ObjectBuilder(arena).add("KeyId", settings_.key_id).build()));
    const json::Value* key = answer.find("KeyMetadata");
    if (key == nullptr || key->string_or("KeyState", "") != "Enabled")
      return unavailable("the key of kms_key_id is not enabled");
    return ok_status();
  }

 private:
  // The answer of 200; it lives in `arena`.
  Result<json::Value> ask(Arena& arena, std::string_view action, json::Value fields) {
    Wiped body;
    json::write(fields, body.text);
    Result<core::WebAnswer> answer = unavailable("the key service was not asked");
    for (unsigned tries = 1; tries <= kTriesMax; ++tries) {
      answer = send(action, body.text);
      if (answer.ok() && answer->status < 500)
        break;
    }
    if (!answer.ok())
      return answer.status().with_context("seal \"awskms\"");
    const Wiped text{std::move(answer->body)};
    const Result<json::Value> fields_of = json::parse_copy(arena, text.text);
    if (answer->status != 200)
      return refusal(answer->status, fields_of.ok() ? word_of(*fields_of) : "");
    return fields_of.ok() && fields_of->is_object() ? fields_of : unavailable("the key service's answer is no JSON");
  }

  Result<core::WebAnswer> send(std::string_view action, const std::string& body) {
    core::aws::Keys keys{settings_.access_key, std::string(settings_.secret_key.reveal_text()),
                         std::string(settings_.session_token.reveal_text())};
    const core::aws::SignedRequest to_sign{
        "POST",
        host_,
        "/",
        {},
        {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "TrentService." + std::string(action)}},
        body};
    core::WebRequest out;
    out.method = "POST";
    out.url = scheme_ + host_ + "/";
    out.headers = core::aws::sign(to_sign, keys, settings_.region, "kms", clock_.wall_now());
    wipe(keys.secret_access_key.data(), keys.secret_access_key.size());
    out.body = body;
    out.time_max = kCallTimeMax;
    Result<core::WebAnswer> answer = call_(out);
    wipe(out.body.data(), out.body.size());
    return answer;
  }

  const AwsKmsSettings settings_;
  const std::string scheme_;
  const std::string host_;
  const core::WebCall call_;
  const Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<seal::RemoteKey>> make_aws_kms_key(AwsKmsSettings settings, core::WebCall call,
                                                          const Clock& clock) {
  if (settings.key_id.empty())
    return setting("kms_key_id", "is missing");
  if (!plain(settings.key_id) || settings.key_id.size() > kArnBytesMax)
    return setting("kms_key_id", "must be the id or ARN of a key, or alias/NAME");
  if (settings.region.empty() || !plain(settings.region) || settings.region.find_first_of(":/") != std::string::npos)
    return setting("region", "must be the name of a region, such as us-east-1");
  if (settings.access_key.empty() || !plain(settings.access_key))
    return setting("access_key", "is missing or none: give it, or AWS_ACCESS_KEY_ID");
  if (settings.secret_key.empty())
    return setting("secret_key", "is missing: give it, or AWS_SECRET_ACCESS_KEY");
  if (call == nullptr)
    return setting("endpoint", "cannot be asked here");
  std::string scheme = "https://";
  std::string host = settings.endpoint.empty() ? "kms." + settings.region + ".amazonaws.com" : settings.endpoint;
  if (const std::size_t at = host.find("://"); at != std::string::npos) {
    scheme = host.substr(0, at + 3);
    host.erase(0, at + 3);
  }
  if (host.ends_with('/'))
    host.pop_back();
  if ((scheme != "https://" && scheme != "http://") || host.empty() || !plain(host) ||
      host.find('/') != std::string::npos)
    return setting("endpoint", "must be a host, or http:// or https:// and a host");
  // The key that seals all others would cross a network in the clear.
  const std::string_view name = std::string_view(host).substr(0, host.find(':'));
  if (scheme == "http://" && name != "127.0.0.1" && name != "localhost")
    return setting("endpoint", "may be http:// on this machine only");
  // HTTP leaves the scheme's own port out of Host, and what is signed must be what is sent.
  if (const std::string_view usual = scheme == "http://" ? ":80" : ":443"; host.ends_with(usual))
    host.resize(host.size() - usual.size());
  return std::unique_ptr<seal::RemoteKey>(
      std::make_unique<AwsKmsKey>(std::move(settings), std::move(scheme), std::move(host), std::move(call), clock));
}

}  // namespace coffer::server
