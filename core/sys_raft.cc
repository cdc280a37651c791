// sys/storage/raft/…: who is in the cluster, and how a node gets in and out. sys/storage/raft/join and sys/step-down
// are core/lifecycle's: one works without a barrier, the other takes effect behind the answer.
#include <algorithm>
#include <chrono>
#include <future>

#include "base/encoding.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/group.h"
#include "core/join.h"
#include "core/join_gate.h"
#include "core/sys_autopilot.h"
#include "core/sys_certificates.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr Nanos kChangeTimeMax = std::chrono::seconds(10);
constexpr unsigned kChangeTriesMax = 5;
constexpr Nanos kLiveContactMax = std::chrono::seconds(10);

Result<Group*> group_of(const CallContext& ctx) {
  if (ctx.services.group == nullptr)
    return Status(Code::kInvalid, "raft storage is not in use");
  return ctx.services.group;
}

struct Asked {
  Status status;
  Index index;  // of another change that is in the way, if it is known
};

Asked ask_once(Group& group, raft::Change change) {
  auto told = std::make_shared<std::promise<Asked>>();
  std::future<Asked> outcome = told->get_future();
  group.change_membership(change, [told](Status status, Index index) { told->set_value({std::move(status), index}); });
  if (outcome.wait_for(kChangeTimeMax) != std::future_status::ready)
    return {Status(Code::kOutcomeUnknown, "the cluster did not confirm the change in time"), Index(0)};
  return outcome.get();
}

void await_applied(Group& group, Index index) {
  auto told = std::make_shared<std::promise<void>>();
  std::future<void> applied = told->get_future();
  group.when_applied(index, [told](const Status&) { told->set_value(); });
  applied.wait_for(kChangeTimeMax);
}

// What the group is asked for, awaited on a thread for calls outside. One change is made at a time: one that is under
// way is waited for, and so is what stands in the log by now: it may be another leader's change.
Status change_and_wait(Group& group, raft::Change change) {
  Asked asked = ask_once(group, change);
  for (unsigned tries = 1; tries < kChangeTriesMax && asked.status.code() == Code::kUnavailable; ++tries) {
    const GroupStatus status = group.group_status();
    if (!status.serving)
      return asked.status;
    await_applied(group, std::max(asked.index, status.last));
    asked = ask_once(group, change);
  }
  return asked.status;
}

json::Value server_value(json::Arena& arena, const GroupStatus& status, const Members& members, raft::NodeId number) {
  const Member* member = find_member(members, number);
  return json::ObjectBuilder(arena, 5)
      .add("address", member == nullptr ? std::string() : member->cluster_address)
      .add("leader", number == status.leader)
      .add("node_id", member == nullptr ? std::string() : member->id)
      .add("protocol_version", "3")
      .add("voter", status.configuration.is_voter(number))
      .build();
}

Status handle_configuration(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Group* const group, group_of(ctx));
  const GroupStatus status = group->group_status();
  const Members& members = *ctx.published.members;
  json::ArrayBuilder servers(ctx.arena);
  for (const std::vector<raft::NodeId>* part : {&status.configuration.voters, &status.configuration.learners})
    for (const raft::NodeId number : *part)
      servers.add(server_value(ctx.arena, status, members, number));
  const Member* leader = find_member(members, status.leader);
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 2)
          .add("config", json::ObjectBuilder(ctx.arena, 2).add("index", 0).add("servers", servers.build()).build())
          .add("leader_address", leader == nullptr ? std::string() : leader->cluster_address)
          .build();
  return ok_status();
}

Result<Member> named_member(CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("server_id", ""));
  if (id.empty())
    return Status(Code::kInvalid, "no server_id provided");
  const Member* member = find_member(*ctx.published.members, member_number(std::string(id)));
  if (member == nullptr || member->id != id)
    return Status(Code::kInvalid, "no node of the cluster has this server_id");
  return *member;
}

