#include "server/azure_key_vault.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "base/disk.h"
#include "server/key_service.h"

namespace coffer::server {
namespace {

constexpr std::string_view kApiVersion = "?api-version=7.4";
constexpr std::string_view kAlgorithm = "RSA-OAEP-256";
constexpr std::string_view kIdentityHost = "http://169.254.169.254";
constexpr std::size_t kNameBytesMax = 127;  // of a vault or a key
constexpr std::size_t kFederatedTokenBytesMax = 65536;

struct Cloud {
  std::string_view name, authority, suffix;
};
constexpr std::array kClouds = {
    Cloud{"AzurePublicCloud", "https://login.microsoftonline.com", "vault.azure.net"},
    Cloud{"AzureUSGovernmentCloud", "https://login.microsoftonline.us", "vault.usgovcloudapi.net"},
    Cloud{"AzureChinaCloud", "https://login.chinacloudapi.cn", "vault.azure.cn"},
};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && is_plain(text) &&
         text.find_first_of(":/._") == std::string_view::npos;
}

// "NAME/VERSION" of "https://…/keys/NAME/VERSION"; empty if it is none.
std::string_view version_of(std::string_view kid) {
  constexpr std::string_view kBefore = "/keys/";
  const std::size_t at = kid.find(kBefore);
  if (at == std::string_view::npos)
    return {};
  kid.remove_prefix(at + kBefore.size());
  const std::size_t slash = kid.find('/');
  return slash != std::string_view::npos && is_name(kid.substr(0, slash)) && is_name(kid.substr(slash + 1))
             ? kid
             : std::string_view();
}

// What the settings come to.
struct Place {
  std::string vault;      // URL of the vault
  std::string authority;  // URL that tokens come from
  std::string resource;   // what they are for: "https://vault.azure.net"
  std::string identity;   // URL of the metadata service
};

class AzureKey final : public seal::RemoteKey {
 public:
  AzureKey(AzureSettings settings, Place place, KeyService service, const Clock& clock)
      : settings_(std::move(settings)),
        place_(std::move(place)),
        service_(std::move(service)),
        tokens_([this] { return fetch_token(); }, clock) {}

  std::string_view kind() const noexcept override { return kAzureKind; }
  std::string_view title() const noexcept override { return "key service"; }
  std::string_view envelope_id() const noexcept override { return kAzureKind; }

  Result<std::string> encrypt(const SecretBytes& key) override {
    json::Arena arena;
    Wiped plain{base64url_encode(key.reveal_text())};
    COFFER_ASSIGN(const KeyService::Answer answer, work(arena, settings_.key_name, "/wrapkey", plain.text));
    const std::string_view version = version_of(answer.fields.string_or("kid", ""));
    const Result<std::string> blob = base64url_decode(answer.fields.string_or("value", ""));
    if (!blob.ok() || !KeyService::fits({version, *blob}))
      return service_.unavailable("the key service's answer to WrapKey is none");
    return KeyService::pack({version, *blob});
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    COFFER_ASSIGN(const KeyService::Sealed sealed, service_.unpack(encrypted));
    if (version_of("/keys/" + std::string(sealed.name)).empty())
      return service_.damaged();
    json::Arena arena;
    COFFER_ASSIGN(const KeyService::Answer answer,
                  work(arena, sealed.name, "/unwrapkey", base64url_encode(sealed.blob), true));
    Result<std::string> plain = base64url_decode(answer.fields.string_or("value", ""));
    if (!plain.ok() || plain->empty() || version_of(answer.fields.string_or("kid", "")) != sealed.name)
      return service_.unavailable("the key service's answer to UnwrapKey is none");
    const Wiped text{std::move(*plain)};
    return SecretBytes::copy_of(text.text);
  }

  bool is_current(std::string_view encrypted) const override {
    return KeyService::name_in(encrypted).starts_with(settings_.key_name + "/");
  }

  Status check() override {
    json::Arena arena;
    COFFER_ASSIGN(const KeyService::Answer answer, service_.ask_with(tokens_, arena, [this] {
      core::WebRequest request;
      request.method = "GET";
      request.url = place_.vault + "/keys/" + settings_.key_name + std::string(kApiVersion);
      return request;
    }));
    if (answer.status != 200)
      return refused(answer);
    const json::Value* attributes = answer.fields.find("attributes");
    const json::Value* enabled =
        attributes != nullptr && attributes->is_object() ? attributes->find("enabled") : nullptr;
    if (enabled == nullptr || !enabled->is_bool() || !enabled->as_bool())
      return service_.unavailable("the key of key_name is not enabled");
    return ok_status();
  }

 private:
  // The answer of 200 to WrapKey or UnwrapKey.
  Result<KeyService::Answer> work(json::Arena& arena, std::string_view key, std::string_view action,
                                  const std::string& value, bool opens = false) {
    const json::Value fields = json::ObjectBuilder(arena, 2).add("alg", kAlgorithm).add("value", value).build();
    Wiped body;
    json::write(fields, body.text);
    COFFER_ASSIGN(const KeyService::Answer answer, service_.ask_with(tokens_, arena, [&] {
      core::WebRequest request;
      request.method = "POST";
      request.url = (place_.vault + "/keys/").append(key).append(action).append(kApiVersion);
      request.headers.emplace_back("Content-Type", "application/json");
      request.body = body.text;
      return request;
    }));
    if (answer.status == 200)
      return answer;
    return opens && answer.status == 400 && answer.word() == "BadParameter" ? service_.damaged() : refused(answer);
  }

