#include "core/wrapping.h"

#include <algorithm>

#include "base/mutant.h"
#include "base/secret.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/token_issue.h"
#include "core/token_store.h"
#include "core/token_ttl.h"
#include "core/wrapping_jwt.h"
#include "crypto/es512.h"

namespace coffer::core {
namespace {

store::StoreKey response_key(std::string_view& name, json::Arena& arena, std::string_view hash) {
  name = arena.copy(std::string(hash) + "/response");
  return {store::KeyClass::kClusterLocal, layout::kRootNamespace, kCubbyholeMountId, name};
}

json::Value auth_value(json::Arena& arena, const Auth& auth) {
  return json::ObjectBuilder(arena, 16)
      .add("client_token", auth.client_token)
      .add("accessor", auth.accessor)
      .add("policies", text_list(arena, auth.policies))
      .add("token_policies", text_list(arena, auth.token_policies))
      .add("metadata", auth.metadata)
      .add("lease_duration", whole_seconds(auth.lease_duration))
      .add("renewable", auth.renewable)
      .add("entity_id", auth.entity_id)
      .add("token_type", auth.token_type)
      .add("orphan", auth.orphan)
      .add("mfa_requirement", nullptr)
      .add("num_uses", auth.num_uses)
      .build();
}

std::vector<std::string_view> texts_of(const json::Value* list) {
  std::vector<std::string_view> texts;
  if (list != nullptr)
    for (const json::Value& element : list->elements())
      if (element.is_string())
        texts.push_back(element.as_string());
  return texts;
}

bool flag(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::int64_t whole(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  if (value == nullptr)
    return 0;
  const Result<std::int64_t> number = value->as_int64();
  return number.ok() ? *number : 0;
}

Auth auth_of(const json::Value& value) {
  Auth auth;
  auth.client_token = value.string_or("client_token", "");
  auth.accessor = value.string_or("accessor", "");
  auth.policies = texts_of(value.find("policies"));
  auth.token_policies = texts_of(value.find("token_policies"));
  if (const json::Value* metadata = value.find("metadata"))
    auth.metadata = *metadata;
  auth.lease_duration = std::chrono::seconds(whole(value, "lease_duration"));
  auth.renewable = flag(value, "renewable");
  auth.entity_id = value.string_or("entity_id", "");
  auth.token_type = value.string_or("token_type", "service");
  auth.orphan = flag(value, "orphan");
  auth.num_uses = whole(value, "num_uses");
  return auth;
}

// The answer as it would have been sent, as the text that the cubbyhole keeps.
Status keep_response(CallContext& ctx, std::string_view hash) {
  const Response& response = ctx.response;
  const json::Value envelope =
      json::ObjectBuilder(ctx.arena, 8)
          .add("request_id", ctx.request.id)
          .add("lease_id", response.lease_id)
          .add("renewable", response.renewable)
          .add("lease_duration", whole_seconds(response.lease_duration))
          .add("data", response.data)
          .add("warnings", response.warnings.empty() ? json::Value() : text_list(ctx.arena, response.warnings))
          .add("auth", response.auth ? auth_value(ctx.arena, *response.auth) : json::Value())
          .build();
  std::string inner;
  json::write(envelope, inner);
  std::string outer;
  json::write(json::ObjectBuilder(ctx.arena, 1).add("response", json::Value::borrowed(inner)).build(), outer);
  std::string_view name;
  const Status status = ctx.txn.put(response_key(name, ctx.arena, hash), outer);
  wipe(inner.data(), inner.size());
  wipe(outer.data(), outer.size());
  return status;
}

struct Wrapper {
  std::string_view text;
  std::string_view hash;
  TokenRecord record;
};

Result<Wrapper> new_wrapper(CallContext& ctx, Nanos ttl, std::string_view creation_path,
                            std::string_view wrapped_accessor, std::string_view policy = kWrappingPolicyName) {
  ttl = std::min(ttl, ctx.published.config.max_lease_ttl);
  COFFER_ASSIGN(const std::string text, new_service_token(ctx.random, ctx.now));
  COFFER_ASSIGN(const std::string accessor, new_accessor(ctx.random));
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  const std::string_view shown = ctx.arena.copy(in_namespace(ctx, ctx.ns.id, text));
  Wrapper wrapper{shown, tokens.hash_of(shown), {}};
  TokenRecord& record = wrapper.record;
  record.orphan = true;
  record.created = record.renewed = ctx.now;
  record.expires = ctx.now + ttl;
  record.creation_ttl = record.ttl = record.explicit_max_ttl = ttl;
  // What waits for others is not lost because somebody tries its token as their own: that token may do nothing.
  record.num_uses = policy == kWrappingPolicyName ? 1 : 0;
  record.accessor = ctx.arena.copy(in_namespace(ctx, ctx.ns.id, accessor));
  record.path = ctx.arena.copy(creation_path);
  record.policies = policy;
  record.ns = ctx.ns.id;
  record.wrapped_accessor = ctx.arena.copy(wrapped_accessor);
  COFFER_TRY(tokens.add(wrapper.hash, record));
  ctx.handed_out.push_back(wrapper.hash);
  return wrapper;
}

Status show_wrapper(CallContext& ctx, const Wrapper& wrapper) {
  ctx.response = Response();
  ctx.response.wrap_info = WrapInfo{wrapper.text, wrapper.record.accessor, wrapper.record.ttl, wrapper.record.created,
                                    wrapper.record.path, wrapper.record.wrapped_accessor};
  ctx.wrapped = true;
  if (ctx.request.wrap_format != WrapFormat::kJwt)
    return ok_status();
  COFFER_ASSIGN(std::string text, sign_wrapping(ctx.published, *ctx.response.wrap_info));
  ctx.response.wrap_info->token = ctx.arena.copy(text);
  wipe(text.data(), text.size());
  return ok_status();
}

// The wrapping token that the body names, or the calling one.
Result<StoredToken> wrapping_token(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view named, ctx.string_field("token", ""));
  std::string_view text = named.empty() ? ctx.request.token : named;
  if (looks_like_jwt(text)) {
    COFFER_ASSIGN(text, wrapping_token_in(ctx.published, ctx.arena, text, ctx.now));
  }
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  if (!text.empty()) {
    COFFER_ASSIGN(const auto token, tokens.live(tokens.hash_of(text)));
    // What was wrapped elsewhere is no wrapping token here (advisory F2).
    const bool here = token && (ctx.in_reach(token->record) || mutant(Mutant::kWrappingOfOtherNamespace));
    if (here && token->record.policies == kWrappingPolicyName)
      return *token;
  }
  return Status(Code::kInvalid, std::string(kNoWrappingToken));
}

Result<std::string_view> kept_response(CallContext& ctx, std::string_view hash) {
  std::string_view name;
  COFFER_ASSIGN(const auto stored, ctx.txn.get(response_key(name, ctx.arena, hash)));
  if (!stored)
    return Status(Code::kInvalid, std::string(kNoWrappingToken));
  return *stored;
}

Status handle_wrap(HandlerContext& ctx) {
  if (!ctx.request.wrap_ttl)
    return Status(Code::kInvalid, "endpoint requires response wrapping to be used");
  ctx.response.data = ctx.request.data.is_object() ? ctx.request.data : json::ObjectBuilder(ctx.arena, 1).build();
  return ok_status();
}

Status handle_lookup(HandlerContext& ctx) {
  COFFER_ASSIGN(const StoredToken token, wrapping_token(call(ctx)));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("creation_path", token.record.path)
                          .add("creation_time", format_time(token.record.created))
                          .add("creation_ttl", whole_seconds(token.record.creation_ttl))
                          .build();
  return ok_status();
}

Status handle_unwrap(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const StoredToken token, wrapping_token(ctx));
  COFFER_ASSIGN(const std::string_view stored, kept_response(ctx, token.hash));
  json::Limits stored_limits;
  // It was an answer of this server, not a client's text, and stands deeper than the body that it came from.
  stored_limits.strings = SIZE_MAX;
  stored_limits.depth = 2 * limits::kJsonDepthMax;
  COFFER_ASSIGN(const json::Value outer, json::parse(ctx.arena, stored, stored_limits));
  COFFER_ASSIGN(const json::Value envelope, json::parse(ctx.arena, outer.string_or("response", ""), stored_limits));
  Response& response = ctx.response;
  if (const json::Value* data = envelope.find("data"))
    response.data = *data;
  if (const json::Value* auth = envelope.find("auth"); auth != nullptr && auth->is_object())
    response.auth = auth_of(*auth);
  response.lease_id = envelope.string_or("lease_id", "");
  response.renewable = flag(envelope, "renewable");
  response.lease_duration = std::chrono::seconds(whole(envelope, "lease_duration"));
  response.warnings = texts_of(envelope.find("warnings"));
  return TokenStore(ctx.txn, ctx.published, ctx.arena).revoke_tree(token.hash);
}

Status handle_rewrap(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const StoredToken token, wrapping_token(ctx));
  COFFER_ASSIGN(const std::string_view stored, kept_response(ctx, token.hash));
  COFFER_ASSIGN(const Wrapper wrapper,
                new_wrapper(ctx, token.record.creation_ttl, token.record.path, token.record.wrapped_accessor));
  std::string_view name;
  COFFER_TRY(ctx.txn.put(response_key(name, ctx.arena, wrapper.hash), stored));
  COFFER_TRY(TokenStore(ctx.txn, ctx.published, ctx.arena).revoke_tree(token.hash));
  return show_wrapper(ctx, wrapper);
}

