#include "core/control_group.h"

#include <algorithm>

#include "base/codec.h"
#include "base/mutant.h"
#include "core/answers.h"
#include "core/audit_format.h"
#include "core/identity_access.h"
#include "core/request_caller.h"
#include "core/token_store.h"
#include "core/wrapping.h"

namespace coffer::core {
namespace {

constexpr std::size_t kApproversMax = 256;

store::StoreKey waiting_key(json::Arena& arena, std::string_view hash) {
  return layout::token_key(arena.copy(std::string(layout::kWaitingPrefix) + std::string(hash)));
}

void encode_names(const std::vector<std::string>& names, ByteWriter& writer) {
  writer.varint(names.size());
  for (const std::string& name : names)
    writer.bytes(name);
}

bool decode_names(ByteReader& reader, std::vector<std::string>& names) {
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i)
    names.emplace_back(reader.bytes());
  return reader.ok();
}

bool is_member(const Identity& who, const ApprovalFactor& factor) {
  return std::any_of(who.groups.begin(), who.groups.end(), [&](const GroupRecord& group) {
    const auto names = [&](const std::vector<std::string>& texts, std::string_view text) {
      return std::find(texts.begin(), texts.end(), text) != texts.end();
    };
    return names(factor.group_ids, group.id) || names(factor.group_names, group.name);
  });
}

// The waiting request of an accessor, with its token.
struct Found {
  StoredToken token;
  WaitingRequest waiting;
};

Result<Found> find_by_accessor(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("accessor", ""));
  const Status unknown(Code::kInvalid, one_error("invalid accessor"));
  if (accessor.empty())
    return unknown;
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  COFFER_ASSIGN(const auto token, tokens.live_by_accessor(accessor));
  if (!token || token->record.ns != ctx.ns.id)
    return unknown;
  COFFER_ASSIGN(auto waiting, find_waiting(ctx.txn, ctx.arena, token->hash));
  if (!waiting)
    return unknown;
  return Found{*token, std::move(*waiting)};
}

// Which capability the request needs: known only when it is done, so a write needs what either would.
Result<bool> approved_now(CallContext& ctx, const WaitingRequest& waiting) {
  const Capability wanted = capability_for(waiting.operation, true);
  COFFER_ASSIGN(const bool one, is_approved(ctx.txn, ctx.arena, waiting, waiting.approval, wanted));
  if (!one || waiting.operation != Operation::kWrite)
    return one;
  return is_approved(ctx.txn, ctx.arena, waiting, waiting.approval, Capability::kCreate);
}

Result<std::optional<Identity>> asker_of(CallContext& ctx, const WaitingRequest& waiting) {
  if (waiting.entity.empty())
    return std::optional<Identity>();
  return find_identity(ctx.txn, ctx.arena, waiting.people, waiting.entity);
}

Status handle_authorize(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Found found, find_by_accessor(ctx));
  WaitingRequest& waiting = found.waiting;
  if (ctx.token == nullptr || ctx.token->entity.empty())
    return Status(Code::kInvalid, one_error("only a token with an entity can authorize a request"));
  COFFER_ASSIGN(const auto who, find_identity(ctx.txn, ctx.arena, *ctx.token));
  if (!who || who->entity.disabled || ctx.token->entity_ns != waiting.people)
    return Status(Code::kInvalid, one_error("only a token with an entity can authorize a request"));
  const std::string_view id = ctx.arena.copy(who->entity.id);
  COFFER_ASSIGN(const auto asker, asker_of(ctx, waiting));
  if (asker && asker->entity.id == id && !mutant(Mutant::kRequesterApproves))
    return Status(Code::kInvalid, one_error("a request cannot be authorized by who made it"));
  if (std::find(waiting.approvers.begin(), waiting.approvers.end(), id) != waiting.approvers.end() &&
      !mutant(Mutant::kApproverCountedTwice))
    return Status(Code::kInvalid, one_error("approver has already authorized"));
  const bool counts = std::any_of(waiting.approval.factors.begin(), waiting.approval.factors.end(),
                                  [&](const ApprovalFactor& factor) { return is_member(*who, factor); });
  if (counts && waiting.approvers.size() < kApproversMax) {
    waiting.approvers.push_back(id);
    COFFER_TRY(ctx.txn.put(waiting_key(ctx.arena, found.token.hash), encode(waiting)));
  }
  COFFER_ASSIGN(const bool approved, approved_now(ctx, waiting));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("approved", approved).build();
  return ok_status();
}

json::Value person_value(json::Arena& arena, std::string_view id_name, std::string_view name_name,
                         std::string_view id, const std::optional<Identity>& who) {
  return json::ObjectBuilder(arena, 2)
      .add(id_name, id)
      .add(name_name, who ? who->entity.name : std::string_view())
      .build();
}

// What is to be written stays between who wrote it and the server.
Status handle_request(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Found found, find_by_accessor(ctx));
  const WaitingRequest& waiting = found.waiting;
  json::ArrayBuilder authorizations(ctx.arena, waiting.approvers.size() + 1);
  for (const std::string_view id : waiting.approvers) {
    COFFER_ASSIGN(const auto who, find_identity(ctx.txn, ctx.arena, waiting.people, id));
    authorizations.add(person_value(ctx.arena, "entity_id", "entity_name", id, who));
  }
  COFFER_ASSIGN(const auto asker, asker_of(ctx, waiting));
  COFFER_ASSIGN(const bool approved, approved_now(ctx, waiting));
  AuditFacts facts;
  Request asked;
  asked.operation = waiting.operation;
  ctx.response.data = json::ObjectBuilder(ctx.arena, 5)
                          .add("approved", approved)
                          .add("authorizations", authorizations.build())
                          .add("request_entity", person_value(ctx.arena, "id", "name", waiting.entity, asker))
                          .add("request_operation", audit_operation_name(asked, facts))
                          .add("request_path", waiting.path)
                          .build();
  return ok_status();
}

}  // namespace

