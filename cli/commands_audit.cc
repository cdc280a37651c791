#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/mounts.h"
#include "cli/secret.h"
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
  std::string path = mount_path(context.flags().text("path").empty() ? type : context.flags().text("path"));
  auto options = parse_text_data(context.arena(), {args.begin() + 1, args.end()}, context.invocation().in);
  if (!options.ok())
    return context.fail(1, "Failed to parse K=V data: " + options.status().message());
  json::ObjectBuilder body(context.arena());
  body.add("type", type).add("description", context.flags().text("description"));
  body.add("options", object_of(context.arena(), *options)).add("local", context.flags().boolean("local"));
  return change_mounts(
      context, {.method = "PUT", .path = "sys/audit/" + path, .body = Context::body_of(body.build()), .has_body = true},
      "Error enabling audit device", "Success! Enabled the " + type + " audit device at: " + path);
}

int disable(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::string path = mount_path(context.args()[0]);
  return change_mounts(context, {.method = "DELETE", .path = "sys/audit/" + path}, "Error disabling audit device",
                       "Success! Disabled audit device (if it was enabled) at: " + path);
}

std::string options_text(const json::Value& device) {
  const json::Value* options = member(device, "options");
  std::vector<std::string> pairs;
  for (const json::Member& m : options == nullptr ? json::Value::null().members() : options->members())
    pairs.push_back(std::string(m.key()) + "=" + value_text(m.value));
  return join(pairs, " ");
}

json::Value printable_device(Arena& arena, const json::Value& device) {
  return picked(arena, device, {"type", "description", "options", "local", "path"});
}

Row device_row(const std::string& path, const json::Value& device) {
  return {path, std::string(device.string_or("type", "")), std::string(device.string_or("description", ""))};
}

Row detailed_row(const std::string& path, const json::Value& device) {
  Row row = device_row(path, device);
  row.push_back(bool_or(device, "local", false) ? "local" : "replicated");
  row.push_back(options_text(device));
  return row;
}

int list(Context& context) {
  return list_mounts(context, {.endpoint = "sys/audit",
                               .lead = "Error listing audits",
                               .none = "No audit devices are enabled.",
                               .titles = {"Path", "Type", "Description"},
                               .detailed_titles = {"Path", "Type", "Description", "Replication", "Options"},
                               .printable = printable_device,
                               .row = device_row,
                               .detailed_row = detailed_row});
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
  add_audit_verify_command(commands);
}

}  // namespace coffer::cli
