// operator raft autopilot …
#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kStatePath = "sys/storage/raft/autopilot/state";
constexpr std::string_view kSettingsPath = "sys/storage/raft/autopilot/configuration";

// `data` of the answer, or null after the failure was printed.
const json::Value* data_of(Context& context, Reply& reply, std::string_view lead) {
  if (report(context, reply, lead))
    return nullptr;
  const json::Value* data = member(reply.json, "data");
  if (data == nullptr || !data->is_object()) {
    context.fail(2, "The answer holds no data");
    return nullptr;
  }
  return data;
}

// "      Name:              n1": labels of one depth begin their values in one column.
void add_line(std::string& out, std::size_t depth, std::string_view label, std::string_view value) {
  constexpr std::size_t kOuterColumn = 33;
  constexpr std::size_t kInnerColumn = 25;
  const std::size_t begin = out.size();
  out.append(depth * 3, ' ').append(label).append(":");
  const std::size_t column = depth == 0 ? kOuterColumn : kInnerColumn;
  const std::size_t used = out.size() - begin;
  out.append(used < column ? column - used : 1, ' ').append(value).append("\n");
}

void add_list(std::string& out, std::string_view label, const std::vector<std::string>& names) {
  if (names.empty())
    return;
  out.append(label).append(":\n");
  for (const std::string& name : names)
    out.append("   ").append(name).append("\n");
}

void add_server(std::string& out, const json::Value& server) {
  constexpr std::pair<std::string_view, std::string_view> kRows[] = {
      {"Name", "name"},           {"Address", "address"},           {"Status", "status"},
      {"Node Status", "node_status"}, {"Healthy", "healthy"},       {"Last Contact", "last_contact"},
      {"Last Term", "last_term"}, {"Last Index", "last_index"},     {"Version", "version"},
      {"Upgrade Version", "upgrade_version"}, {"Redundancy Zone", "redundancy_zone"}, {"Node Type", "node_type"}};
  for (const auto& [label, key] : kRows)
    if (const json::Value* value = member(server, key); value != nullptr)
      add_line(out, 2, label, value_text(*value));
}

void add_zones(std::string& out, const json::Value& zones) {
  out.append("Redundancy Zones:\n");
  for (const json::Member& zone : zones.members()) {
    out.append("   ").append(zone.key()).append("\n");
    add_line(out, 2, "Servers", join(texts_of(zone.value, "servers"), ", "));
    add_line(out, 2, "Voters", join(texts_of(zone.value, "voters"), ", "));
    add_line(out, 2, "Failure Tolerance", std::to_string(number_or(zone.value, "failure_tolerance", 0)));
  }
}

void add_upgrade(std::string& out, const json::Value& upgrade) {
  out.append("Upgrade Info:\n");
  add_line(out, 1, "Status", upgrade.string_or("status", ""));
  add_line(out, 1, "Target Version", upgrade.string_or("target_version", ""));
  constexpr std::pair<std::string_view, std::string_view> kRows[] = {
      {"Target Version Voters", "target_version_voters"},
      {"Target Version Non-Voters", "target_version_non_voters"},
      {"Other Version Voters", "other_version_voters"},
      {"Other Version Non-Voters", "other_version_non_voters"}};
  for (const auto& [label, key] : kRows)
    if (const std::vector<std::string> names = texts_of(upgrade, key); !names.empty())
      add_line(out, 1, label, join(names, ", "));
}

std::string state_text(const json::Value& state) {
  std::string out;
  add_line(out, 0, "Healthy", bool_text(bool_or(state, "healthy", false)));
  add_line(out, 0, "Failure Tolerance", std::to_string(number_or(state, "failure_tolerance", 0)));
  add_line(out, 0, "Leader", state.string_or("leader", ""));
  add_list(out, "Voters", texts_of(state, "voters"));
  add_list(out, "Non Voters", texts_of(state, "non_voters"));
  const json::Value* zones = member(state, "redundancy_zones");
  const bool with_zones = zones != nullptr && zones->is_object();
  if (with_zones)
    add_line(out, 0, "Optimistic Failure Tolerance",
             std::to_string(number_or(state, "optimistic_failure_tolerance", 0)));
  out.append("Servers:\n");
  if (const json::Value* servers = member(state, "servers"); servers != nullptr && servers->is_object())
    for (const json::Member& server : servers->members()) {
      out.append("   ").append(server.key()).append("\n");
      add_server(out, server.value);
    }
  if (with_zones)
    add_zones(out, *zones);
  if (const json::Value* upgrade = member(state, "upgrade_info"); upgrade != nullptr && upgrade->is_object())
    add_upgrade(out, *upgrade);
  out.pop_back();
  return out;
}

int state(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = std::string(kStatePath)});
  const json::Value* data = data_of(context, reply, "Error reading the autopilot's state");
  if (data == nullptr)
    return 2;
  if (!context.ui().is_table() && context.ui().format() != "pretty")
    return output_data(context, *data);
  context.ui().out(state_text(*data));
  return 0;
}

