#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// Both answers as one object, in the order of Vault's own client.
json::Value status_json(Arena& arena, const json::Value& seal, const json::Value& leader) {
  json::ObjectBuilder out(arena, 32);
  json::Value first =
      picked(arena, seal,
             {"type", "initialized", "sealed", "t", "n", "progress", "nonce", "version=", "build_date=", "migration",
              "cluster_name?", "cluster_id?", "recovery_seal", "recovery_seal_type?", "storage_type?",
              "hcp_link_status?", "hcp_link_resource_ID?", "warnings?"});
  for (const json::Member& m : first.members())
    out.add(m.key(), m.value);
  if (const json::Value* removed = member(seal, "removed_from_cluster"); removed != nullptr)
    out.add("removed_from_cluster", *removed);
  out.add("ha_enabled", bool_or(leader, "ha_enabled", false));
  if (bool_or(leader, "is_self", false))
    out.add("is_self", true);
  out.add("active_time", leader.string_or("active_time", "0001-01-01T00:00:00Z"));
  json::Value last =
      picked(arena, leader,
             {"leader_address?", "leader_cluster_address?", "performance_standby?",
              "performance_standby_last_remote_wal?", "last_wal?", "raft_committed_index?", "raft_applied_index?"});
  for (const json::Member& m : last.members())
    out.add(m.key(), m.value);
  return out.build();
}

void add_ha_rows(const json::Value& seal, const json::Value& leader, std::vector<Row>& rows) {
  bool ha = bool_or(leader, "ha_enabled", false);
  rows.push_back({"HA Enabled", bool_text(ha)});
  if (!ha || bool_or(seal, "sealed", true))
    return;
  bool self = bool_or(leader, "is_self", false);
  std::string_view since = leader.string_or("active_time", "");
  rows.push_back({"HA Cluster", std::string(leader.string_or("leader_cluster_address", ""))});
  rows.push_back({"HA Mode", self ? "active" : "standby"});
  if (self && !since.empty() && !since.starts_with("0001-"))
    rows.push_back({"Active Since", std::string(since)});
  std::string address(leader.string_or("leader_address", ""));
  if (!self)
    rows.push_back({"Active Node Address", address.empty() ? "<none>" : address});
  if (bool_or(leader, "performance_standby", false)) {
    rows.push_back({"Performance Standby Node", "true"});
    rows.push_back({"Performance Standby Last Remote WAL",
                    std::to_string(number_or(leader, "performance_standby_last_remote_wal", 0))});
  }
}

void add_index_rows(const json::Value& leader, std::vector<Row>& rows) {
  for (auto [key, title] : {std::pair{"raft_committed_index", "Raft Committed Index"},
                            {"raft_applied_index", "Raft Applied Index"},
                            {"last_wal", "Last WAL"}}) {
    if (std::int64_t value = number_or(leader, key, 0); value > 0)
      rows.push_back({title, std::to_string(value)});
  }
}

std::string status_table(const json::Value& seal, const json::Value& leader) {
  std::vector<Row> rows;
  auto number = [&](const char* key) { return std::to_string(number_or(seal, key, 0)); };
  bool recovery = bool_or(seal, "recovery_seal", false);
  bool sealed = bool_or(seal, "sealed", true);
  rows.push_back({"Seal Type", std::string(seal.string_or("type", ""))});
  if (recovery)
    rows.push_back({"Recovery Seal Type", std::string(seal.string_or("recovery_seal_type", "shamir"))});
  rows.push_back({"Initialized", bool_text(bool_or(seal, "initialized", false))});
  rows.push_back({"Sealed", bool_text(sealed)});
  rows.push_back({recovery ? "Total Recovery Shares" : "Total Shares", number("n")});
  rows.push_back({"Threshold", number("t")});
  if (sealed) {
    rows.push_back({"Unseal Progress", number("progress") + "/" + number("t")});
    rows.push_back({"Unseal Nonce", std::string(seal.string_or("nonce", ""))});
  }
  if (bool_or(seal, "migration", false))
    rows.push_back({"Seal Migration in Progress", "true"});
  rows.push_back({"Version", std::string(seal.string_or("version", ""))});
  rows.push_back({"Build Date", std::string(seal.string_or("build_date", ""))});
  rows.push_back({"Storage Type", std::string(seal.string_or("storage_type", ""))});
  std::string name(seal.string_or("cluster_name", ""));
  std::string id(seal.string_or("cluster_id", ""));
  if (!name.empty() && !id.empty()) {
    rows.push_back({"Cluster Name", name});
    rows.push_back({"Cluster ID", id});
  }
  if (const json::Value* removed = member(seal, "removed_from_cluster"); removed != nullptr)
    rows.push_back({"Removed From Cluster", value_text(*removed)});
  add_ha_rows(seal, leader, rows);
  add_index_rows(leader, rows);
  if (const json::Value* warnings = member(seal, "warnings"); warnings != nullptr && warnings->size() > 0)
    rows.push_back({"Warnings", value_text(*warnings)});
  return table({"Key", "Value"}, rows);
}

