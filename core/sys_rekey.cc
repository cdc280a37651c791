// sys/rekey, sys/rekey-recovery-key, and sys/rotate/root and sys/rotate/recovery, which are the same with a token for
// every step: new shares for people in the place of those they hold.
#include "base/mutant.h"
#include "core/call.h"
#include "core/ceremony.h"
#include "core/layout.h"
#include "core/rekeys.h"
#include "core/share_backup.h"
#include "core/sys_engine.h"
#include "core/token_params.h"

namespace coffer::core {

namespace {

Result<Rekeys*> rekeys_of(const CallContext& ctx) {
  if (ctx.services.rekeys == nullptr)
    return Status(Code::kUnsupported, "this server's shares cannot be exchanged");
  return ctx.services.rekeys;
}

Status shape(CallContext& ctx) { return shape_answer(ctx, "sys/rekey", "a rekey"); }

Rekeys::Asked asked_by(const CallContext& ctx) {
  return {ctx.full_path.find("/recovery") != std::string_view::npos ||
              ctx.full_path.find("-recovery-") != std::string_view::npos,
          ctx.services.committer.leader_term(), ctx.now, ctx.token != nullptr || mutant(Mutant::kRekeyNonceTold)};
}

// As every answer about an exchange has them.
void add_keys(json::ObjectBuilder& body, json::Arena& arena, const seal::RekeyRequest& request) {
  body.add("pgp_fingerprints",
           request.fingerprints.empty() ? json::Value::null() : owned_text_list(arena, request.fingerprints));
  body.add("backup", request.backup).add("verification_required", request.verify);
}

void answer_state(Response& response, json::Arena& arena, const Rekeys::State& state, bool nonce_told) {
  json::ObjectBuilder body(arena, 12);
  body.add("nonce", nonce_told ? state.nonce : std::string()).add("started", state.started);
  body.add("t", state.request.counts.threshold).add("n", state.request.counts.shares);
  body.add("progress", state.given.have).add("required", state.given.counts.threshold);
  add_keys(body, arena, state.request);
  if (state.verifying && nonce_told)
    body.add("verification_nonce", state.verification_nonce);
  response.data = body.build();
}

void answer_verification(Response& response, json::Arena& arena, const Rekeys::State& state, bool nonce_told) {
  json::ObjectBuilder body(arena, 6);
  body.add("nonce", nonce_told ? state.verification_nonce : std::string()).add("started", true);
  body.add("t", state.request.counts.threshold).add("n", state.request.counts.shares).add("progress", state.shown.have);
  response.data = body.build();
}

// The shares leave once, in this answer.
void answer_made(Response& response, json::Arena& arena, const Rekeys::Step& step, std::string_view nonce) {
  json::ObjectBuilder body(arena, 10);
  body.add("complete", true).add("nonce", nonce);
  add_shares(body, arena, "keys", "keys_base64", step.made->shares, step.made->encrypted);
  add_keys(body, arena, step.state.request);
  if (step.state.verifying)
    body.add("verification_nonce", step.state.verification_nonce);
  response.data = body.build();
}

Status handle_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  const Rekeys::Asked asked = asked_by(ctx);
  Rekeys::State state = rekeys->state(asked);
  if (!state.started) {
    // What one would need.
    COFFER_ASSIGN(state.given.counts, stored_counts(ctx));
  }
  answer_state(ctx.response, ctx.arena, state, asked.by_token);
  return ok_status();
}

Result<seal::RekeyRequest> request_of(CallContext& ctx, bool recovery) {
  seal::RekeyRequest request;
  request.recovery = recovery;
  COFFER_ASSIGN(const std::int64_t shares, ctx.int_field("secret_shares", 0, 0, 256));
  COFFER_ASSIGN(const std::int64_t threshold, ctx.int_field("secret_threshold", 0, 0, 256));
  COFFER_ASSIGN(request.verify, ctx.bool_field("require_verification", false));
  COFFER_ASSIGN(request.pgp_keys, pgp_keys_field(ctx, "pgp_keys"));
  COFFER_ASSIGN(request.backup, ctx.bool_field("backup", false));
  request.counts = {static_cast<unsigned>(shares), static_cast<unsigned>(threshold)};
  COFFER_TRY(seal::check_share_counts(request.counts));
  return request;
}

Status handle_begin(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  const Rekeys::Asked asked = asked_by(ctx);
  COFFER_ASSIGN(seal::RekeyRequest request, request_of(ctx, asked.recovery));
  COFFER_ASSIGN(std::string record, stored_seal(ctx));
  const auto begin = [rekeys, asked, request = std::move(request), record = std::move(record), log = ctx.services.log](
                         Nanos, Response& response, json::Arena& arena) -> Status {
    COFFER_ASSIGN(const Rekeys::State state, rekeys->begin(asked, request, record));
    if (log != nullptr)
      log->info("core", "rekey began", {{"recovery", asked.recovery}});
    answer_state(response, arena, state, true);
    return ok_status();
  };
  call_alone(ctx, limits::kOutsideTimeMax, begin);
  return ok_status();
}

Status handle_cancel(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  COFFER_ASSIGN(const std::string_view nonce, ctx.string_field("nonce", ""));
  const auto cancel = [rekeys, asked = asked_by(ctx), nonce = std::string(nonce)](Nanos, Response&, json::Arena&) {
    return rekeys->cancel(asked, nonce);
  };
  call_alone(ctx, limits::kOutsideTimeMax, cancel);
  return ok_status();
}

// Runs `take` when the request's line was accepted. What it made takes effect in the entry that follows, unless the
// seal is not the one any more that the shares were given for.
template <typename Take>
void take_share(CallContext& ctx, Take take) {
  const auto made = std::make_shared<std::optional<Rekeys::Step>>();
  call_alone(ctx, limits::kOutsideTimeMax, [take, made](Nanos, Response& response, json::Arena& arena) -> Status {
    COFFER_ASSIGN(Rekeys::Step step, take(response, arena));
    if (step.in_effect)
      *made = std::move(step);
    return ok_status();
  });
  ctx.outside->then = [made, recovery = asked_by(ctx).recovery](CallContext& again, const Status& called) -> Status {
    if (!called.ok() || !*made)
      return ok_status();
    const Rekeys::Step& step = **made;
    COFFER_ASSIGN(const std::string before, stored_seal(again));
    if (before != step.made->before)
      return Status(Code::kUnavailable, "the seal was changed meanwhile, the shares stay as they are");
    if (again.services.log != nullptr)
      again.services.log->info("core", "rekey done: the new shares take the place of the old ones");
    COFFER_TRY(put_share_backup(again, recovery, step.state.nonce,
                                step.state.request.backup ? step.made->encrypted : std::vector<crypto::PgpMessage>()));
    return again.txn.put_as_is(layout::token_key(layout::kSealConfig), step.made->record);
  };
}

Status handle_update(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  COFFER_ASSIGN(GivenShare parsed, given_share(ctx));
  COFFER_ASSIGN(std::string record, stored_seal(ctx));
  const auto given = std::make_shared<const GivenShare>(std::move(parsed));
  take_share(ctx, [rekeys, asked = asked_by(ctx), given, record = std::move(record),
                   root = ctx.published.root_key](Response& response, json::Arena& arena) -> Result<Rekeys::Step> {
    COFFER_ASSIGN(Rekeys::Step step, rekeys->give(asked, given->nonce, given->share, record, *root));
    if (step.made)
      answer_made(response, arena, step, given->nonce);
    else
      answer_state(response, arena, step.state, true);
    return step;
  });
  return ok_status();
}

Status handle_verification(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  const Rekeys::Asked asked = asked_by(ctx);
  const Rekeys::State state = rekeys->state(asked);
  if (!state.verifying)
    return Status(Code::kInvalid, "no rekey verification in progress");
  answer_verification(ctx.response, ctx.arena, state, asked.by_token);
  return ok_status();
}

Status handle_show(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  COFFER_ASSIGN(GivenShare parsed, given_share(ctx));
  const auto given = std::make_shared<const GivenShare>(std::move(parsed));
  take_share(ctx, [rekeys, asked = asked_by(ctx), given, root = ctx.published.root_key](
                      Response& response, json::Arena& arena) -> Result<Rekeys::Step> {
    COFFER_ASSIGN(Rekeys::Step step, rekeys->show(asked, given->nonce, given->share, *root));
    if (step.made) {
      response.data = json::ObjectBuilder(arena, 2).add("nonce", given->nonce).add("complete", true).build();
    } else {
      answer_verification(response, arena, step.state, true);
    }
    return step;
  });
  return ok_status();
}

Status handle_show_anew(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(shape(ctx));
  COFFER_ASSIGN(Rekeys* const rekeys, rekeys_of(ctx));
  const auto anew = [rekeys, asked = asked_by(ctx)](Nanos, Response& response, json::Arena& arena) -> Status {
    COFFER_ASSIGN(const Rekeys::State state, rekeys->show_anew(asked));
    answer_verification(response, arena, state, true);
    return ok_status();
  };
  call_alone(ctx, limits::kOutsideTimeMax, anew);
  return ok_status();
}

OperationSpec guarded(OperationSpec operation) {
  operation.sudo = true;
  return operation;
}

}  // namespace

