#include "server/gcp_kms.h"

#include <utility>

#include "base/crc32c.h"
#include "base/encoding.h"
#include "crypto/rs256.h"
#include "server/key_service.h"

namespace coffer::server {
namespace {

constexpr std::string_view kHost = "https://cloudkms.googleapis.com";
constexpr std::string_view kMetadataHost = "metadata.google.internal";
constexpr std::string_view kScope = "https://www.googleapis.com/auth/cloudkms";
constexpr std::string_view kGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr std::string_view kVersions = "/cryptoKeyVersions/";
constexpr std::chrono::hours kAssertionTime{1};

// Who asks, where the machine's own account does not.
struct Account {
  std::string email;
  std::string key_id;
  std::string token_url;
  SecretBytes key;  // PEM
};

bool is_word(std::string_view text) {
  return !text.empty() && is_plain(text) && text.find('/') == std::string_view::npos;
}

// Decimal text, as JSON has numbers of 64 bits here.
std::string sum_of(std::string_view data) { return std::to_string(crc32c(data)); }

class GcpKey final : public seal::RemoteKey {
 public:
  GcpKey(std::string url, std::string key, std::string metadata, std::optional<Account> account, KeyService service,
         const Clock& clock)
      : url_(std::move(url)),
        key_(std::move(key)),
        metadata_(std::move(metadata)),
        account_(std::move(account)),
        service_(std::move(service)),
        clock_(clock),
        tokens_([this] { return fetch_token(); }, clock) {}

  std::string_view kind() const noexcept override { return kGcpKind; }
  std::string_view title() const noexcept override { return "key service"; }
  std::string_view envelope_id() const noexcept override { return kGcpKind; }

  Result<std::string> encrypt(const SecretBytes& key) override {
    json::Arena arena;
    Wiped plain{base64_encode(key.reveal_text())};
    const json::Value fields = json::ObjectBuilder(arena, 2)
                                   .add("plaintext", plain.text)
                                   .add("plaintextCrc32c", sum_of(key.reveal_text()))
                                   .build();
    COFFER_ASSIGN(const KeyService::Answer answer, work(arena, key_, ":encrypt", fields));
    const std::string_view name = answer.fields.string_or("name", "");
    const Result<std::string> blob = base64_decode(answer.fields.string_or("ciphertext", ""));
    const json::Value* verified = answer.fields.find("verifiedPlaintextCrc32c");
    // Another key than the one that was asked for would be one that nobody chose.
    if (!blob.ok() || !name.starts_with(key_ + std::string(kVersions)) || !KeyService::fits({key_, *blob}) ||
        answer.fields.string_or("ciphertextCrc32c", "") != sum_of(*blob) || verified == nullptr ||
        !verified->is_bool() || !verified->as_bool())
      return service_.unavailable("the key service's answer to encrypt is none, or was damaged on its way");
    return KeyService::pack({key_, *blob});
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    COFFER_ASSIGN(const KeyService::Sealed sealed, service_.unpack(encrypted));
    if (!sealed.name.starts_with("projects/") || sealed.name.find("..") != std::string_view::npos)
      return service_.damaged();
    json::Arena arena;
    const json::Value fields = json::ObjectBuilder(arena, 2)
                                   .add("ciphertext", base64_encode(sealed.blob))
                                   .add("ciphertextCrc32c", sum_of(sealed.blob))
                                   .build();
    COFFER_ASSIGN(const KeyService::Answer answer, work(arena, sealed.name, ":decrypt", fields, true));
    Result<SecretBytes> plain = base64_decode_secret(answer.fields.string_or("plaintext", ""));
    if (!plain.ok() || plain->empty() ||
        answer.fields.string_or("plaintextCrc32c", "") != sum_of(plain->reveal_text()))
      return service_.unavailable("the key service's answer to decrypt is none, or was damaged on its way");
    return plain;
  }

  bool is_current(std::string_view encrypted) const override { return KeyService::name_in(encrypted) == key_; }

  Status check() override {
    json::Arena arena;
    COFFER_ASSIGN(const KeyService::Answer answer, service_.ask_with(tokens_, arena, [this] {
      core::WebRequest request;
      request.method = "GET";
      request.url = url_ + "/v1/" + key_;
      return request;
    }));
    if (answer.status != 200)
      return refused(answer);
    const json::Value* primary = answer.fields.find("primary");
    if (answer.fields.string_or("purpose", "") != "ENCRYPT_DECRYPT" || primary == nullptr ||
        primary->string_or("state", "") != "ENABLED")
      return service_.unavailable("the key of crypto_key is not enabled, or none that encrypts and decrypts");
    return ok_status();
  }

 private:
  // The answer of 200.
  Result<KeyService::Answer> work(json::Arena& arena, std::string_view key, std::string_view action,
                                  json::Value fields, bool opens = false) {
    Wiped body;
    json::write(fields, body.text);
    COFFER_ASSIGN(const KeyService::Answer answer, service_.ask_with(tokens_, arena, [&] {
      core::WebRequest request;
      request.method = "POST";
      request.url = (url_ + "/v1/").append(key).append(action);
      request.headers = {{"Content-Type", "application/json"}};
      request.body = body.text;
      return request;
    }));
    if (answer.status == 200)
      return answer;
    return opens && answer.status == 400 && answer.word() == "INVALID_ARGUMENT" ? service_.damaged() : refused(answer);
  }

  Status refused(const KeyService::Answer& answer) const {
    std::string_view advice;
    if (answer.status == 401)
      advice = "credentials is wrong or has ended";
    else if (answer.status == 403)
      advice = "these credentials may not use crypto_key";
    else if (answer.status == 404)
      advice = "project, region, key_ring and crypto_key name no key";
    else if (answer.word() == "FAILED_PRECONDITION")
      advice = "the key of crypto_key cannot be used now";
    return service_.refusal(answer.status, answer.word(), advice);
  }