// A sealed node does not say who leads; that is no error here.
int show_seal_status(Context& context, Client& client, const json::Value& seal) {
  Reply leader = client.call({.method = "GET", .path = "sys/leader"});
  json::Value known = leader.json;
  if (!leader.ok()) {
    if (lower(leader.error).find("vault is sealed") == std::string::npos)
      return context.fail(1, "Error checking leader status: " + leader.error);
    json::ObjectBuilder assumed(context.arena());
    known = assumed.add("ha_enabled", true).build();
  }
  if (!context.ui().is_table())
    return output_data(context, status_json(context.arena(), seal, known));
  context.ui().out(status_table(seal, known));
  return 0;
}

int status(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 1;  // 2 would say sealed
  Reply reply = client->call({.method = "GET", .path = "sys/seal-status"});
  if (report(context, reply, "Error checking seal status"))
    return 1;
  if (const std::string& field = context.flags().text("field"); !field.empty()) {
    const json::Value* value = member(reply.json, field);
    return output_raw_field(context, value == nullptr ? std::nullopt : std::optional<json::Value>(*value), field);
  }
  if (show_seal_status(context, *client, reply.json) != 0)
    return 1;
  return bool_or(reply.json, "sealed", false) ? 2 : 0;
}

int unseal(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Arena& arena = context.arena();
  if (context.flags().boolean("reset")) {
    // A reset names the attempt that it ends.
    Reply status = client->call({.method = "GET", .path = "sys/seal-status"});
    if (report(context, status, "Error checking seal status"))
      return 2;
    json::ObjectBuilder body(arena);
    body.add("reset", true).add("nonce", status.json.string_or("nonce", ""));
    Reply reply = client->call(
        {.method = "PUT", .path = "sys/unseal", .body = Context::body_of(body.build()), .has_body = true});
    return report(context, reply, "Error resetting unseal process") ? 2
                                                                    : show_seal_status(context, *client, reply.json);
  }
  std::string key;
  if (!context.args().empty()) {
    key = trim(context.args()[0]);
  } else {
    if (context.flags().boolean("non-interactive"))
      return context.fail(1, "An unseal key is needed as the argument when -non-interactive forbids to ask for it.");
    Result<std::string> typed = context.ports().read_hidden(
        context.invocation(), [&context] { context.ui().bare("Unseal Key (will be hidden): "); });
    context.ui().bare("\n");
    if (!typed.ok())
      return context.fail(1, wrap("An unseal key can be asked for on a terminal only. Where there is none, give it as "
                                  "the argument; it then shows in the list of processes. The reason was: " +
                                  typed.status().message()));
    key = *typed;
  }
  json::ObjectBuilder body(arena);
  body.add("key", key).add("reset", false).add("migrate", context.flags().boolean("migrate"));
  Reply reply =
      client->call({.method = "PUT", .path = "sys/unseal", .body = Context::body_of(body.build()), .has_body = true});
  return report(context, reply, "Error unsealing") ? 2 : show_seal_status(context, *client, reply.json);
}