Status handle_public_key(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string pem, ctx.published.wrap_key->public_pem());
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("public_key", pem).build();
  return ok_status();
}

}  // namespace

Status wrap_response(CallContext& ctx, Nanos ttl) {
  const Response& response = ctx.response;
  if (ttl <= Nanos(0) || (response.data.is_null() && !response.auth) || !response.content_type.empty())
    return ok_status();
  COFFER_ASSIGN(const Wrapper wrapper, new_wrapper(ctx, ttl, ctx.request.path.view(),
                                                   response.auth ? response.auth->accessor : std::string_view()));
  COFFER_TRY(keep_response(ctx, wrapper.hash));
  return show_wrapper(ctx, wrapper);
}

Result<std::string_view> answer_with_wrapper(CallContext& ctx, Nanos ttl, std::string_view policy) {
  COFFER_ASSIGN(const Wrapper wrapper, new_wrapper(ctx, ttl, ctx.request.path.view(), {}, policy));
  COFFER_TRY(show_wrapper(ctx, wrapper));
  return wrapper.hash;
}

std::vector<PathSpec> wrapping_specs() {
  const std::vector<Field> token_field = {
      {"token", FieldType::kString, "The wrapping token; the calling one when absent."}};
  std::vector<PathSpec> specs;
  specs.push_back({"wrapping/wrap", "Put any JSON object behind a token that gives it out once.", {},
                   {{Operation::kWrite, Effect::kWrites, handle_wrap, "Wraps the request's body."}}});
  specs.back().any_fields = true;
  specs.push_back({"wrapping/lookup", "When, how long and by which request something was wrapped.", token_field,
                   {{Operation::kRead, Effect::kReads, handle_lookup, "Looks up the calling token."},
                    {Operation::kWrite, Effect::kReads, handle_lookup, "Looks up a token."}},
                   nullptr, true});
  specs.push_back({"wrapping/unwrap", "Take out what was wrapped.", token_field,
                   {{Operation::kWrite, Effect::kWrites, handle_unwrap, "Gives the wrapped answer, once."}}});
  specs.push_back({"wrapping/pubkey", "What wrapping tokens that are JWTs are signed with.", {},
                   {{Operation::kRead, Effect::kReads, handle_public_key, "Reads the public key."}},
                   nullptr, true});
  specs.push_back({"wrapping/rewrap", "Move what was wrapped to a fresh token.", token_field,
                   {{Operation::kWrite, Effect::kWrites, handle_rewrap, "Moves the answer to a new token."}}});
  return specs;
}

}  // namespace coffer::core