std::string encode(const WaitingRequest& waiting) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1)
      .u8(static_cast<std::uint8_t>(waiting.operation))
      .bytes(waiting.path)
      .bytes(waiting.namespace_path)
      .bytes(waiting.data)
      .bytes(waiting.content_type)
      .u64(static_cast<std::uint64_t>(waiting.wrap_ttl.count()))
      .u8(static_cast<std::uint8_t>(waiting.wrap_format))
      .bytes(waiting.entity)
      .bytes(waiting.token_hash)
      .u32(waiting.people.get())
      .u64(static_cast<std::uint64_t>(waiting.approval.ttl.count()))
      .varint(waiting.approval.factors.size());
  for (const ApprovalFactor& factor : waiting.approval.factors) {
    writer.bytes(factor.name).u32(factor.controlled).u32(factor.approvals);
    encode_names(factor.group_ids, writer);
    encode_names(factor.group_names, writer);
  }
  writer.varint(waiting.approvers.size());
  for (const std::string_view id : waiting.approvers)
    writer.bytes(id);
  return out;
}

Result<WaitingRequest> decode_waiting(json::Arena& arena, std::string_view plaintext) {
  ByteReader reader(plaintext);
  const auto text = [&] { return arena.copy(reader.bytes()); };
  const std::uint8_t format = reader.u8();
  WaitingRequest out;
  const std::uint8_t operation = reader.u8();
  out.operation = static_cast<Operation>(operation);
  out.path = text();
  out.namespace_path = text();
  out.data = text();
  out.content_type = text();
  out.wrap_ttl = Nanos(static_cast<std::int64_t>(reader.u64()));
  out.wrap_format = static_cast<WrapFormat>(reader.u8());
  out.entity = text();
  out.token_hash = text();
  out.people = NamespaceId(reader.u32());
  out.approval.ttl = Nanos(static_cast<std::int64_t>(reader.u64()));
  const std::uint64_t factors = reader.varint();
  for (std::uint64_t i = 0; i < factors && reader.ok(); ++i) {
    ApprovalFactor factor;
    factor.name = reader.bytes();
    factor.controlled = static_cast<CapabilitySet>(reader.u32());
    factor.approvals = reader.u32();
    if (!decode_names(reader, factor.group_ids) || !decode_names(reader, factor.group_names))
      break;
    out.approval.factors.push_back(std::move(factor));
  }
  const std::uint64_t approvers = reader.varint();
  for (std::uint64_t i = 0; i < approvers && reader.ok(); ++i)
    out.approvers.push_back(text());
  COFFER_TRY(reader.finish().with_context("a waiting request's record"));
  if (format != 1 || operation > static_cast<std::uint8_t>(Operation::kScan))
    return Status(Code::kDataLoss, "a waiting request's record has an unknown form");
  return out;
}

Status keep_waiting(CallContext& ctx, const WaitingRequest& waiting) {
  if (waiting.entity.empty() && waiting.token_hash.empty())
    return Status(Code::kInvalid, "a request that waits for others needs a token that is stored, or an entity");
  const Nanos most = ctx.published.settings->approval_ttl_max;
  const Nanos ttl = most > Nanos(0) ? std::min(most, waiting.approval.ttl) : waiting.approval.ttl;
  COFFER_ASSIGN(const std::string_view hash, answer_with_wrapper(ctx, ttl, kApprovalPolicyName));
  return ctx.txn.put(waiting_key(ctx.arena, hash), encode(waiting));
}

Result<std::optional<WaitingRequest>> find_waiting(TxnImpl& txn, json::Arena& arena, std::string_view hash) {
  COFFER_ASSIGN(const auto stored, txn.get(waiting_key(arena, hash)));
  if (!stored)
    return std::optional<WaitingRequest>();
  COFFER_ASSIGN(WaitingRequest waiting, decode_waiting(arena, *stored));
  return std::optional(std::move(waiting));
}

Result<bool> is_approved(TxnImpl& txn, json::Arena& arena, const WaitingRequest& waiting, const Approval& approval,
                         Capability capability) {
  std::vector<Identity> people;
  for (const std::string_view id : waiting.approvers) {
    COFFER_ASSIGN(auto who, find_identity(txn, arena, waiting.people, id));
    const bool known = who && std::any_of(people.begin(), people.end(), [&](const Identity& other) {
      return other.entity.id == who->entity.id;
    });
    if (who && !who->entity.disabled && (!known || mutant(Mutant::kApproverCountedTwice)))
      people.push_back(std::move(*who));
  }
  for (const ApprovalFactor& factor : approval.factors) {
    if (factor.controlled != 0 && (factor.controlled & bit(capability)) == 0)
      continue;
    const auto agreed =
        std::count_if(people.begin(), people.end(), [&](const Identity& who) { return is_member(who, factor); });
    if (static_cast<std::size_t>(agreed) < factor.approvals)
      return false;
  }
  return true;
}

std::vector<PathSpec> control_group_specs() {
  const std::vector<Field> accessor = {
      {"accessor", FieldType::kString, "Of the wrapping token that the request was answered with.", true}};
  std::vector<PathSpec> specs;
  specs.push_back({"control-group/authorize", "Agree to a request that waits for it.", accessor,
                   {{Operation::kWrite, Effect::kWrites, handle_authorize, "Authorizes a request."}}});
  specs.push_back({"control-group/request", "What a waiting request is, and who agreed to it.", accessor,
                   {{Operation::kWrite, Effect::kReads, handle_request, "Looks a request up."}}});
  return specs;
}

}  // namespace coffer::core
