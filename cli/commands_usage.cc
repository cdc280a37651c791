// operator usage, license and plugin: who uses a server, and what it is made of.
#include "base/time_text.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "cli/secret.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

std::string count_of(const json::Value& counts, std::string_view name) {
  return std::to_string(number_or(counts, name, 0));
}

Row usage_row(const std::string& name, const json::Value& holder, std::string_view member_name) {
  const json::Value* found = member_name.empty() ? &holder : member(holder, member_name);
  const json::Value counts = found == nullptr ? json::Value::null() : *found;
  return {name, count_of(counts, "entity_clients"), count_of(counts, "non_entity_clients"),
          count_of(counts, "secret_syncs"), count_of(counts, "acme_clients"), count_of(counts, "clients")};
}

// A time as the server takes it; whole months are counted anyway.
std::vector<std::pair<std::string, std::string>> period_of(Context& context) {
  std::vector<std::pair<std::string, std::string>> query;
  for (const char* name : {"start", "end"}) {
    std::string text = context.flags().text(std::string(name) + "-time");
    if (text.size() == 7)  // 2024-05
      text += "-01T00:00:00Z";
    else if (text.size() == 10)  // 2024-05-06
      text += "T00:00:00Z";
    if (!text.empty())
      query.emplace_back(std::string(name) + "_time", text);
  }
  return query;
}

int usage(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const Reply reply =
      client->call({.method = "GET", .path = "sys/internal/counters/activity", .query = period_of(context)});
  if (report(context, reply, "Error retrieving client counts"))
    return 2;
  const json::Value data = Secret::of(reply.json).data;
  if (data.is_null()) {
    context.ui().warn("No usage data is available for this period. See \"{cmd} read sys/internal/counters/config\".");
    return 0;
  }
  if (!context.ui().is_table())
    return output_data(context, data);
  std::vector<Row> rows;
  if (const json::Value* list = member(data, "by_namespace"); list != nullptr)
    for (const json::Value& one : list->elements()) {
      const std::string path(one.string_or("namespace_path", ""));
      const std::string id(one.string_or("namespace_id", ""));
      rows.push_back(usage_row(id == "root" ? "[root]" : path.empty() ? "[" + id + "]" : path, one, "counts"));
    }
  rows.push_back(usage_row("Total", data, "total"));
  context.ui().out("Period start: " + std::string(data.string_or("start_time", "")) +
                   "\nPeriod end: " + std::string(data.string_or("end_time", "")) + "\n");
  context.ui().out(table({"Namespace path", "Entity Clients", "Non-Entity clients", "Secret syncs", "ACME clients",
                          "Active clients"},
                         rows));
  return 0;
}

int license(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const Reply reply = client->call({.method = "GET", .path = "sys/license/status"});
  if (report(context, reply, "Error retrieving license"))
    return 2;
  return output_secret(context, Secret::of(reply.json));
}

constexpr std::string_view kTypes[] = {"auth", "database", "secret"};

bool known_type(std::string_view type) { return type == "auth" || type == "database" || type == "secret"; }

int list_plugins(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  const std::string type = context.args().empty() ? std::string() : context.args()[0];
  if (!type.empty() && !known_type(type))
    return context.fail(2, "Error listing available plugins: \"" + type + "\" is not a supported plugin type");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const Reply reply = client->call({.method = "GET", .path = "sys/plugins/catalog"});
  if (report(context, reply, "Error listing available plugins"))
    return 2;
  const json::Value data = Secret::of(reply.json).data;
  if (!context.ui().is_table())
    return output_data(context, data);
  const bool detailed = context.flags().boolean("detailed");
  std::vector<Row> rows;
  const json::Value* list = member(data, "detailed");
  for (const std::string_view of : kTypes)
    for (const json::Value& one : list == nullptr ? json::Value::null().elements() : list->elements()) {
      if (one.string_or("type", "") != of || (!type.empty() && type != of))
        continue;
      Row row{std::string(one.string_or("name", "")), std::string(of), std::string(one.string_or("version", ""))};
      if (detailed)
        row.push_back(std::string(one.string_or("deprecation_status", "")));
      rows.push_back(std::move(row));
    }
  Row titles{"Name", "Type", "Version"};
  if (detailed)
    titles.push_back("Deprecation Status");
  context.ui().out(table(titles, rows));
  return 0;
}

int plugin_info(Context& context) {
  if (!context.arity(2, 2))
    return 1;
  const std::string& type = context.args()[0];
  const std::string& name = context.args()[1];
  if (!known_type(type))
    return context.fail(2, "\"" + type + "\" is not a supported plugin type");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const Reply reply = client->call({.method = "GET", .path = "sys/plugins/catalog/" + type + "/" + name});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "No value found for plugin \"" + name + "\"");
  if (report(context, reply, "Error reading plugin named " + name))
    return 2;
  const Secret secret = Secret::of(reply.json);
  if (const std::string& field = context.flags().text("field"); !field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  return output_secret(context, secret);
}

}  // namespace

void add_usage_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "operator usage",
                      .synopsis = "Show how many clients used the server",
                      .usage = "[options]",
                      .help = "Shows how many entities, and how many kinds of tokens without an entity, used the "
                              "server in a period of whole months.\n\n"
                              "$ {cmd} operator usage -start-time=2024-01 -end-time=2024-06",
                      .flags = {{"Command Options",
                                 {{.name = "start-time", .usage = "Beginning: YYYY-MM, YYYY-MM-DD or RFC 3339."},
                                  {.name = "end-time", .usage = "End, likewise; now if not given."}}}},
                      .format = true,
                      .run = usage});
  commands.push_back({.name = "license",
                      .synopsis = "Ask about a license",
                      .usage = "<subcommand> [options] [args]",
                      .help = "No license is needed. The command is here for scripts that ask.\n\n"
                              "$ {cmd} license get"});
  commands.push_back({.name = "license get",
                      .synopsis = "Show what the server says of its license",
                      .usage = "[options]",
                      .help = "Shows that the server needs no license.",
                      .format = true,
                      .run = license});
  commands.push_back({.name = "plugin",
                      .synopsis = "See which engines a server has",
                      .usage = "<subcommand> [options] [args]",
                      .help = "Engines are built in; none can be added.\n\n$ {cmd} plugin list"});
  commands.push_back({.name = "plugin list",
                      .synopsis = "List the engines of a server",
                      .usage = "[options] [TYPE]",
                      .help = "Lists the engines that can be enabled: all, or those of the type auth, database or "
                              "secret.\n\n$ {cmd} plugin list secret",
                      .flags = {{"Command Options",
                                 {{.name = "detailed", .kind = FlagKind::kBool, .usage = "Show their status too."}}}},
                      .format = true,
                      .run = list_plugins});
  commands.push_back({.name = "plugin info",
                      .synopsis = "Show one engine",
                      .usage = "[options] TYPE NAME",
                      .help = "Shows what is known of an engine.\n\n$ {cmd} plugin info secret kv",
                      .field = true,
                      .format = true,
                      .run = plugin_info});
}

}  // namespace coffer::cli
