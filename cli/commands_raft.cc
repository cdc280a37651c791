// operator raft …, operator step-down, operator members.
#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// A PEM text itself, or the file that holds it behind '@'.
Result<std::string> pem_of(Context& context, const std::string& flag) {
  const std::string& given = context.flags().text(flag);
  if (!given.starts_with('@'))
    return given;
  Result<std::string> text = read_file(given.substr(1));
  return text.ok() ? text : Result<std::string>(text.status().with_context("-" + flag));
}

int join(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  const std::string address(context.args().empty() ? std::string_view() : trim(context.args()[0]));
  json::ObjectBuilder body(context.arena(), 8);
  body.add("leader_api_addr", address);
  for (const auto& [field, flag] : {std::pair("leader_ca_cert", "leader-ca-cert"),
                                    std::pair("leader_client_cert", "leader-client-cert"),
                                    std::pair("leader_client_key", "leader-client-key")}) {
    const Result<std::string> pem = pem_of(context, flag);
    if (!pem.ok())
      return context.fail(1, pem.status().message());
    body.add(field, *pem);
  }
  body.add("retry", context.flags().boolean("retry")).add("non_voter", context.flags().boolean("non-voter"));
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "POST",
                              .path = "sys/storage/raft/join",
                              .body = Context::body_of(body.build()),
                              .has_body = true});
  if (report(context, reply, "Error joining the node to the Raft cluster"))
    return 2;
  if (!context.ui().is_table())
    return output_data(context, picked(context.arena(), reply.json, {"joined"}));
  context.ui().out(columns({{"Key", "Value"},
                            {"---", "-----"},
                            {"Joined", bool_text(bool_or(reply.json, "joined", false))}}));
  return 0;
}

int list_peers(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = "sys/storage/raft/configuration"});
  if (report(context, reply, "Error reading the raft cluster configuration"))
    return 2;
  if (!context.ui().is_table())
    return output_data(context, reply.json);
  std::vector<Row> rows;
  const json::Value* data = member(reply.json, "data");
  const json::Value* config = data == nullptr ? nullptr : member(*data, "config");
  const json::Value* servers = config == nullptr ? nullptr : member(*config, "servers");
  if (servers != nullptr && servers->is_array())
    for (const json::Value& server : servers->elements())
      rows.push_back({std::string(server.string_or("node_id", "")), std::string(server.string_or("address", "")),
                      bool_or(server, "leader", false) ? "leader" : "follower",
                      bool_text(bool_or(server, "voter", false))});
  context.ui().out(table({"Node", "Address", "State", "Voter"}, rows));
  return 0;
}

int change_peer(Context& context, std::string_view verb, std::string_view done) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena(), 1);
  body.add("server_id", std::string(trim(context.args()[0])));
  Reply reply = client->call({.method = "POST",
                              .path = "sys/storage/raft/" + std::string(verb),
                              .body = Context::body_of(body.build()),
                              .has_body = true});
  if (report(context, reply, "Error changing the raft cluster's peers"))
    return 2;
  context.ui().out("Peer " + std::string(done) + " successfully!");
  return 0;
}

int rotate_certificates(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "POST", .path = "sys/storage/raft/rotate-certificates"});
  if (report(context, reply, "Error rotating the cluster's certificates"))
    return 2;
  context.ui().out("Success! The nodes go over to certificates of a new authority.");
  return 0;
}

int certificates(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = "sys/storage/raft/certificates"});
  if (report(context, reply, "Error reading the cluster's certificates"))
    return 2;
  if (!context.ui().is_table())
    return output_data(context, reply.json);
  std::vector<Row> rows = {{"Key", "Value"}, {"---", "-----"}};
  const json::Value* data = member(reply.json, "data");
  const auto add = [&](std::string_view part, std::string_view field, std::string title) {
    const json::Value* of = data == nullptr ? nullptr : member(*data, part);
    if (const json::Value* value = of == nullptr ? nullptr : member(*of, field); value != nullptr)
      rows.push_back({std::move(title), value_text(*value)});
  };
  add("cluster", "generation", "Generation");
  add("cluster", "phase", "Phase");
  add("cluster", "since", "Since");
  add("cluster", "next_rotation", "Next Rotation");
  add("cluster", "trusted_generations", "Trusted Generations");
  add("node", "node_id", "Node");
  add("node", "generation", "Node Generation");
  add("node", "expires", "Node Certificate Expires");
  context.ui().out(columns(rows));
  return 0;
}

int step_down(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "PUT", .path = "sys/step-down"});
  if (report(context, reply, "Error stepping down"))
    return 2;
  context.ui().out("Success! Stepped down: " + client->options().address);
  return 0;
}