int seal(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "PUT", .path = "sys/seal"});
  if (report(context, reply, "Error sealing"))
    return 2;
  context.ui().out(context.named("Success! {Name} is sealed."));
  return 0;
}

int show_key_status(Context& context, Client& client, std::string_view lead) {
  Reply reply = client.call({.method = "GET", .path = "sys/key-status"});
  if (report(context, reply, lead))
    return 2;
  const json::Value* data = member(reply.json, "data");
  const json::Value& from = data != nullptr && data->is_object() ? *data : reply.json;
  if (!context.ui().is_table())
    return output_data(context, picked(context.arena(), from, {"term", "install_time", "encryptions"}));
  if (lead != "Error reading key status")
    context.ui().out("Success! Rotated key\n");
  context.ui().out(columns({{"Key Term", std::to_string(number_or(from, "term", 0))},
                            {"Install Time", short_time(from.string_or("install_time", ""))},
                            {"Encryption Count", std::to_string(number_or(from, "encryptions", 0))}}));
  return 0;
}

int rotate(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "POST", .path = "sys/rotate"});
  if (report(context, reply, "Error rotating key"))
    return 2;
  return show_key_status(context, *client, "Error reading key status after rotation");
}

int key_status(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  return client == nullptr ? 2 : show_key_status(context, *client, "Error reading key status");
}

}  // namespace

void add_init_command(std::vector<Command>& commands);   // commands_init.cc
void add_rekey_command(std::vector<Command>& commands);  // commands_rekey.cc
void add_generate_root_command(std::vector<Command>& commands);  // commands_root.cc

void add_operator_commands(std::vector<Command>& commands) {
  add_init_command(commands);
  commands.push_back({.name = "status",
                      .synopsis = "Print the state of seal and cluster",
                      .usage = "[options]",
                      .help = "Prints whether the server is initialized and unsealed, and its part in the cluster.\n\n"
                              "The exit code is 0 for unsealed, 2 for sealed and 1 for an error.",
                      .field = true,
                      .format = true,
                      .run = status});
  commands.push_back({.name = "operator",
                      .synopsis = "Look after a server",
                      .usage = "<subcommand> [options] [args]",
                      .help = "What those who run a server need: its keys and its seal.\n\n$ {cmd} operator init"});
  commands.push_back(
      {.name = "operator unseal",
       .synopsis = "Give a share of the key that opens the server",
       .usage = "[options] [KEY]",
       .help = "A server starts sealed, unless its seal opens by itself, and can read nothing that it "
               "keeps. Each share given brings it nearer to the threshold; then it is unsealed. Without "
               "KEY the share is asked for.\n\n$ {cmd} operator unseal",
       .flags =
           {{"Command Options",
             {{.name = "migrate", .kind = FlagKind::kBool, .usage = "The share is meant for the move to another seal."},
              {.name = "reset", .kind = FlagKind::kBool, .usage = "Forget the shares given so far."}}}},
       .format = true,
       .run = unseal});
  commands.push_back({.name = "operator seal",
                      .synopsis = "Seal the server",
                      .usage = "[options]",
                      .help = "Makes the server forget its keys and refuse requests until it is unsealed again. Needs "
                              "a token with sudo on sys/seal.\n\n$ {cmd} operator seal",
                      .run = seal});
  commands.push_back({.name = "operator rotate",
                      .synopsis = "Encrypt with a new key from now on",
                      .usage = "[options]",
                      .help = "Adds a new key that encrypts everything written from now on. What is there stays "
                              "readable. Needs a token with sudo on sys/rotate.\n\n$ {cmd} operator rotate",
                      .format = true,
                      .run = rotate});
  add_rekey_command(commands);
  add_generate_root_command(commands);
  commands.push_back({.name = "operator key-status",
                      .synopsis = "Print the age of the encryption key",
                      .usage = "[options]",
                      .help = "Prints number, age and use of the key that encrypts what is written.",
                      .format = true,
                      .run = key_status});
}

}  // namespace coffer::cli
