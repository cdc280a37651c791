#include "core/sys_autopilot.h"

#include <map>

#include "base/time_text.h"
#include "core/answers.h"
#include "core/autopilot_board.h"
#include "core/call.h"
#include "core/group.h"

namespace coffer::core {
namespace {

constexpr std::int64_t kTrailingMost = std::int64_t{1} << 32;

Status check_cluster(const CallContext& ctx) {
  return ctx.services.group != nullptr && ctx.services.pilot != nullptr
             ? ok_status()
             : Status(Code::kInvalid, "raft storage is not in use");
}

store::StoreKey record_key(CallContext& ctx) {
  return layout::core_key(ctx.arena.copy(std::string(layout::kConfigPrefix).append(kAutopilotRecord)));
}

Status handle_settings_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  const AutopilotSettings& now = ctx.published.settings->autopilot;
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 7)
          .add("cleanup_dead_servers", now.cleanup_dead_servers)
          .add("dead_server_last_contact_threshold", format_duration(now.dead_server_last_contact_threshold))
          .add("disable_upgrade_migration", now.disable_upgrade_migration)
          .add("last_contact_threshold", format_duration(now.last_contact_threshold))
          .add("max_trailing_logs", static_cast<std::int64_t>(now.max_trailing_logs))
          .add("min_quorum", static_cast<std::int64_t>(now.min_quorum))
          .add("server_stabilization_time", format_duration(now.server_stabilization_time))
          .build();
  return ok_status();
}

// Fields that are left out keep what they are.
Status handle_settings_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  AutopilotSettings next;
  COFFER_ASSIGN(const auto stored, ctx.txn.get(record_key(ctx)));
  if (stored) {
    COFFER_ASSIGN(next, decode_autopilot_settings(*stored));
  }
  COFFER_ASSIGN(next.cleanup_dead_servers, ctx.bool_field("cleanup_dead_servers", next.cleanup_dead_servers));
  COFFER_ASSIGN(next.disable_upgrade_migration,
                ctx.bool_field("disable_upgrade_migration", next.disable_upgrade_migration));
  COFFER_ASSIGN(next.last_contact_threshold, ctx.duration_field("last_contact_threshold", next.last_contact_threshold));
  COFFER_ASSIGN(next.dead_server_last_contact_threshold,
                ctx.duration_field("dead_server_last_contact_threshold", next.dead_server_last_contact_threshold));
  COFFER_ASSIGN(next.server_stabilization_time,
                ctx.duration_field("server_stabilization_time", next.server_stabilization_time));
  COFFER_ASSIGN(const std::int64_t trailing,
                ctx.int_field("max_trailing_logs", static_cast<std::int64_t>(next.max_trailing_logs), 0,
                              kTrailingMost));
  COFFER_ASSIGN(const std::int64_t quorum,
                ctx.int_field("min_quorum", static_cast<std::int64_t>(next.min_quorum), 0, UINT8_MAX));
  next.max_trailing_logs = static_cast<std::uint64_t>(trailing);
  next.min_quorum = static_cast<std::uint32_t>(quorum);
  COFFER_TRY(check_autopilot_settings(next));
  return ctx.txn.put(record_key(ctx), encode(next));
}

// What the zones make of a server.
std::string_view node_type(const PilotState& state, const PilotServer& one) {
  if (one.member.zone.empty())
    return one.voter ? "voter" : one.member.non_voter ? "read-replica" : "non-voter";
  if (!one.voter)
    return one.member.non_voter ? "read-replica" : "zone-standby";
  for (const PilotServer& other : state.servers)
    if (other.voter && other.member.zone == one.member.zone && &other != &one && (other.leader || &other < &one))
      return "zone-extra-voter";
  return "zone-voter";
}

json::Value server_state(json::Arena& arena, const PilotState& state, const PilotServer& one) {
  json::ObjectBuilder out(arena, 15);
  out.add("address", one.member.cluster_address)
      .add("healthy", one.healthy)
      .add("id", one.member.id)
      .add("last_contact", format_duration(one.last_contact))
      .add("last_index", static_cast<std::int64_t>(one.last_index.get()))
      .add("last_term", static_cast<std::int64_t>(one.last_term.get()))
      .add("name", one.member.id)
      .add("node_status", one.alive ? "alive" : "failed")
      .add("node_type", node_type(state, one));
  if (!one.member.zone.empty())
    out.add("redundancy_zone", one.member.zone);
  if (one.healthy)
    out.add("stable_since", format_time(one.stable_since));
  out.add("status", one.leader ? "leader" : one.voter ? "voter" : "non-voter")
      .add("upgrade_version", one.upgrade_version())
      .add("version", one.member.version);
  return out.build();
}