Status put_member(CallContext& ctx, const Member& member) {
  return ctx.txn.put(layout::core_key(ctx.arena.copy(layout::member_record(member.number.get()))), encode(member));
}

// The record is written first, so that the change has an entry of this leadership before it; it goes with the node. Who
// is demoted must not be promoted by itself a moment later, so that is in the record before; what did not come to pass
// is taken back.
Status change(HandlerContext& base, raft::Change::Kind kind) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Group* const group, group_of(ctx));
  COFFER_ASSIGN(const Member member, named_member(ctx));
  const raft::Configuration& now = group->group_status().configuration;
  if (!now.contains(member.number)) {
    if (kind != raft::Change::Kind::kRemove)
      return Status(Code::kInvalid, "the node is not part of the group");
    return ctx.txn.erase(layout::core_key(ctx.arena.copy(layout::member_record(member.number.get()))));
  }
  if ((kind == raft::Change::Kind::kPromote && now.is_voter(member.number)) ||
      (kind == raft::Change::Kind::kDemote && now.is_learner(member.number)))
    return ok_status();
  if (kind != raft::Change::Kind::kPromote && now.is_voter(member.number) && now.voters.size() == 1)
    return Status(Code::kInvalid, "the node is the only voter");
  Member first = member;
  first.non_voter = member.non_voter || kind == raft::Change::Kind::kDemote;
  COFFER_TRY(put_member(ctx, first));
  ctx.outside = OutsideWork{
      [group, kind, number = member.number](Nanos, Response&, json::Arena&) {
        return change_and_wait(*group, {kind, number});
      },
      ctx.now + kChangeTimeMax,
      [kind, member](CallContext& again, const Status& called) {
        if (called.ok() && kind == raft::Change::Kind::kRemove)
          return again.txn.erase(layout::core_key(again.arena.copy(layout::member_record(member.number.get()))));
        Member last = member;
        if (called.ok() && kind == raft::Change::Kind::kPromote)
          last.non_voter = false;
        const bool unknown = called.code() == Code::kOutcomeUnknown;
        const bool demoted = kind == raft::Change::Kind::kDemote && (called.ok() || unknown);
        return demoted || unknown || kind == raft::Change::Kind::kRemove ? ok_status() : put_member(again, last);
      }};
  return ok_status();
}

Status handle_remove(HandlerContext& ctx) { return change(ctx, raft::Change::Kind::kRemove); }
Status handle_promote(HandlerContext& ctx) { return change(ctx, raft::Change::Kind::kPromote); }
Status handle_demote(HandlerContext& ctx) { return change(ctx, raft::Change::Kind::kDemote); }

Status handle_challenge(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(group_of(ctx).status());
  COFFER_ASSIGN(const std::string_view id, ctx.string_field("server_id", ""));
  if (id.empty())
    return Status(Code::kInvalid, "no server_id provided");
  if (ctx.services.join_gate != nullptr)
    COFFER_TRY(ctx.services.join_gate->may_ask(ctx.request.remote_address, ctx.now));
  const auto record = [&ctx](const store::StoreKey& key) -> Result<std::string> {
    COFFER_ASSIGN(const auto found, ctx.txn.get_as_is(key));
    return found ? Result<std::string>(base64_encode(*found)) : Status(Code::kDataLoss, "a record of the seal is gone");
  };
  COFFER_ASSIGN(const std::string seal, record(layout::token_key(layout::kSealConfig)));
  COFFER_ASSIGN(const std::string cluster, record(layout::token_key(layout::kClusterInfo)));
  COFFER_ASSIGN(const std::string keyring, record(layout::core_key(layout::kKeyring)));
  COFFER_ASSIGN(const std::string challenge,
                make_challenge(*ctx.published.barrier->keyring(), id, ctx.now, ctx.random));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 4)
                          .add("challenge", base64_encode(challenge))
                          .add("cluster", cluster)
                          .add("keyring", keyring)
                          .add("seal_config", seal)
                          .build();
  return ok_status();
}

