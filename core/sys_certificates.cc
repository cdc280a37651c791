#include "core/sys_certificates.h"

#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/certificate_board.h"
#include "core/group.h"

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

}  // namespace

void add_certificate_specs(std::vector<PathSpec>& specs) {
  specs.push_back({"storage/raft/certificates", "The certificates that the nodes show to each other.", {},
                   {{Operation::kRead, Effect::kReads, handle_read,
                     "Shows which authority counts, and until when this node's own certificate is valid."}}});
  specs.push_back({"storage/raft/rotate-certificates", "Takes the nodes to certificates of a new authority.", {},
                   {{Operation::kWrite, Effect::kWrites, handle_rotate, "Begins it; no connection breaks."}}, nullptr,
                   false, true});
}

}  // namespace coffer::core