std::vector<PathSpec> sys_rekey_specs() {
  const Field nonce{"nonce", FieldType::kString, "Names the operation; it is told when it begins."};
  const std::vector<Field> begin = {
      {"secret_shares", FieldType::kInt, "Number of the new shares."},
      {"secret_threshold", FieldType::kInt, "Number of them that is needed."},
      {"require_verification", FieldType::kBool, "The new shares take effect when enough of them have been shown."},
      {"pgp_keys", FieldType::kStringList, "Public keys that the new shares are encrypted to."},
      {"backup", FieldType::kBool, "Keep the encrypted shares."},
      nonce};
  const std::vector<Field> share = {{"key", FieldType::kString, "One share.", true}, nonce};
  struct Family {
    std::string_view init, update, verify;
    bool open;  // to whoever holds shares
  };
  constexpr Family kFamilies[] = {
      {"rekey/init", "rekey/update", "rekey/verify", true},
      {"rekey-recovery-key/init", "rekey-recovery-key/update", "rekey-recovery-key/verify", true},
      {"rotate/root/init", "rotate/root/update", "rotate/root/verify", false},
      {"rotate/recovery/init", "rotate/recovery/update", "rotate/recovery/verify", false}};
  std::vector<PathSpec> specs;
  for (const Family& family : kFamilies) {
    specs.push_back({family.init, "Exchanging the shares that people hold for new ones.", begin,
                     {{Operation::kRead, Effect::kReadsMemory, handle_status, "Shows how far it is."},
                      guarded({Operation::kWrite, Effect::kOutside, handle_begin, "Begins it."}),
                      guarded({Operation::kDelete, Effect::kOutside, handle_cancel, "Ends it before its time."})}});
    specs.push_back({family.update, "Shares of today, one after the other, until there are enough.", share,
                     {{Operation::kWrite, Effect::kOutside, handle_update, "Gives one."}}});
    specs.push_back({family.verify, "New shares, one after the other, to show that they have arrived.", share,
                     {{Operation::kRead, Effect::kReadsMemory, handle_verification, "Shows how far it is."},
                      {Operation::kWrite, Effect::kOutside, handle_show, "Shows one."},
                      guarded({Operation::kDelete, Effect::kOutside, handle_show_anew, "Begins the showing anew."})}});
    for (std::size_t i = specs.size() - 3; i < specs.size(); ++i)
      specs[i].unauthenticated = family.open;
  }
  return specs;
}

}  // namespace coffer::core
