// Requests that wait for others to agree: the part of Run that keeps them, and does them later.
#include "base/mutant.h"
#include "base/secret.h"
#include "core/control_group.h"
#include "core/run.h"
#include "core/wrapping.h"
#include "core/wrapping_jwt.h"

namespace coffer::core {

// Who was asked about the same request agrees to it and to nothing else; the policies are those of now.
Status Run::check_approval(const Decision& decision, Capability wanted) {
  if (state_.approved.empty()) {
    waits_for_ = mutant(Mutant::kApprovalSkipped) ? nullptr : &decision.constraints->approval;
    return ok_status();
  }
  // Another run may have taken it away: it is there once.
  COFFER_ASSIGN(const auto wrapper, tokens_.live(state_.approved));
  COFFER_ASSIGN(const auto waiting, find_waiting(txn_, exchange_.arena, state_.approved));
  if (!wrapper || !waiting)
    return Status(Code::kInvalid, std::string(kNoWrappingToken));
  if (decision.constraints == nullptr)
    return ok_status();
  COFFER_ASSIGN(const bool approved,
                is_approved(txn_, exchange_.arena, *waiting, decision.constraints->approval, wanted));
  return approved ? ok_status() : Status(Code::kInvalid, "request needs further approval");
}

Status Run::keep_for_approval(CallContext& ctx) {
  const Request& request = exchange_.request;
  WaitingRequest waiting;
  waiting.operation = request.operation;
  waiting.path = request.path.view();
  waiting.namespace_path = request.namespace_path;
  std::string data;
  if (!request.data.is_null())
    json::write(request.data, data);
  waiting.data = exchange_.arena.copy(data);
  wipe(data.data(), data.size());
  waiting.content_type = request.content_type;
  waiting.wrap_ttl = request.wrap_ttl.value_or(Nanos(0));
  waiting.wrap_format = request.wrap_format;
  waiting.entity = token_->record.entity;
  waiting.token_hash = token_->hash;
  waiting.people = token_->record.ns;
  waiting.approval = *waits_for_;
  COFFER_TRY(keep_waiting(ctx, waiting));
  for (const std::string_view hash : ctx.handed_out)
    state_.handed_out.emplace_back(hash);
  return ok_status();
}

bool Run::take_over_waiting() {
  if (refused_ || full_path_ != "sys/wrapping/unwrap" || exchange_.request.operation != Operation::kWrite ||
      !state_.approved.empty())
    return false;
  const Result<bool> taken = unwrap_waiting();
  if (!taken.ok())
    note(taken.status());
  return taken.ok() && *taken;
}

// The request in the place of the one that unwraps it. Whoever may not do it yet leaves it where it is.
Result<bool> Run::unwrap_waiting() {
  Request& request = exchange_.request;
  std::string_view text = request.data.string_or("token", "");
  if (looks_like_jwt(text)) {
    COFFER_ASSIGN(text, wrapping_token_in(published_, exchange_.arena, text, state_.now));
  }
  if (text.empty())
    return false;
  COFFER_ASSIGN(const auto wrapper, tokens_.live(tokens_.hash_of(text)));
  if (!wrapper || wrapper->record.policies != kApprovalPolicyName)
    return false;
  COFFER_ASSIGN(const auto waiting, find_waiting(txn_, exchange_.arena, wrapper->hash));
  // An entity's request may be done by any token of that entity; another's by the token that asked and no other.
  const bool asker = waiting && token_ && token_->record.ns == waiting->people &&
                     (waiting->entity.empty() ? token_->hash == waiting->token_hash
                                              : token_->record.entity == waiting->entity);
  if (!asker)
    return Status(Code::kInvalid, std::string(kNoWrappingToken));
  COFFER_ASSIGN(CanonicalPath path, CanonicalPath::from_text(waiting->path));
  json::Limits stored_limits;
  stored_limits.strings = SIZE_MAX;
  json::Value data;
  if (!waiting->data.empty()) {
    COFFER_ASSIGN(data, json::parse(exchange_.arena, waiting->data, stored_limits));
  }
  request.operation = waiting->operation;
  request.path = std::move(path);
  request.namespace_path = waiting->namespace_path;
  request.data = data;
  request.content_type = waiting->content_type;
  request.wrap_ttl = waiting->wrap_ttl > Nanos(0) ? std::optional(waiting->wrap_ttl) : std::nullopt;
  request.wrap_format = waiting->wrap_format;
  state_.approved = wrapper->hash;
  return true;
}

}  // namespace coffer::core
