#include "core/wrapping_jwt.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "core/answers.h"
#include "crypto/es512.h"

namespace coffer::core {
namespace {

// The only head there is: what a text says of its algorithm is compared, never obeyed.
constexpr std::string_view kHead = "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9";  // {"alg":"ES512","typ":"JWT"}
constexpr std::string_view kKind = "wrapping";
constexpr std::int64_t kClockSlackSeconds = 5;

Status wrong() { return Status(Code::kInvalid, "wrapping token is not valid or does not exist"); }

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool is_wrapping_claim(const json::Value& claims, WallTime now) {
  const json::Value* end = claims.find("exp");
  const Result<std::int64_t> seconds = end == nullptr ? Result<std::int64_t>(wrong()) : end->as_int64();
  return claims.string_or("type", "") == kKind && seconds.ok() && *seconds >= seconds_of(now);
}

}  // namespace

bool looks_like_jwt(std::string_view text) noexcept {
  return text.starts_with("ey") && std::count(text.begin(), text.end(), '.') == 2;
}

Result<std::string> sign_wrapping(const Published& published, const WrapInfo& wrap) {
  Arena arena;
  const std::int64_t made = seconds_of(wrap.creation_time);
  const json::Value claims = json::ObjectBuilder(arena, 6)
                                 .add("accessor", wrap.accessor)
                                 .add("exp", made + whole_seconds(wrap.ttl))
                                 .add("iat", made)
                                 .add("jti", wrap.token)
                                 .add("nbf", made - kClockSlackSeconds)
                                 .add("type", kKind)
                                 .build();
  std::string body;
  json::write(claims, body);
  std::string text(kHead);
  text.append(".").append(base64url_encode(body));
  wipe(body.data(), body.size());
  COFFER_ASSIGN(const std::string signature, published.wrap_key->sign(text));
  return text.append(".").append(base64url_encode(signature));
}

Result<std::string_view> wrapping_token_in(const Published& published, json::Arena& arena, std::string_view text,
                                           WallTime now) {
  const std::size_t last = text.rfind('.');
  if (!looks_like_jwt(text) || !text.starts_with(kHead) || text[kHead.size()] != '.' || last <= kHead.size())
    return wrong();
  const Result<std::string> signature = base64url_decode(text.substr(last + 1));
  const bool trusted = signature.ok() && published.wrap_key->verify(text.substr(0, last), *signature);
  if (!trusted && !mutant(Mutant::kWrapJwtUnchecked))
    return wrong();
  Result<std::string> body = base64url_decode(text.substr(kHead.size() + 1, last - kHead.size() - 1));
  if (!body.ok())
    return wrong();
  const std::string_view kept = arena.copy(*body);
  wipe(body->data(), body->size());
  const Result<json::Value> claims = json::parse(arena, kept);
  if (!claims.ok() || !is_wrapping_claim(*claims, now))
    return wrong();
  return claims->string_or("jti", "");
}

}  // namespace coffer::core
