// What the seals of key services have in common: where a service is, one exchange of JSON with it, tokens that it gives
// for a while, and how a refusal is told.
#pragma once

#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"
#include "core/web_call.h"

namespace coffer::server {

// Wipes what held a secret, whatever way a function ends.
struct Wiped {
  std::string text;
  ~Wiped() { wipe(text.data(), text.size()); }
};

class TokenKeeper;

// One kind of seal and its way out. Immutable; any thread.
class KeyService {
 public:
  static constexpr unsigned kTriesMax = 2;  // of one call that had no answer, or 5xx
  static constexpr std::chrono::seconds kCallTimeMax{5};
  static constexpr std::size_t kNameBytesMax = 512;  // of a key
  static constexpr std::size_t kBlobBytesMax = 1024;  // what 32 bytes become

  KeyService(std::string_view kind, core::WebCall call);

  // kInvalid and kUnavailable, with the seal's kind before the text.
  Status setting(std::string_view name, std::string_view what) const;
  Status unavailable(std::string_view what) const;
  // kUnavailable: what the service answered, in its own word if it has one, and what to look at.
  Status refusal(int status, const std::string& word, std::string_view advice) const;
  Status damaged() const;

  // "https://HOST" of a host, or of a URL of one; kInvalid names the setting. http:// is for this machine only: what
  // goes there opens everything.
  Result<std::string> url_of(std::string_view name, std::string_view text) const;

  struct Answer {
    int status = 0;
    json::Value fields;  // in the caller's arena; null when it was no JSON object…
    std::string text;    // …and then this is it; whoever asked for secrets wipes it
    // The service's own word: "Forbidden". Empty if there is none, or none that can be shown.
    std::string word() const;
  };
  // `make` is called for each try. Bodies are wiped. kUnavailable when there is no answer.
  Result<Answer> ask(json::Arena& arena, const std::function<core::WebRequest()>& make) const;

  // With the keeper's token in `Authorization`, and once more with a new one where that was answered by 401.
  Result<Answer> ask_with(TokenKeeper& tokens, json::Arena& arena,
                          const std::function<core::WebRequest()>& make) const;

  // What encrypt() of a seal::RemoteKey gives: which key made it, and what that key made.
  struct Sealed {
    std::string_view name;
    std::string_view blob;
  };
  static std::string pack(Sealed sealed);
  Result<Sealed> unpack(std::string_view encrypted) const;
  static bool fits(Sealed sealed) noexcept;
  // The name of the key in it; empty if it is damaged.
  static std::string_view name_in(std::string_view encrypted) noexcept;

 private:
  const std::string kind_;
  const core::WebCall call_;
};

// Letters, digits and -_.:/ alone.
bool is_plain(std::string_view text) noexcept;
// "a=b&c=d", escaped, for the body of an application/x-www-form-urlencoded request; it holds secrets.
std::string form_of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);

// A bearer's token that lasts for a while. Any thread.
class TokenKeeper {
 public:
  struct Token {
    SecretBytes text;
    Nanos lifetime{0};
  };
  using Fetch = std::function<Result<Token>()>;

  // `clock` outlives it. A token is fetched anew a minute before it ends.
  TokenKeeper(Fetch fetch, const Clock& clock) : fetch_(std::move(fetch)), clock_(clock) {}

  // "Bearer …". Blocks while it is fetched; fails as that does.
  Result<std::string> header();
  // It was refused: the next header() is of a new one.
  void forget();

 private:
  const Fetch fetch_;
  const Clock& clock_;
  std::mutex mutex_;  // guards the rest
  SecretBytes token_;
  BootTime ends_{};
};

// "access_token" and "expires_in" of an OAuth 2.0 answer (RFC 6749, section 5.1; some services write the number as a
// text). kUnavailable when there is none.
Result<TokenKeeper::Token> token_of(const KeyService& service, const KeyService::Answer& answer);

}  // namespace coffer::server
