#include <algorithm>

#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/mount_settings.h"
#include "cli/mounts.h"
#include "cli/secret.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

int enable(Context& context) {
  const FlagSet& flags = context.flags();
  if (!context.arity(1, 1))
    return 1;
  std::string type(trim(context.args()[0]));
  if (type == "plugin" && flags.text("plugin-name").empty())
    return context.fail(1, "Missing plugin name: use -plugin-name");
  if (type == "plugin")
    type = flags.text("plugin-name");
  std::string path = mount_path(flags.text("path").empty() ? type : flags.text("path"));
  json::ObjectBuilder config(context.arena());
  config.add("options", nullptr);
  config.add("default_lease_ttl", format_duration(flags.duration_nanos("default-lease-ttl")));
  config.add("max_lease_ttl", format_duration(flags.duration_nanos("max-lease-ttl")));
  config.add("force_no_cache", flags.boolean("force-no-cache"));
  add_tunables(context, config);
  json::ObjectBuilder body(context.arena());
  body.add("type", type).add("description", flags.text("description")).add("config", config.build());
  body.add("local", flags.boolean("local")).add("seal_wrap", flags.boolean("seal-wrap"));
  body.add("external_entropy_access", flags.boolean("external-entropy-access")).add("options", options_of(context));
  return change_mounts(
      context,
      {.method = "POST", .path = "sys/mounts/" + path, .body = Context::body_of(body.build()), .has_body = true},
      "Error enabling", "Success! Enabled the " + type + " secrets engine at: " + path);
}

int disable(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::string path = mount_path(context.args()[0]);
  return change_mounts(context, {.method = "DELETE", .path = "sys/mounts/" + path},
                       "Error disabling secrets engine at " + path,
                       "Success! Disabled the secrets engine (if it existed) at: " + path);
}

int tune(Context& context) {
  const FlagSet& flags = context.flags();
  if (!context.arity(1, 1))
    return 1;
  const std::string path = mount_path(context.args()[0]);
  json::ObjectBuilder body(context.arena());
  body.add("options", options_of(context));
  body.add("default_lease_ttl", ttl_for_tune(flags.duration_nanos("default-lease-ttl")));
  if (flags.given("description"))
    body.add("description", flags.text("description"));
  body.add("max_lease_ttl", ttl_for_tune(flags.duration_nanos("max-lease-ttl")));
  body.add("force_no_cache", false);
  add_tunables(context, body);
  return change_mounts(context,
                       {.method = "POST",
                        .path = "sys/mounts/" + path + "tune",
                        .body = Context::body_of(body.build()),
                        .has_body = true},
                       "Error tuning secrets engine " + path, "Success! Tuned the secrets engine at: " + path);
}

int move(Context& context) {
  if (!context.arity(2, 2))
    return 1;
  return move_mount(context, "secrets engine", "", mount_path(context.args()[0]), mount_path(context.args()[1]));
}

Row detailed_row(const std::string& path, const json::Value& mount) {
  const json::Value* config = member(mount, "config");
  const bool no_cache = bool_or(config == nullptr ? json::Value::null() : *config, "force_no_cache", false);
  return detailed_mount_row(path, mount, no_cache ? "true" : "false");
}

int list(Context& context) {
  return list_mounts(context,
                     {.endpoint = "sys/mounts",
                      .lead = "Error listing secrets engines",
                      .titles = {"Path", "Type", "Accessor", "Description"},
                      .detailed_titles = detailed_mount_titles("Force No Cache"),
                      .printable = printable_mount,
                      .row = mount_row,
                      .detailed_row = detailed_row});
}

}  // namespace

void add_secrets_commands(std::vector<Command>& commands) {
  std::vector<Flag> enable_flags = tunable_flags();
  for (Flag flag : std::initializer_list<Flag>{
           {.name = "external-entropy-access",
    .kind = FlagKind::kBool,
    .usage = "Let the engine draw randomness from the seal."},
           {.name = "force-no-cache", .kind = FlagKind::kBool, .usage = "Keep nothing of this engine in caches."},
           {.name = "local",
           .kind = FlagKind::kBool,
           .usage = "Keep the engine in this cluster; it is not replicated."},
           {.name = "path", .usage = "Where to enable it; at the name of its type if not given."},
           {.name = "plugin-name", .usage = "Name of the plugin, for the type \"plugin\"."},
           {.name = "seal-wrap", .kind = FlagKind::kBool, .usage = "Wrap what is critical in the seal as well."}})
    enable_flags.push_back(flag);
  std::vector<Flag> tune_flags = tunable_flags();
  tune_flags.push_back({.name = "cas-required", .kind = FlagKind::kOptionalBool,
                        .usage = "For KV version 2: whoever overwrites a key must name the version that it replaces."});
  commands.push_back({.name = "secrets",
                      .synopsis = "Enable and disable secrets engines",
                      .usage = "<subcommand> [options] [args]",
                      .help = "A secrets engine answers for everything below the path where it is enabled.\n\n"
                              "$ {cmd} secrets enable -path=team -version=2 kv"});
  commands.push_back({.name = "secrets enable",
                      .synopsis = "Enable a secrets engine",
                      .usage = "[options] TYPE",
                      .help = "Enables a secrets engine of TYPE, at the path of that name or at -path.\n\n"
                              "$ {cmd} secrets enable -path=team -version=2 kv",
                      .flags = {{"Command Options", enable_flags}},
                      .run = enable});
  commands.push_back({.name = "secrets disable",
                      .synopsis = "Disable a secrets engine",
                      .usage = "[options] PATH",
                      .help = "Disables the secrets engine at PATH, revokes everything that it gave out and deletes "
                              "everything that it kept.",
                      .run = disable});
  commands.push_back({.name = "secrets list",
                      .synopsis = "List the secrets engines",
                      .usage = "[options]",
                      .help = "Lists what is enabled, and where.",
                      .flags = {{"Command Options",
                                 {{.name = "detailed",
                                   .kind = FlagKind::kBool,
                                   .usage = "Print lifetimes, options and the like as well."}}}},
                      .format = true,
                      .run = list});
  commands.push_back({.name = "secrets move",
                      .synopsis = "Move a secrets engine to another path",
                      .usage = "[options] SOURCE DESTINATION",
                      .help = "Moves the secrets engine at SOURCE with everything that it keeps to DESTINATION. The "
                              "leases that it gave out are revoked.\n\n$ {cmd} secrets move team people/team",
                      .run = move});
  commands.push_back({.name = "secrets tune",
                      .synopsis = "Change settings of a secrets engine",
                      .usage = "[options] PATH",
                      .help = "Changes settings of the secrets engine at PATH. Those that are not given stay as they "
                              "are.\n\n$ {cmd} secrets tune -max-lease-ttl=72h team",
                      .flags = {{"Command Options", tune_flags}},
                      .run = tune});
}

}  // namespace coffer::cli