  Status refused(const KeyService::Answer& answer) const {
    const std::string word = answer.word();
    std::string_view advice;
    if (answer.status == 401)
      advice = "tenant_id, client_id or client_secret is wrong or has ended";
    else if (answer.status == 403)
      advice = "these credentials may not get, wrapKey and unwrapKey with key_name";
    else if (answer.status == 404)
      advice = "key_name names no key of vault_name";
    return service_.refusal(answer.status, word, advice);
  }

  Result<TokenKeeper::Token> fetch_token() {
    json::Arena arena;
    const bool managed = settings_.client_secret.empty() && settings_.federated_token_file.empty();
    COFFER_ASSIGN(const KeyService::Answer answer, managed ? ask_identity(arena) : ask_authority(arena));
    if (answer.status != 200)
      return service_.refusal(answer.status, answer.word(),
                              managed ? "the machine's managed identity gives no token: give it one, or client_id and "
                                        "client_secret"
                                      : "tenant_id, client_id or client_secret is wrong or has ended");
    return token_of(service_, answer);
  }

  // Azure Instance Metadata Service, version 2018-02-01.
  Result<KeyService::Answer> ask_identity(json::Arena& arena) const {
    return service_.ask(arena, [this] {
      core::WebRequest request;
      request.method = "GET";
      request.url = place_.identity + "/metadata/identity/oauth2/token?" +
                    form_of({{"api-version", "2018-02-01"}, {"resource", place_.resource}});
      if (!settings_.client_id.empty())
        request.url += "&" + form_of({{"client_id", settings_.client_id}});
      request.headers = {{"Metadata", "true"}};
      return request;
    });
  }

  Result<KeyService::Answer> ask_authority(json::Arena& arena) const {
    Wiped body;
    const std::string scope = place_.resource + "/.default";
    if (!settings_.client_secret.empty()) {
      body.text = form_of({{"client_id", settings_.client_id},
                           {"client_secret", settings_.client_secret.reveal_text()},
                           {"grant_type", "client_credentials"},
                           {"scope", scope}});
    } else {
      Result<std::string> read = read_file(posix_disk(), settings_.federated_token_file, kFederatedTokenBytesMax);
      if (!read.ok())
        return service_.unavailable("AZURE_FEDERATED_TOKEN_FILE: " + read.status().message());
      const Wiped assertion{std::move(*read)};
      body.text = form_of({{"client_id", settings_.client_id},
                           {"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
                           {"client_assertion", assertion.text},
                           {"grant_type", "client_credentials"},
                           {"scope", scope}});
    }
    return service_.ask(arena, [&] {
      core::WebRequest request;
      request.method = "POST";
      request.url = place_.authority + "/" + settings_.tenant_id + "/oauth2/v2.0/token";
      request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
      request.body = body.text;
      return request;
    });
  }

  const AzureSettings settings_;
  const Place place_;
  const KeyService service_;
  TokenKeeper tokens_;
};

Result<Place> place_of(const AzureSettings& settings, const KeyService& service) {
  const std::string_view wanted = settings.environment.empty() ? kClouds[0].name : settings.environment;
  const auto cloud = std::ranges::find(kClouds, wanted, &Cloud::name);
  if (cloud == kClouds.end())
    return service.setting("environment",
                           "must be AzurePublicCloud, AzureUSGovernmentCloud or AzureChinaCloud, or not be there");
  const std::string suffix = settings.resource.empty() ? std::string(cloud->suffix) : settings.resource;
  if (!is_plain(suffix) || suffix.find_first_of(":/_") != std::string::npos)
    return service.setting("resource", "must be the suffix of a vault's host, such as vault.azure.net");
  Place out;
  out.resource = "https://" + suffix;
  const std::string vault = settings.endpoint.empty() ? settings.vault_name + "." + suffix : settings.endpoint;
  COFFER_ASSIGN(out.vault, service.url_of("endpoint", vault));
  out.authority = cloud->authority;
  if (!settings.authority_host.empty()) {
    COFFER_ASSIGN(out.authority, service.url_of("AZURE_AUTHORITY_HOST", settings.authority_host));
  }
  // The metadata service's own address does not leave the machine's host.
  out.identity = kIdentityHost;
  if (!settings.identity_host.empty() && !settings.identity_host.starts_with(kIdentityHost)) {
    COFFER_ASSIGN(out.identity, service.url_of("AZURE_POD_IDENTITY_AUTHORITY_HOST", settings.identity_host));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<seal::RemoteKey>> make_azure_key(AzureSettings settings, core::WebCall call,
                                                        const Clock& clock) {
  const bool asks = call != nullptr;
  KeyService service(kAzureKind, std::move(call));
  if (!is_name(settings.vault_name))
    return service.setting("vault_name", settings.vault_name.empty() ? "is missing" : "must be the name of a vault");
  if (!is_name(settings.key_name))
    return service.setting("key_name", settings.key_name.empty() ? "is missing" : "must be the name of a key");
  const bool authority = !settings.client_secret.empty() || !settings.federated_token_file.empty();
  if (!is_plain(settings.tenant_id) || settings.tenant_id.find_first_of(":/") != std::string::npos ||
      (authority && settings.tenant_id.empty()))
    return service.setting("tenant_id", "must be the id or a domain of a tenant");
  if (!is_plain(settings.client_id) || (authority && settings.client_id.empty()))
    return service.setting("client_id", "is missing or none: a client_secret is of a client");
  if (!asks)
    return service.setting("endpoint", "cannot be asked here");
  COFFER_ASSIGN(Place place, place_of(settings, service));
  return std::unique_ptr<seal::RemoteKey>(
      std::make_unique<AzureKey>(std::move(settings), std::move(place), std::move(service), clock));
}

}  // namespace coffer::server