Result<Member> joiner_of(CallContext& ctx) {
  Member joiner;
  COFFER_ASSIGN(joiner.id, ctx.string_field("server_id", ""));
  COFFER_ASSIGN(joiner.cluster_address, ctx.string_field("cluster_addr", ""));
  COFFER_ASSIGN(joiner.api_address, ctx.string_field("api_addr", ""));
  COFFER_ASSIGN(joiner.version, ctx.string_field("version", ""));
  COFFER_ASSIGN(joiner.zone, ctx.string_field("zone", ""));
  COFFER_ASSIGN(joiner.upgrade_version, ctx.string_field("upgrade_version", ""));
  COFFER_ASSIGN(joiner.non_voter, ctx.bool_field("non_voter", false));
  COFFER_TRY(check_member(joiner));
  joiner.number = member_number(joiner.id);
  return joiner;
}

// A node that is alive keeps its id; nothing about a vote changes by joining again (advisory L2).
Status check_id_is_free(const GroupStatus& group, const Members& members, const Member& joiner) {
  if (find_member(members, group.self) == nullptr)
    return Status(Code::kUnavailable, "the node that leads is not known to the others yet: try again");
  const Member* known = find_member(members, joiner.number);
  if (known == nullptr && !group.configuration.contains(joiner.number))
    return ok_status();
  if (known == nullptr)
    return Status(Code::kInvalid, "server_id is in use");
  if (known->id != joiner.id)
    return Status(Code::kInvalid, "server_id cannot be told from that of another node: choose another one");
  if (known->cluster_address == joiner.cluster_address || !group.configuration.contains(joiner.number))
    return ok_status();
  for (const GroupPeer& peer : group.peers)
    if (peer.id == joiner.number && peer.last_contact > kLiveContactMax)
      return ok_status();
  return Status(Code::kInvalid, "server_id is in use by a node that is alive");
}

json::Value members_value(json::Arena& arena, const Members& members) {
  json::ArrayBuilder list(arena);
  for (const Member& member : members)
    list.add(json::ObjectBuilder(arena, 4)
                 .add("api_addr", member.api_address)
                 .add("cluster_addr", member.cluster_address)
                 .add("node_id", member.id)
                 .add("non_voter", member.non_voter)
                 .build());
  return list.build();
}

Status handle_answer(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Group* const group, group_of(ctx));
  COFFER_ASSIGN(Member joiner, joiner_of(ctx));
  COFFER_ASSIGN(const std::string challenge, base64_field(ctx, "challenge"));
  COFFER_ASSIGN(const std::string answer, base64_field(ctx, "answer"));
  COFFER_TRY(check_answer(*ctx.published.barrier->keyring(), challenge, answer, joiner, ctx.now));
  if (ctx.services.join_gate != nullptr)
    COFFER_TRY(ctx.services.join_gate->answered(challenge, ctx.request.id, ctx.now));
  const Members& members = *ctx.published.members;
  const GroupStatus status = group->group_status();
  COFFER_TRY(check_id_is_free(status, members, joiner));
  const bool inside = status.configuration.contains(joiner.number);
  if (inside && !mutant(Mutant::kRejoinChangesSuffrage))
    if (const Member* known = find_member(members, joiner.number); known != nullptr)
      joiner.non_voter = known->non_voter;
  COFFER_TRY(put_member(ctx, joiner));
  COFFER_ASSIGN(const std::string nonce, base64_field(ctx, "nonce"));
  const std::string plan = encode(ctx.published.settings->certificates);
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 3)
          .add("certificates", base64_encode(plan))
          .add("certificates_proof", base64_encode(prove_plan(*ctx.published.barrier->keyring(), nonce, plan)))
          .add("members", members_value(ctx.arena, members))
          .build();
  if (!inside)
    ctx.outside = OutsideWork{[group, number = joiner.number](Nanos, Response&, json::Arena&) {
                                return change_and_wait(*group, {raft::Change::Kind::kAddLearner, number});
                              },
                              ctx.now + kChangeTimeMax,
                              [](CallContext&, const Status&) { return ok_status(); }};
  return ok_status();
}