  Result<TokenKeeper::Token> fetch_token() {
    json::Arena arena;
    COFFER_ASSIGN(const KeyService::Answer answer, account_ ? ask_account(arena) : ask_metadata(arena));
    if (answer.status != 200)
      return service_.refusal(answer.status, answer.word(),
                              account_ ? "credentials is wrong or has ended"
                                       : "the machine's service account gives no token: give it one, or credentials");
    return token_of(service_, answer);
  }

  Result<KeyService::Answer> ask_metadata(json::Arena& arena) const {
    return service_.ask(arena, [this] {
      core::WebRequest request;
      request.method = "GET";
      request.url = "http://" + metadata_ + "/computeMetadata/v1/instance/service-accounts/default/token";
      request.headers = {{"Metadata-Flavor", "Google"}};
      return request;
    });
  }

  Result<KeyService::Answer> ask_account(json::Arena& arena) const {
    COFFER_ASSIGN(std::string assertion, assertion_of(*account_));
    const Wiped body{form_of({{"grant_type", kGrant}, {"assertion", assertion}})};
    wipe(assertion.data(), assertion.size());
    return service_.ask(arena, [&] {
      core::WebRequest request;
      request.method = "POST";
      request.url = account_->token_url;
      request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
      request.body = body.text;
      return request;
    });
  }

  // A signed JWT (RFC 7519) that says who asks for what.
  Result<std::string> assertion_of(const Account& account) const {
    json::Arena arena;
    const std::int64_t now =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch()).count();
    std::string head, claims;
    json::write(json::ObjectBuilder(arena, 3).add("alg", "RS256").add("typ", "JWT").add("kid", account.key_id).build(),
                head);
    json::write(json::ObjectBuilder(arena, 5)
                    .add("iss", account.email)
                    .add("scope", kScope)
                    .add("aud", account.token_url)
                    .add("iat", now)
                    .add("exp", now + std::chrono::seconds(kAssertionTime).count())
                    .build(),
                claims);
    std::string out = base64url_encode(head) + "." + base64url_encode(claims);
    const Result<std::string> signature = crypto::sign_rs256(account.key, out);
    if (!signature.ok())
      return signature.status().with_context("seal \"gcpckms\": credentials: private_key");
    return out + "." + base64url_encode(*signature);
  }

  const std::string url_;
  const std::string key_;  // projects/…/cryptoKeys/…
  const std::string metadata_;
  const std::optional<Account> account_;
  const KeyService service_;
  const Clock& clock_;
  TokenKeeper tokens_;
};

Result<Account> account_of(const SecretBytes& credentials, const KeyService& service) {
  json::Arena arena;
  const Result<json::Value> fields = json::parse_copy(arena, credentials.reveal_text());
  if (!fields.ok() || !fields->is_object())
    return service.setting("credentials", "must be a service account's key in JSON, or a file with one");
  if (fields->string_or("type", "") != "service_account")
    return service.setting("credentials", "must be of type service_account");
  Account out;
  out.email = fields->string_or("client_email", "");
  out.key_id = fields->string_or("private_key_id", "");
  out.key = SecretBytes::copy_of(fields->string_or("private_key", ""));
  if (out.email.empty())
    return service.setting("credentials", "has no client_email");
  const Result<std::string> signs = crypto::sign_rs256(out.key, "");
  if (!signs.ok())
    return service.setting("credentials", "private_key " + signs.status().message());
  std::string_view url = fields->string_or("token_uri", "https://oauth2.googleapis.com/token");
  const std::size_t path = url.find('/', std::min(url.size(), url.find("://") + 3));
  if (!is_plain(url) || path == std::string_view::npos)
    return service.setting("credentials", "token_uri must be a URL");
  COFFER_ASSIGN(out.token_url, service.url_of("credentials: token_uri", url.substr(0, path)));
  out.token_url += url.substr(path);
  return out;
}

}  // namespace

Result<std::unique_ptr<seal::RemoteKey>> make_gcp_key(GcpSettings settings, core::WebCall call, const Clock& clock) {
  const bool asks = call != nullptr;
  KeyService service(kGcpKind, std::move(call));
  for (const auto& [name, value] : {std::pair("project", &settings.project), std::pair("region", &settings.region),
                                    std::pair("key_ring", &settings.key_ring),
                                    std::pair("crypto_key", &settings.crypto_key)})
    if (!is_word(*value))
      return service.setting(name, value->empty() ? "is missing" : "must be a name");
  std::string key = "projects/" + settings.project + "/locations/" + settings.region + "/keyRings/" +
                    settings.key_ring + "/cryptoKeys/" + settings.crypto_key;
  if (key.size() > KeyService::kNameBytesMax)
    return service.setting("crypto_key", "is too long");
  std::string metadata = settings.metadata_host.empty() ? std::string(kMetadataHost) : settings.metadata_host;
  if (!is_word(metadata))
    return service.setting("GCE_METADATA_HOST", "must be a host");
  if (!asks)
    return service.setting("endpoint", "cannot be asked here");
  std::optional<Account> account;
  if (!settings.credentials.empty()) {
    COFFER_ASSIGN(account, account_of(settings.credentials, service));
  }
  COFFER_ASSIGN(std::string url, service.url_of("endpoint", settings.endpoint.empty() ? kHost : settings.endpoint));
  return std::unique_ptr<seal::RemoteKey>(std::make_unique<GcpKey>(
      std::move(url), std::move(key), std::move(metadata), std::move(account), std::move(service), clock));
}

}  // namespace coffer::server
