// sys/generate-root, sys/generate-root-token (the same with a token for every step) and sys/decode-token: a new root
// token from shares.
#include "core/bootstrap.h"
#include "core/call.h"
#include "core/ceremony.h"
#include "core/root_attempts.h"
#include "core/sys_engine.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

Result<RootAttempts*> attempts_of(const CallContext& ctx) {
  if (ctx.services.root_attempts == nullptr)
    return Status(Code::kUnsupported, "this server makes no root token from shares");
  return ctx.services.root_attempts;
}

Status shape(CallContext& ctx) { return shape_answer(ctx, "sys/generate-root/", "a root generation"); }

RootAttempts::Asked asked_by(const CallContext& ctx) {
  return {ctx.services.committer.leader_term(), ctx.now, ctx.token != nullptr, std::string(ctx.request.remote_address)};
}

void answer(Response& response, json::Arena& arena, const RootAttempts::State& state, std::string_view otp,
            std::string_view encoded) {
  json::ObjectBuilder body(arena, 10);
  body.add("nonce", state.nonce).add("started", state.started);
  body.add("progress", state.given.have).add("required", state.given.counts.threshold);
  body.add("complete", !encoded.empty()).add("encoded_token", encoded).add("encoded_root_token", encoded);
  body.add("pgp_fingerprint", state.fingerprint).add("otp", otp).add("otp_length", kRootTokenBytes);
  response.data = body.build();
}

Status handle_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(RootAttempts* const attempts, attempts_of(ctx));
  COFFER_ASSIGN(const std::string_view nonce, ctx.string_field("nonce", ""));
  RootAttempts::State state = attempts->state(asked_by(ctx), nonce);
  if (state.nonce.empty()) {
    COFFER_ASSIGN(state.given.counts, stored_counts(ctx));
  }
  answer(ctx.response, ctx.arena, state, "", "");
  return ok_status();
}

Status handle_begin(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(RootAttempts* const attempts, attempts_of(ctx));
  COFFER_ASSIGN(const std::string_view key_text, ctx.string_field("pgp_key", ""));
  std::string key;
  if (!key_text.empty()) {
    COFFER_ASSIGN(key, pgp_key_of(key_text, "pgp_key"));
  }
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("otp", ""));
  COFFER_ASSIGN(const seal::ShareCounts counts, stored_counts(ctx));
  const auto otp = std::make_shared<const SecretBytes>(SecretBytes::copy_of(text));
  const auto begin = [attempts, asked = asked_by(ctx), otp, key = std::move(key), counts, log = ctx.services.log](
                         Nanos, Response& response, json::Arena& arena) -> Status {
    COFFER_ASSIGN(const RootAttempts::Begun begun, attempts->begin(asked, otp->reveal_text(), key, counts));
    if (log != nullptr)
      log->warn("core", "root generation began", {{"remote_address", asked.remote}});
    answer(response, arena, begun.state, begun.otp, "");
    return ok_status();
  };
  call_alone(ctx, limits::kOutsideTimeMax, begin);
  return ok_status();
}

Status handle_cancel(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(RootAttempts* const attempts, attempts_of(ctx));
  COFFER_ASSIGN(const std::string_view nonce, ctx.string_field("nonce", ""));
  const auto cancel = [attempts, asked = asked_by(ctx), nonce = std::string(nonce)](Nanos, Response&, json::Arena&) {
    return attempts->cancel(asked, nonce);
  };
  call_alone(ctx, limits::kOutsideTimeMax, cancel);
  return ok_status();
}

Status handle_update(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(RootAttempts* const attempts, attempts_of(ctx));
  COFFER_ASSIGN(GivenShare parsed, given_share(ctx));
  COFFER_ASSIGN(std::string record, stored_seal(ctx));
  const auto given = std::make_shared<const GivenShare>(std::move(parsed));
  const auto made = std::make_shared<std::optional<SecretBytes>>();
  call_alone(ctx, limits::kOutsideTimeMax,
             [attempts, asked = asked_by(ctx), given, record = std::move(record), made,
              root = ctx.published.root_key](Nanos, Response& response, json::Arena& arena) -> Status {
               COFFER_ASSIGN(RootAttempts::Step step,
                             attempts->give(asked, given->nonce, given->share, record, *root));
               answer(response, arena, step.state, "", step.encoded);
               *made = std::move(step.token);
               return ok_status();
             });
  ctx.outside->then = [made](CallContext& again, const Status& called) -> Status {
    if (!called.ok() || !*made)
      return ok_status();
    const std::string_view text = (*made)->reveal_text();
    COFFER_TRY(put_root_token(again.txn, again.published, again.arena, text, again.random));
    // Should the answer be withheld, nobody has the token.
    again.handed_out.push_back(again.arena.copy(TokenStore(again.txn, again.published, again.arena).hash_of(text)));
    if (again.services.log != nullptr)
      again.services.log->warn("core", "root generation done: a new root token was made");
    return ok_status();
  };
  return ok_status();
}

Status handle_decode(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view encoded, ctx.string_field("encoded_token", ""));
  COFFER_ASSIGN(const std::string_view otp, ctx.string_field("otp", ""));
  COFFER_ASSIGN(const SecretBytes token, decode_root_token(encoded, otp));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("token", token.reveal_text()).build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_root_specs() {
  const Field nonce{"nonce", FieldType::kString, "Names the attempt; it is told when it begins."};
  const std::vector<Field> begin = {
      {"otp", FieldType::kString, "The one-time password that the token is encoded with; drawn when left out.", true},
      {"pgp_key", FieldType::kString, "A public key that the token is encrypted to."},
      nonce};
  const std::vector<Field> share = {{"key", FieldType::kString, "One share.", true}, nonce};
  struct Family {
    std::string_view attempt, update;
    bool open;  // to everybody
  };
  constexpr Family kFamilies[] = {{"generate-root/attempt", "generate-root/update", true},
                                  {"generate-root-token/attempt", "generate-root-token/update", false}};
  std::vector<PathSpec> specs;
  for (const Family& family : kFamilies) {
    specs.push_back({family.attempt, "Making a root token from shares.", begin,
                     {{Operation::kRead, Effect::kReadsMemory, handle_status, "Shows how far it is."},
                      {Operation::kWrite, Effect::kOutside, handle_begin, "Begins an attempt."},
                      {Operation::kDelete, Effect::kOutside, handle_cancel, "Ends an attempt."}}});
    specs.push_back({family.update, "Shares, one after the other, until there are enough.", share,
                     {{Operation::kWrite, Effect::kOutside, handle_update, "Gives one."}}});
    for (std::size_t i = specs.size() - 2; i < specs.size(); ++i)
      specs[i].unauthenticated = family.open;
  }
  PathSpec decode{"decode-token", "A root token as it was made, from its encoded form.",
                  {{"encoded_token", FieldType::kString, "What the last share was answered with.", true},
                   {"otp", FieldType::kString, "The attempt's one-time password.", true}},
                  {{Operation::kWrite, Effect::kReads, handle_decode, "Decodes it."}}};
  decode.unauthenticated = true;
  specs.push_back(std::move(decode));
  return specs;
}

}  // namespace coffer::core