Status handle_ha_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Group* const group, group_of(ctx));
  const GroupStatus status = group->group_status();
  json::ArrayBuilder nodes(ctx.arena);
  for (const Member& member : *ctx.published.members) {
    if (!status.configuration.contains(member.number))
      continue;
    json::ObjectBuilder node(ctx.arena, 8);
    node.add("active_node", member.number == status.leader)
        .add("api_address", member.api_address)
        .add("cluster_address", member.cluster_address)
        .add("hostname", member.id)
        .add("version", member.version);
    for (const GroupPeer& peer : status.peers)
      if (peer.id == member.number)
        node.add("last_echo", format_time(ctx.now - peer.last_contact));
    nodes.add(node.build());
  }
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("nodes", nodes.build()).build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

// Only whether it may be: core/lifecycle hands over when this answer comes out of the pipeline.
Status handle_step_down(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(Group* const group, group_of(ctx));
  if (group->group_status().configuration.voters.size() < 2)
    return Status(Code::kInvalid, "this node is the only voter: nobody could take over");
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_raft_specs() {
  const Field server_id{"server_id", FieldType::kString, "The node_id of a node.", true};
  const std::vector<Field> joiner = {
      server_id,
      {"challenge", FieldType::kString, "The challenge that was given, in base64.", true},
      {"answer", FieldType::kString, "The answer to it, in base64.", true},
      {"nonce", FieldType::kString, "Random bytes in base64, so that what is told of certificates is not of before."},
      {"cluster_addr", FieldType::kString, "Host and port where other nodes reach this one.", true},
      {"api_addr", FieldType::kString, "Where clients reach it."},
      {"version", FieldType::kString, "Its version."},
      {"zone", FieldType::kString, "The redundancy zone that it stands in."},
      {"upgrade_version", FieldType::kString, "The version that counts for an automated upgrade."},
      {"non_voter", FieldType::kBool, "It shall never vote."}};
  std::vector<PathSpec> specs;
  specs.push_back({"storage/raft/configuration", "Which nodes form the cluster, and who of them leads and votes.", {},
                   {{Operation::kRead, Effect::kReadsMemory, handle_configuration, "Lists the nodes."}}});
  const auto changes = [&](std::string_view pattern, std::string_view help, Handler handler) {
    specs.push_back({pattern, help, {server_id}, {{Operation::kWrite, Effect::kOutside, handler, help}}, nullptr, false,
                     true});
  };
  changes("storage/raft/remove-peer", "Takes a node out of the cluster.", handle_remove);
  changes("storage/raft/promote", "Lets a node vote.", handle_promote);
  changes("storage/raft/demote", "Lets a voter only receive data.", handle_demote);
  specs.push_back({"storage/raft/bootstrap/challenge", "What a node needs to show that it can open the seal.",
                   {server_id}, {{Operation::kWrite, Effect::kReadsMemory, handle_challenge, "Gives one."}}, nullptr,
                   true});
  specs.push_back({"storage/raft/bootstrap/answer", "Lets a node in that can open the seal.", joiner,
                   {{Operation::kWrite, Effect::kOutside, handle_answer, "Takes the answer to a challenge."}}, nullptr,
                   true});
  specs.push_back({"ha-status", "The nodes with their addresses.", {},
                   {{Operation::kRead, Effect::kReadsMemory, handle_ha_status, "Lists the nodes."}}});
  specs.push_back({"step-down", "Hands leadership to another node.", {},
                   {{Operation::kWrite, Effect::kOutside, handle_step_down, "Makes the active node hand over."}},
                   nullptr, false, true});
  add_autopilot_specs(specs);
  add_certificate_specs(specs);
  return specs;
}

}  // namespace coffer::core
