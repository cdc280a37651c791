#include "server/transit_seal.h"

#include <utility>

#include "base/encoding.h"
#include "server/key_service.h"

namespace coffer::server {
namespace {

constexpr std::string_view kDefaultMount = "transit";
constexpr std::string_view kCiphertextBegins = "vault:v";

bool is_path(std::string_view text) {
  return !text.empty() && is_plain(text) && !text.starts_with('/') && !text.ends_with('/') &&
         text.find(':') == std::string_view::npos && text.find("//") == std::string_view::npos &&
         text.find("..") == std::string_view::npos;
}

// "MOUNT" and "KEY" of "MOUNT/KEY".
std::pair<std::string_view, std::string_view> split(std::string_view name) {
  const std::size_t at = name.rfind('/');
  return at == std::string_view::npos ? std::pair(std::string_view(), name)
                                      : std::pair(name.substr(0, at), name.substr(at + 1));
}

class TransitKey final : public seal::RemoteKey {
 public:
  TransitKey(TransitSettings settings, std::string url, KeyService service)
      : settings_(std::move(settings)),
        url_(std::move(url)),
        key_(settings_.mount_path + "/" + settings_.key_name),
        service_(std::move(service)) {}

  std::string_view kind() const noexcept override { return kTransitKind; }
  std::string_view title() const noexcept override { return "transit server"; }
  std::string_view envelope_id() const noexcept override { return kTransitKind; }

  Result<std::string> encrypt(const SecretBytes& key) override {
    json::Arena arena;
    const Wiped plain{base64_encode(key.reveal_text())};
    COFFER_ASSIGN(const json::Value data, work(arena, key_, "encrypt", "plaintext", plain.text));
    const std::string_view text = data.string_or("ciphertext", "");
    if (!text.starts_with(kCiphertextBegins) || !KeyService::fits({key_, text}))
      return service_.unavailable("the transit server's answer to encrypt is none");
    return KeyService::pack({key_, text});
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    COFFER_ASSIGN(const KeyService::Sealed sealed, service_.unpack(encrypted));
    if (!is_path(sealed.name) || split(sealed.name).first.empty() || !sealed.blob.starts_with(kCiphertextBegins))
      return service_.damaged();
    json::Arena arena;
    COFFER_ASSIGN(const json::Value data, work(arena, sealed.name, "decrypt", "ciphertext", sealed.blob));
    Result<SecretBytes> plain = base64_decode_secret(data.string_or("plaintext", ""));
    if (!plain.ok() || plain->empty())
      return service_.unavailable("the transit server's answer to decrypt is none");
    return plain;
  }

  bool is_current(std::string_view encrypted) const override { return KeyService::name_in(encrypted) == key_; }

  // There and back; a policy for a seal allows these two and no look at the key.
  Status check() override {
    COFFER_TRY(renew());
    SecretBytes text(32);
    COFFER_ASSIGN(const std::string sealed, encrypt(text));
    COFFER_ASSIGN(const SecretBytes back, decrypt(sealed));
    return back.equals(text) ? ok_status() : service_.unavailable("what it encrypts decrypts to something else");
  }

 private:
  Status renew() {
    if (settings_.disable_renewal)
      return ok_status();
    json::Arena arena;
    COFFER_ASSIGN(const KeyService::Answer answer, send(arena, "auth/token/renew-self", "{}"));
    // 400: a token that is never renewed; whether it works is seen next.
    return answer.status == 200 || answer.status == 400 ? ok_status() : refused(answer.status);
  }

  // `data` of the answer of 200.
  Result<json::Value> work(json::Arena& arena, std::string_view name, std::string_view action, std::string_view field,
                           std::string_view value) {
    const auto [mount, key] = split(name);
    Wiped body;
    json::write(json::ObjectBuilder(arena, 1).add(field, value).build(), body.text);
    COFFER_ASSIGN(const KeyService::Answer answer,
                  send(arena, std::string(mount).append("/").append(action).append("/").append(key), body.text));
    const json::Value* data = answer.fields.find("data");
    if (answer.status != 200)
      return refused(answer.status);
    return data != nullptr && data->is_object()
               ? Result<json::Value>(*data)
               : service_.unavailable("the transit server's answer holds no data");
  }

  Result<KeyService::Answer> send(json::Arena& arena, std::string_view path, const std::string& body) const {
    return service_.ask(arena, [&] {
      core::WebRequest request;
      request.method = "PUT";
      request.url = (url_ + "/v1/").append(path);
      request.headers = {{"X-Vault-Token", std::string(settings_.token.reveal_text())},
                         {"X-Vault-Request", "true"},
                         {"Content-Type", "application/json"}};
      if (!settings_.name_space.empty())
        request.headers.emplace_back("X-Vault-Namespace", settings_.name_space);
      request.body = body;
      request.ca_file = settings_.ca_file;
      request.cert_file = settings_.cert_file;
      request.key_file = settings_.key_file;
      request.server_name = settings_.server_name;
      request.skip_verify = settings_.skip_verify;
      return request;
    });
  }

  Status refused(int status) const {
    std::string_view advice;
    if (status == 400)
      advice = "key_name was exchanged, or its min_decryption_version is above what is stored";
    else if (status == 403)
      advice = "token has ended, or may not update encrypt and decrypt of key_name below mount_path";
    else if (status == 404)
      advice = "mount_path names no transit engine, or key_name no key";
    else if (status == 503)
      advice = "it is sealed or does not lead yet";
    return service_.refusal(status, "", advice);
  }

  const TransitSettings settings_;
  const std::string url_;
  const std::string key_;
  const KeyService service_;
};

}  // namespace

Result<std::unique_ptr<seal::RemoteKey>> make_transit_key(TransitSettings settings, core::WebCall call) {
  const bool asks = call != nullptr;
  KeyService service(kTransitKind, std::move(call));
  if (settings.address.empty())
    return service.setting("address", "is missing");
  if (settings.token.empty())
    return service.setting("token", "is missing: give it, or VAULT_TOKEN");
  const std::string_view token = settings.token.reveal_text();
  if (token.find_first_of(std::string_view("\r\n\0 ", 4)) != std::string_view::npos)
    return service.setting("token", "must be one word");
  if (settings.mount_path.empty())
    settings.mount_path = kDefaultMount;
  while (settings.mount_path.ends_with('/'))
    settings.mount_path.pop_back();
  if (!is_path(settings.mount_path))
    return service.setting("mount_path", "must be the path of a transit engine");
  if (settings.key_name.empty())
    return service.setting("key_name", "is missing");
  if (!is_path(settings.key_name) || settings.key_name.find('/') != std::string::npos)
    return service.setting("key_name", "must be the name of a key");
  if (!is_plain(settings.name_space))
    return service.setting("namespace", "must be the path of a namespace");
  if (!asks)
    return service.setting("address", "cannot be asked here");
  COFFER_ASSIGN(std::string url, service.url_of("address", settings.address));
  return std::unique_ptr<seal::RemoteKey>(
      std::make_unique<TransitKey>(std::move(settings), std::move(url), std::move(service)));
}

}  // namespace coffer::server
