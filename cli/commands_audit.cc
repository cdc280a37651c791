#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

int enable(Context& context) {
  const std::vector<std::string>& args = context.args();
  if (args.empty())
    return context.fail(
        1, "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.");
  std::string type(trim(args[0]));
  std::string path = context.flags().text("path").empty() ? type : context.flags().text("path");
  path = with_trailing_slash(sanitize_path(path));
  auto options = parse_text_data(context.arena(), {args.begin() + 1, args.end()}, context.invocation().in);
  if (!options.ok())
    return context.fail(1, "Failed to parse K=V data: " + options.status().message());
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  body.add("type", type).add("description", context.flags().text("description"));
  body.add("options", object_of(context.arena(), *options)).add("local", context.flags().boolean("local"));
  Reply reply = client->call(
      {.method = "PUT", .path = "sys/audit/" + path, .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error enabling audit device"))
    return 2;
  context.ui().out("Success! Enabled the " + type + " audit device at: " + path);
  return 0;
}

int disable(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string path = with_trailing_slash(sanitize_path(context.args()[0]));
  if (report(context, client->call({.method = "DELETE", .path = "sys/audit/" + path}), "Error disabling audit device"))
    return 2;
  context.ui().out("Success! Disabled audit device (if it was enabled) at: " + path);
  return 0;
}

std::string options_text(const json::Value& device) {
  const json::Value* options = member(device, "options");
  std::vector<std::string> pairs;
  for (const json::Member& m : options == nullptr ? json::Value::null().members() : options->members())
    pairs.push_back(std::string(m.key()) + "=" + value_text(m.value));
  return join(pairs, " ");
}

int list(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = "sys/audit"});
  if (report(context, reply, "Error listing audits"))
    return 2;
  json::Value devices = sorted(context.arena(), Secret::of(reply.json).data);
  if (!context.ui().is_table()) {
    json::ObjectBuilder out(context.arena(), devices.size() + 1);
    for (const json::Member& m : devices.members())
      out.add(m.key(), picked(context.arena(), m.value, {"type", "description", "options", "local", "path"}));
    return output_data(context, out.build());
  }
  if (devices.size() == 0) {
    context.ui().out("No audit devices are enabled.");
    return 2;
  }
  bool detailed = context.flags().boolean("detailed");
  std::vector<Row> rows;
  for (const json::Member& m : devices.members()) {
    Row row = {std::string(m.key()), std::string(m.value.string_or("type", "")),
               std::string(m.value.string_or("description", ""))};
    if (detailed) {
      row.push_back(bool_or(m.value, "local", false) ? "local" : "replicated");
      row.push_back(options_text(m.value));
    }
    rows.push_back(std::move(row));
  }
  Row titles = {"Path", "Type", "Description"};
  if (detailed)
    titles.insert(titles.end(), {"Replication", "Options"});
  context.ui().out(table(titles, rows));
  return 0;
}

}  // namespace

void add_audit_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "audit",
                      .synopsis = "Enable and disable audit devices",
                      .usage = "<subcommand> [options] [args]",
                      .help = "An audit device records every request and every answer.\n\n"
                              "$ {cmd} audit enable file file_path=/var/log/vault_audit.log"});
  commands.push_back({.name = "audit enable",
                      .synopsis = "Enable an audit device",
                      .usage = "[options] TYPE [CONFIG K=V...]",
                      .help = "Enables an audit device of TYPE with its settings. From then on a request is answered "
                              "only if a device has taken its record.\n\n"
                              "$ {cmd} audit enable file file_path=/var/log/vault_audit.log",
                      .flags = {{"Command Options",
                                 {{.name = "description", .usage = "A few words on what it is for."},
                                  {.name = "local",
                                   .kind = FlagKind::kBool,
                                   .usage = "Keep the device in this cluster; it is not replicated."},
                                  {.name = "path", .usage = "Name of the device; that of its type if not given."}}}},
                      .run = enable});
  commands.push_back({.name = "audit disable",
                      .synopsis = "Disable an audit device",
                      .usage = "[options] PATH",
                      .help = "Disables the audit device at PATH. What it has recorded stays.",
                      .run = disable});
  commands.push_back(
      {.name = "audit list",
       .synopsis = "List the audit devices",
       .usage = "[options]",
       .help = "Lists the audit devices.",
       .flags = {{"Command Options",
                  {{.name = "detailed", .kind = FlagKind::kBool, .usage = "Print options and the like as well."}}}},
       .format = true,
       .run = list});
}

}  // namespace coffer::cli