int members(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = "sys/ha-status"});
  if (report(context, reply, "Error reading the cluster's members"))
    return 2;
  const json::Value* data = member(reply.json, "data");
  const json::Value& from = data != nullptr && data->is_object() ? *data : reply.json;
  if (!context.ui().is_table())
    return output_data(context, from);
  std::vector<Row> rows;
  if (const json::Value* nodes = member(from, "nodes"); nodes != nullptr && nodes->is_array())
    for (const json::Value& node : nodes->elements())
      rows.push_back({std::string(node.string_or("hostname", "")), std::string(node.string_or("api_address", "")),
                      std::string(node.string_or("cluster_address", "")),
                      bool_text(bool_or(node, "active_node", false)), std::string(node.string_or("version", "")),
                      std::string(node.string_or("last_echo", ""))});
  context.ui().out(table({"Host Name", "API Address", "Cluster Address", "Active Node", "Version", "Last Echo"}, rows));
  return 0;
}

Command join_command() {
  Command command;
  command.name = "operator raft join";
  command.synopsis = "Make this node part of a cluster";
  command.usage = "[options] LEADER-API-ADDRESS";
  command.help =
      "Asks a node of the cluster to take this one in. This one must not be initialized. With Shamir's seal it is let "
      "in once it has been unsealed with the cluster's own shares.\n\n"
      "$ {cmd} operator raft join https://node-a.example.com:8200";
  command.flags = {
      {"Command Options",
       {{.name = "leader-ca-cert",
         .kind = FlagKind::kString,
         .usage = "The authority that the other node's certificate is of, as PEM or as @file."},
        {.name = "leader-client-cert",
         .kind = FlagKind::kString,
         .usage = "A certificate to show to it, as PEM or as @file."},
        {.name = "leader-client-key", .kind = FlagKind::kString, .usage = "The key of that certificate."},
        {.name = "retry", .kind = FlagKind::kBool, .usage = "Keep trying when the other node cannot be reached."},
        {.name = "non-voter", .kind = FlagKind::kBool, .usage = "Receive all data and never vote."}}}};
  command.format = true;
  command.run = join;
  return command;
}

}  // namespace

void add_raft_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "operator raft",
                      .synopsis = "Look after the cluster's nodes",
                      .usage = "<subcommand> [options] [args]",
                      .help = "Which nodes form the cluster, and who of them votes.\n\n"
                              "$ {cmd} operator raft list-peers"});
  commands.push_back(join_command());
  commands.push_back({.name = "operator raft list-peers",
                      .synopsis = "List the cluster's nodes",
                      .usage = "[options]",
                      .help = "Prints the nodes of the cluster, who leads and who votes.",
                      .format = true,
                      .run = list_peers});
  const auto change = [&commands](std::string name, std::string synopsis, std::string help, std::string done) {
    commands.push_back({.name = "operator raft " + name,
                        .synopsis = std::move(synopsis),
                        .usage = "[options] SERVER-ID",
                        .help = std::move(help),
                        .run = [name, done](Context& context) { return change_peer(context, name, done); }});
  };
  change("remove-peer", "Take a node out of the cluster",
         "The node gets no more data and does not vote. Its data folder is not touched; clear it before it joins "
         "again.",
         "removed");
  change("promote", "Let a node vote", "A node that receives data becomes a voter once it has caught up.", "promoted");
  change("demote", "Let a voter only receive data", "A voter becomes a node that receives all data and does not vote.",
         "demoted");
  commands.push_back({.name = "operator raft rotate-certificates",
                      .synopsis = "Take the nodes to certificates of a new authority",
                      .usage = "[options]",
                      .help = "The nodes make themselves certificates of the cluster's next authority and then trust "
                              "the last one no more. No connection breaks, and no request fails. Needs a token with "
                              "sudo on sys/storage/raft/rotate-certificates.",
                      .run = rotate_certificates});
  commands.push_back({.name = "operator raft certificates",
                      .synopsis = "Show which certificates the nodes use",
                      .usage = "[options]",
                      .help = "Prints which authority of the cluster counts, how far a rotation is, and until when the "
                              "certificate of the node that answers is valid.",
                      .format = true,
                      .run = certificates});
  commands.push_back({.name = "operator step-down",
                      .synopsis = "Make the active node hand over",
                      .usage = "[options]",
                      .help = "The node that leads hands over to another one. Needs a token with sudo on "
                              "sys/step-down.",
                      .run = step_down});
  commands.push_back({.name = "operator members",
                      .synopsis = "List the nodes with their addresses",
                      .usage = "[options]",
                      .help = "Prints the nodes of the cluster with addresses, versions and when each was last heard.",
                      .format = true,
                      .run = members});
}

}  // namespace coffer::cli