int get_config(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = std::string(kSettingsPath)});
  const json::Value* data = data_of(context, reply, "Error reading the autopilot's settings");
  if (data == nullptr)
    return 2;
  if (!context.ui().is_table())
    return output_data(context, *data);
  const auto text = [data](std::string_view key) {
    const json::Value* value = member(*data, key);
    return value == nullptr ? std::string() : value_text(*value);
  };
  context.ui().out(columns({{"Key", "Value"},
                            {"---", "-----"},
                            {"Cleanup Dead Servers", text("cleanup_dead_servers")},
                            {"Last Contact Threshold", text("last_contact_threshold")},
                            {"Dead Server Last Contact Threshold", text("dead_server_last_contact_threshold")},
                            {"Server Stabilization Time", text("server_stabilization_time")},
                            {"Min Quorum", text("min_quorum")},
                            {"Max Trailing Logs", text("max_trailing_logs")},
                            {"Disable Upgrade Migration", text("disable_upgrade_migration")}}));
  return 0;
}

// Only what was given is changed.
int set_config(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  const FlagSet& flags = context.flags();
  json::ObjectBuilder body(context.arena(), 7);
  if (flags.given("cleanup-dead-servers"))
    body.add("cleanup_dead_servers", flags.boolean("cleanup-dead-servers"));
  if (flags.given("disable-upgrade-migration"))
    body.add("disable_upgrade_migration", flags.boolean("disable-upgrade-migration"));
  for (const auto& [flag, field] :
       {std::pair("last-contact-threshold", "last_contact_threshold"),
        std::pair("dead-server-last-contact-threshold", "dead_server_last_contact_threshold"),
        std::pair("server-stabilization-time", "server_stabilization_time")})
    if (flags.given(flag))
      body.add(field, std::to_string(flags.duration_nanos(flag)) + "ns");
  for (const auto& [flag, field] :
       {std::pair("max-trailing-logs", "max_trailing_logs"), std::pair("min-quorum", "min_quorum")})
    if (flags.given(flag))
      body.add(field, flags.integer(flag));
  const json::Value built = body.build();
  if (built.members().empty())
    return context.fail(1, "Must give at least one setting to change");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call(
      {.method = "POST", .path = std::string(kSettingsPath), .body = Context::body_of(built), .has_body = true});
  return report(context, reply, "Error changing the autopilot's settings") ? 2 : 0;
}

Command set_config_command() {
  Command command;
  command.name = "operator raft autopilot set-config";
  command.synopsis = "Change how the cluster looks after its nodes";
  command.usage = "[options]";
  command.help =
      "Changes the settings that are given and leaves the others as they are.\n\n"
      "$ {cmd} operator raft autopilot set-config -cleanup-dead-servers=true -min-quorum=3";
  command.flags = {
      {"Command Options",
       {{.name = "cleanup-dead-servers",
         .kind = FlagKind::kBool,
         .usage = "Take servers that are dead out of the cluster. Needs -min-quorum."},
        {.name = "last-contact-threshold",
         .kind = FlagKind::kDuration,
         .usage = "A server that was heard longer ago is not healthy."},
        {.name = "dead-server-last-contact-threshold",
         .kind = FlagKind::kDuration,
         .usage = "A server that was heard longer ago is dead."},
        {.name = "max-trailing-logs",
         .kind = FlagKind::kInt,
         .usage = "A server that is more entries behind is not healthy."},
        {.name = "min-quorum", .kind = FlagKind::kInt, .usage = "Clean-up leaves at least so many voters, 3 or more."},
        {.name = "server-stabilization-time",
         .kind = FlagKind::kDuration,
         .usage = "A new server is healthy for so long before it votes."},
        {.name = "disable-upgrade-migration",
         .kind = FlagKind::kBool,
         .usage = "Do not let servers of a newer version take over by themselves."}}}};
  command.run = set_config;
  return command;
}

}  // namespace

void add_autopilot_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "operator raft autopilot",
                      .synopsis = "How the cluster looks after its nodes",
                      .usage = "<subcommand> [options] [args]",
                      .help = "How healthy the cluster is, and what it does by itself about it.\n\n"
                              "$ {cmd} operator raft autopilot state"});
  commands.push_back({.name = "operator raft autopilot state",
                      .synopsis = "Show how healthy the cluster is",
                      .usage = "[options]",
                      .help = "Prints whether the cluster is healthy, how many voters may fail, and each node's state.",
                      .format = true,
                      .run = state});
  commands.push_back({.name = "operator raft autopilot get-config",
                      .synopsis = "Show how the cluster looks after its nodes",
                      .usage = "[options]",
                      .help = "Prints the settings that the node that leads goes by.",
                      .format = true,
                      .run = get_config});
  commands.push_back(set_config_command());
}

}  // namespace coffer::cli