template <typename Wanted>
json::Value ids(json::Arena& arena, const PilotState& state, Wanted wanted) {
  json::ArrayBuilder out(arena);
  for (const PilotServer& one : state.servers)
    if (wanted(one))
      out.add(one.member.id);
  return out.build();
}

json::Value zones_value(json::Arena& arena, const PilotState& state, const std::map<std::string, std::size_t>& zones) {
  json::ObjectBuilder out(arena, zones.size());
  for (const auto& [name, healthy] : zones) {
    const auto inside = [&zone = name](const PilotServer& one) { return one.member.zone == zone; };
    out.add(name, json::ObjectBuilder(arena, 3)
                      .add("failure_tolerance", static_cast<std::int64_t>(healthy > 0 ? healthy - 1 : 0))
                      .add("servers", ids(arena, state, inside))
                      .add("voters", ids(arena, state,
                                         [&](const PilotServer& one) { return one.voter && inside(one); }))
                      .build());
  }
  return out.build();
}

json::Value upgrade_value(json::Arena& arena, const PilotState& state) {
  const auto of = [&](bool target, bool voter) {
    return ids(arena, state, [&state, target, voter](const PilotServer& one) {
      return one.voter == voter && !one.member.non_voter &&
             (compare_versions(one.upgrade_version(), state.target_version) == 0) == target;
    });
  };
  return json::ObjectBuilder(arena, 6)
      .add("other_version_non_voters", of(false, false))
      .add("other_version_voters", of(false, true))
      .add("status", phase_name(state.upgrade))
      .add("target_version", state.target_version)
      .add("target_version_non_voters", of(true, false))
      .add("target_version_voters", of(true, true))
      .build();
}

Status handle_state(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(check_cluster(ctx));
  std::shared_ptr<const PilotState> state = ctx.services.pilot->get();
  if (state == nullptr) {  // it has just begun to lead
    const auto looked = Autopilot().look(ctx.services.group->group_status(), *ctx.published.members,
                                         ctx.published.settings->autopilot, BootTime{}, ctx.now);
    if (!looked)
      return Status(Code::kUnavailable, "this node does not lead");
    state = std::make_shared<const PilotState>(*looked);
  }
  json::ObjectBuilder servers(ctx.arena, state->servers.size());
  std::map<std::string, std::size_t> zones;
  for (const PilotServer& one : state->servers) {
    servers.add(one.member.id, server_state(ctx.arena, *state, one));
    if (!one.member.zone.empty())
      zones[one.member.zone] += one.healthy ? 1 : 0;
  }
  const PilotServer* leader = state->leader();
  json::ObjectBuilder out(ctx.arena, 9);
  out.add("failure_tolerance", static_cast<std::int64_t>(state->failure_tolerance))
      .add("healthy", state->healthy)
      .add("leader", leader == nullptr ? std::string() : leader->member.id)
      .add("non_voters", ids(ctx.arena, *state, [](const PilotServer& one) { return !one.voter; }))
      .add("optimistic_failure_tolerance", static_cast<std::int64_t>(state->optimistic_failure_tolerance));
  if (!zones.empty())
    out.add("redundancy_zones", zones_value(ctx.arena, *state, zones));
  out.add("servers", servers.build())
      .add("upgrade_info", upgrade_value(ctx.arena, *state))
      .add("voters", ids(ctx.arena, *state, [](const PilotServer& one) { return one.voter; }));
  ctx.response.data = out.build();
  return ok_status();
}

}  // namespace

void add_autopilot_specs(std::vector<PathSpec>& specs) {
  const std::vector<Field> settings = {
      {"cleanup_dead_servers", FieldType::kBool, "Servers that are dead are taken out of the cluster."},
      {"last_contact_threshold", FieldType::kDuration, "A server that was heard longer ago is not healthy."},
      {"dead_server_last_contact_threshold", FieldType::kDuration, "A server that was heard longer ago is dead."},
      {"max_trailing_logs", FieldType::kInt, "A server that is more entries behind is not healthy."},
      {"min_quorum", FieldType::kInt, "Clean-up leaves at least so many voters."},
      {"server_stabilization_time", FieldType::kDuration, "A server is healthy for so long before it votes."},
      {"disable_upgrade_migration", FieldType::kBool, "A newer version does not take over by itself."}};
  specs.push_back({"storage/raft/autopilot/configuration", "How the cluster looks after its nodes.", settings,
                   {{Operation::kRead, Effect::kReads, handle_settings_read, "Shows the settings."},
                    {Operation::kWrite, Effect::kWrites, handle_settings_write, "Changes settings."}}});
  // Only who leads knows it.
  specs.push_back({"storage/raft/autopilot/state", "How healthy the cluster is, node by node.", {},
                   {{Operation::kRead, Effect::kReadsMemory, handle_state, "Shows the state."}}});
}

}  // namespace coffer::core
