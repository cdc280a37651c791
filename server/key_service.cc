#include "server/key_service.h"

#include <charconv>
#include <utility>

#include "base/codec.h"

namespace coffer::server {
namespace {

constexpr std::size_t kWordBytesMax = 64;
constexpr std::chrono::minutes kTokenEarly{1};
constexpr std::int64_t kTokenSecondsMax = 86400;
constexpr std::size_t kTokenBytesMax = 16384;

bool on_this_machine(std::string_view host) {
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "127.0.0.1" || name == "localhost";
}

Result<std::int64_t> number_of(const json::Value* value) {
  if (value == nullptr)
    return Status(Code::kInvalid, "no number");
  if (!value->is_string())
    return value->as_int64();
  const std::string_view text = value->as_string();
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? Result<std::int64_t>(out)
                                                                  : Status(Code::kInvalid, "no number");
}

}  // namespace

bool is_plain(std::string_view text) noexcept {
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/") ==
         std::string_view::npos;
}

std::string form_of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out.append(out.empty() ? "" : "&").append(name).push_back('=');
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (is_plain({&c, 1}) && c != ':' && c != '/') {
        out.push_back(c);
        continue;
      }
      out.push_back('%');
      out.push_back("0123456789ABCDEF"[byte >> 4]);
      out.push_back("0123456789ABCDEF"[byte & 15]);
    }
  }
  return out;
}

KeyService::KeyService(std::string_view kind, core::WebCall call)
    : kind_("seal \"" + std::string(kind) + "\""), call_(std::move(call)) {}

Status KeyService::setting(std::string_view name, std::string_view what) const {
  return Status(Code::kInvalid, (kind_ + ": ").append(name).append(" ").append(what));
}

Status KeyService::unavailable(std::string_view what) const {
  return Status(Code::kUnavailable, (kind_ + ": ").append(what));
}

Status KeyService::refusal(int status, const std::string& word, std::string_view advice) const {
  std::string text = "the key service answered " + std::to_string(status);
  if (!word.empty())
    text.append(" ").append(word);
  if (!advice.empty())
    text.append(": ").append(advice);
  return unavailable(text);
}

Status KeyService::damaged() const { return Status(Code::kDataLoss, "what the key service sealed is damaged"); }

Result<std::string> KeyService::url_of(std::string_view name, std::string_view text) const {
  std::string_view scheme = "https://";
  std::string_view host = text;
  if (const std::size_t at = host.find("://"); at != std::string_view::npos) {
    scheme = host.substr(0, at + 3);
    host.remove_prefix(at + 3);
  }
  if (host.ends_with('/'))
    host.remove_suffix(1);
  if ((scheme != "https://" && scheme != "http://") || host.empty() || !is_plain(host) ||
      host.find('/') != std::string_view::npos)
    return setting(name, "must be a host, or http:// or https:// and a host");
  if (scheme == "http://" && !on_this_machine(host))
    return setting(name, "may be http:// on this machine only");
  // HTTP leaves the scheme's own port out of Host, and what is signed must be what is sent.
  if (const std::string_view usual = scheme == "http://" ? ":80" : ":443"; host.ends_with(usual))
    host.remove_suffix(usual.size());
  return std::string(scheme).append(host);
}

// {"__type": "…#Word"}, {"error": "word"}, {"error": {"code": "Word"}} or {"error": {"code": 403, "status": "WORD"}}.
std::string KeyService::Answer::word() const {
  const json::Value* error = fields.find("error");
  std::string_view text = fields.string_or("__type", "");
  if (error != nullptr && error->is_string())
    text = error->as_string();
  else if (error != nullptr && error->is_object())
    text = error->string_or("status", error->string_or("code", ""));
  if (const std::size_t at = text.rfind('#'); at != std::string_view::npos)
    text.remove_prefix(at + 1);
  return is_plain(text) ? std::string(text.substr(0, kWordBytesMax)) : std::string();
}

Result<KeyService::Answer> KeyService::ask(json::Arena& arena, const std::function<core::WebRequest()>& make) const {
  Result<core::WebAnswer> answer = unavailable("the key service was not asked");
  for (unsigned tries = 1; tries <= kTriesMax; ++tries) {
    core::WebRequest request = make();
    request.time_max = kCallTimeMax;
    answer = call_(request);
    wipe(request.body.data(), request.body.size());
    for (auto& [name, value] : request.headers)
      wipe(value.data(), value.size());
    if (answer.ok() && answer->status < 500)
      break;
  }
  if (!answer.ok())
    return answer.status().with_context(kind_);
  Wiped text{std::move(answer->body)};
  Answer out;
  out.status = answer->status;
  if (const Result<json::Value> fields = json::parse_copy(arena, text.text); fields.ok() && fields->is_object())
    out.fields = *fields;
  else
    out.text = std::move(text.text);
  return out;
}

Result<KeyService::Answer> KeyService::ask_with(TokenKeeper& tokens, json::Arena& arena,
                                                const std::function<core::WebRequest()>& make) const {
  for (bool again = true;; again = false) {
    COFFER_ASSIGN(std::string header, tokens.header());
    const Wiped token{std::move(header)};
    COFFER_ASSIGN(const Answer answer, ask(arena, [&] {
      core::WebRequest request = make();
      request.headers.emplace_back("Authorization", token.text);
      return request;
    }));
    if (answer.status != 401 || !again)
      return answer;
    tokens.forget();
  }
}

bool KeyService::fits(Sealed sealed) noexcept {
  return !sealed.name.empty() && sealed.name.size() <= kNameBytesMax && is_plain(sealed.name) && !sealed.blob.empty() &&
         sealed.blob.size() <= kBlobBytesMax;
}

std::string KeyService::pack(Sealed sealed) {
  std::string out;
  ByteWriter(out).bytes(sealed.name).bytes(sealed.blob);
  return out;
}

Result<KeyService::Sealed> KeyService::unpack(std::string_view encrypted) const {
  ByteReader in(encrypted);
  Sealed out;
  out.name = in.bytes();
  out.blob = in.bytes();
  return in.finish().ok() && fits(out) ? Result<Sealed>(out) : damaged();
}

std::string_view KeyService::name_in(std::string_view encrypted) noexcept { return ByteReader(encrypted).bytes(); }

Result<std::string> TokenKeeper::header() {
  const std::lock_guard lock(mutex_);
  if (token_.empty() || clock_.boot_now() >= ends_) {
    COFFER_ASSIGN(Token fetched, fetch_());
    token_ = std::move(fetched.text);
    ends_ = clock_.boot_now() + std::max<Nanos>(fetched.lifetime - kTokenEarly, Nanos(0));
  }
  return "Bearer " + std::string(token_.reveal_text());
}

void TokenKeeper::forget() {
  const std::lock_guard lock(mutex_);
  token_ = SecretBytes();
}

Result<TokenKeeper::Token> token_of(const KeyService& service, const KeyService::Answer& answer) {
  const std::string_view text = answer.fields.string_or("access_token", "");
  const Result<std::int64_t> seconds = number_of(answer.fields.find("expires_in"));
  const bool sound = !text.empty() && text.size() <= kTokenBytesMax &&
                     text.find_first_of(std::string_view("\r\n\0 ", 4)) == std::string_view::npos && seconds.ok() &&
                     *seconds > 0;
  if (!sound)
    return service.unavailable("the answer to the request for a token is none");
  return TokenKeeper::Token{SecretBytes::copy_of(text), std::chrono::seconds(std::min(*seconds, kTokenSecondsMax))};
}

}  // namespace coffer::server
