#include "core/sys_certificates.h"

#include "base/encoding.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/certificate_board.h"
#include "core/certificate_news.h"
#include "core/group.h"
#include "core/join.h"

namespace coffer::core {
namespace {

Status check_cluster(const CallContext& ctx) {
  return ctx.services.group != nullptr && ctx.services.certificate != nullptr
             ? ok_status()
             : Status(Code::kInvalid, "raft storage is not in use");
}

json::Value plan_value(json::Arena& arena, const CertificatePlan& plan) {
  json::ArrayBuilder trusted(arena);
  for (const std::uint64_t generation : plan.trusted())
    trusted.add(static_cast<std::int64_t>(generation));
  const bool noted = plan.since != WallTime{};
  const bool steady = plan.phase == CertificatePlan::Phase::kSteady;
  return json::ObjectBuilder(arena, 6)
      .add("generation", static_cast<std::int64_t>(plan.generation))
      .add("next_rotation", noted && steady ? format_time(plan.since + kAuthorityAgeMax) : std::string())
      .add("phase", std::string(phase_name(plan.phase)))
      .add("shown_generation", static_cast<std::int64_t>(plan.shown()))
      .add("since", noted ? format_time(plan.since) : std::string())
      .add("trusted_generations", trusted.build())
      .build();
}

// The state's plan, and what the node that answers shows now.
Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  const Member* self = find_member(*ctx.published.members, ctx.services.group->group_status().self);
  json::ObjectBuilder node(ctx.arena, 5);
  node.add("node_id", self == nullptr ? std::string() : self->id);
  if (const auto shown = ctx.services.certificate->get())
    node.add("expires", format_time(shown->expires))
        .add("generation", static_cast<std::int64_t>(shown->plan.shown()))
        .add("phase", std::string(phase_name(shown->plan.phase)))
        .add("settled", shown->settled);
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("cluster", plan_value(ctx.arena, ctx.published.settings->certificates))
                          .add("node", node.build())
                          .build();
  return ok_status();
}

Status handle_rotate(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  const store::StoreKey key =
      layout::core_key(ctx.arena.copy(std::string(layout::kConfigPrefix).append(kCertificatesRecord)));
  CertificatePlan now;
  COFFER_ASSIGN(const auto stored, ctx.txn.get(key));
  if (stored) {
    COFFER_ASSIGN(now, decode_certificate_plan(*stored));
  }
  COFFER_ASSIGN(const CertificatePlan next, begin_rotation(now, ctx.now));
  COFFER_TRY(ctx.txn.put(key, encode(next)));
  ctx.response.data = plan_value(ctx.arena, next);
  return ok_status();
}

Result<Member> asker_of(CallContext& ctx) {
  Member asker;
  COFFER_ASSIGN(asker.id, ctx.string_field("server_id", ""));
  if (asker.id.empty())
    return Status(Code::kInvalid, "no server_id provided");
  asker.number = member_number(asker.id);
  return asker;
}

Status handle_challenge(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  COFFER_ASSIGN(const Member asker, asker_of(ctx));
  COFFER_ASSIGN(const std::string challenge, make_challenge(*ctx.published.barrier->keyring(), asker.id, ctx.now,
                                                            ctx.random, Asked::kCertificates));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("challenge", base64_encode(challenge)).build();
  return ok_status();
}

// As this node has applied it, whoever leads. Who was taken out of the cluster learns no more of it, and nobody gets in
// by this.
Status handle_news(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  COFFER_ASSIGN(const Member asker, asker_of(ctx));
  COFFER_ASSIGN(const std::string challenge, base64_field(ctx, "challenge"));
  COFFER_ASSIGN(const std::string answer, base64_field(ctx, "answer"));
  COFFER_ASSIGN(const std::string nonce, base64_field(ctx, "nonce"));
  const seal::Keyring& keyring = *ctx.published.barrier->keyring();
  COFFER_TRY(check_answer(keyring, challenge, answer, asker, ctx.now, Asked::kCertificates));
  const Member* known = find_member(*ctx.published.members, asker.number);
  // The group may go on without the record for a while, after a restore; a number is of one id.
  if (!ctx.services.group->group_status().configuration.contains(asker.number) ||
      (known != nullptr && known->id != asker.id))
    return Status(Code::kDenied, "this node is not a member of the cluster");
  const std::string news = encode(CertificateNews{ctx.published.settings->certificates,
                                                  ctx.services.committer.lease_valid(), *ctx.published.members});
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("news", base64_encode(news))
                          .add("proof", base64_encode(prove_plan(keyring, nonce, news)))
                          .build();
  return ok_status();
}

}  // namespace

Result<std::string> base64_field(const CallContext& ctx, std::string_view field) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field(field, ""));
  Result<std::string> bytes = base64_decode(text);
  return bytes.ok() ? std::move(bytes) : Status(Code::kInvalid, std::string(field) + " must be base64");
}

void add_certificate_specs(std::vector<PathSpec>& specs) {
  specs.push_back({"storage/raft/certificates", "The certificates that the nodes show to each other.", {},
                   {{Operation::kRead, Effect::kReads, handle_read,
                     "Shows which authority counts, and until when this node's own certificate is valid."}}});
  specs.push_back({"storage/raft/rotate-certificates", "Takes the nodes to certificates of a new authority.", {},
                   {{Operation::kWrite, Effect::kWrites, handle_rotate, "Begins it; no connection breaks."}}, nullptr,
                   false, true});
  const Field server_id{"server_id", FieldType::kString, "The node_id of a node.", true};
  specs.push_back({"storage/raft/bootstrap/certificates-challenge",
                   "What a member needs to show that it can open the seal, whoever leads.", {server_id},
                   {{Operation::kWrite, Effect::kReads, handle_challenge, "Gives one."}}, nullptr, true});
  const std::vector<Field> asker = {
      server_id,
      {"challenge", FieldType::kString, "The challenge that was given, in base64.", true},
      {"answer", FieldType::kString, "The answer to it, in base64.", true},
      {"nonce", FieldType::kString, "Random bytes in base64, so that what is told is not of before.", true}};
  specs.push_back({"storage/raft/bootstrap/certificates",
                   "Tells a member that was away which certificates the nodes have.", asker,
                   {{Operation::kWrite, Effect::kReads, handle_news, "Takes the answer to a challenge."}}, nullptr,
                   true});
}

}  // namespace coffer::core
