#include <algorithm>

#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/login_methods.h"
#include "cli/mount_settings.h"
#include "cli/mounts.h"
#include "cli/render.h"
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
  const bool plugin = type == "plugin";
  if (plugin && flags.text("plugin-name").empty())
    return context.fail(1, "Missing plugin name: use -plugin-name");
  if (plugin)
    type = flags.text("plugin-name");
  const std::string path = mount_path(flags.text("path").empty() ? type : flags.text("path"));
  json::ObjectBuilder config(context.arena());
  config.add("options", nullptr);
  config.add("default_lease_ttl", format_duration(flags.duration_nanos("default-lease-ttl")));
  config.add("max_lease_ttl", format_duration(flags.duration_nanos("max-lease-ttl")));
  config.add("force_no_cache", false);
  add_tunables(context, config);
  if (flags.given("token-type"))
    config.add("token_type", flags.text("token-type"));
  json::ObjectBuilder body(context.arena());
  body.add("type", type).add("description", flags.text("description")).add("config", config.build());
  body.add("local", flags.boolean("local")).add("seal_wrap", flags.boolean("seal-wrap"));
  body.add("external_entropy_access", flags.boolean("external-entropy-access")).add("options", options_of(context));
  return change_mounts(
      context,
      {.method = "POST", .path = "sys/auth/" + path, .body = Context::body_of(body.build()), .has_body = true},
      "Error enabling " + type + " auth",
      "Success! Enabled " + type + (plugin ? " plugin" : " auth method") + " at: " + path);
}

int disable(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::string path = mount_path(context.args()[0]);
  return change_mounts(context, {.method = "DELETE", .path = "sys/auth/" + path},
                       "Error disabling auth method at " + path,
                       "Success! Disabled the auth method (if it existed) at: " + path);
}

void add_lockout(Context& context, json::ObjectBuilder& body) {
  const FlagSet& flags = context.flags();
  json::ObjectBuilder lockout(context.arena());
  if (flags.given("user-lockout-threshold"))
    lockout.add("lockout_threshold", std::to_string(flags.integer("user-lockout-threshold")));
  if (flags.given("user-lockout-duration"))
    lockout.add("lockout_duration", format_duration(flags.duration_nanos("user-lockout-duration")));
  if (flags.given("user-lockout-counter-reset-duration"))
    lockout.add("lockout_counter_reset_duration",
                format_duration(flags.duration_nanos("user-lockout-counter-reset-duration")));
  if (flags.given("user-lockout-disable"))
    lockout.add("lockout_disable", flags.boolean("user-lockout-disable"));
  if (lockout.size() > 0)
    body.add("user_lockout_config", lockout.build());
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
  if (flags.given("token-type"))
    body.add("token_type", flags.text("token-type"));
  add_lockout(context, body);
  return change_mounts(context,
                       {.method = "POST",
                        .path = "sys/mounts/auth/" + path + "tune",
                        .body = Context::body_of(body.build()),
                        .has_body = true},
                       "Error tuning auth method " + path, "Success! Tuned the auth method at: " + path);
}

Row auth_row(const std::string& path, const json::Value& mount) {
  Row row = mount_row(path, mount);
  row.push_back(std::string(mount.string_or("plugin_version", "")));
  return row;
}

Row detailed_row(const std::string& path, const json::Value& mount) {
  const json::Value* config = member(mount, "config");
  return detailed_mount_row(path, mount,
                            std::string(config == nullptr ? "" : config->string_or("token_type", "")));
}

int list(Context& context) {
  return list_mounts(context,
                     {.endpoint = "sys/auth",
                      .lead = "Error listing enabled authentications",
                      .titles = {"Path", "Type", "Accessor", "Description", "Version"},
                      .detailed_titles = detailed_mount_titles("Token Type"),
                      .printable = printable_mount,
                      .row = auth_row,
                      .detailed_row = detailed_row});
}

int move(Context& context) {
  if (!context.arity(2, 2))
    return 1;
  return move_mount(context, "auth method", "auth/", mount_path(context.args()[0]), mount_path(context.args()[1]));
}

void print_method(Context& context, const LoginMethod& method) {
  const std::string login = "login -method=" + std::string(method.name);
  std::string text = "Usage: {cmd} " + login + " [CONFIG K=V...]\n\n  " + std::string(method.about);
  text += "\n\n      $ {cmd} " + login + (method.example.empty() ? "" : " ") + std::string(method.example);
  text += "\n\nConfiguration:\n";
  for (const std::string& line : split(method.settings, '\n')) {
    const std::size_t colon = line.find(": ");
    text += "\n  " + line.substr(0, colon) + "=<string>\n" + wrap(line.substr(colon + 2), 6) + "\n";
  }
  text.pop_back();
  context.ui().out(context.named(text));
}

// By the method's type, or by the path where one is enabled.
int method_help(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  if (const LoginMethod* method = find_login_method(trim(context.args()[0])); method != nullptr) {
    print_method(context, *method);
    return 0;
  }
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = "sys/auth"});
  if (report(context, reply, "Error listing auth methods"))
    return 2;
  const std::string path = mount_path(context.args()[0]);
  const json::Value* mount = member(Secret::of(reply.json).data, path);
  if (mount == nullptr)
    return context.fail(1, "No auth method available on the server at " + quoted(path));
  const std::string type(mount->string_or("type", ""));
  const LoginMethod* method = find_login_method(type);
  if (method == nullptr)
    return context.fail(2, wrap("No method-specific CLI handler available for auth method " + quoted(type)));
  print_method(context, *method);
  return 0;
}

std::vector<Flag> auth_flags() {
  std::vector<Flag> flags = tunable_flags();
  flags.push_back({.name = "token-type",
                   .usage = "Kind of tokens that logins give: \"service\", \"batch\", \"default-service\" or "
                            "\"default-batch\"."});
  return flags;
}

std::vector<Flag> enable_flags() {
  std::vector<Flag> flags = auth_flags();
  for (Flag flag : std::initializer_list<Flag>{
           {.name = "external-entropy-access",
            .kind = FlagKind::kBool,
            .usage = "Let the method draw randomness from the seal."},
           {.name = "local",
            .kind = FlagKind::kBool,
            .usage = "Keep the method in this cluster; it is not replicated."},
           {.name = "path", .usage = "Where to enable it; at the name of its type if not given."},
           {.name = "plugin-name", .usage = "Name of the plugin, for the type \"plugin\"."},
           {.name = "seal-wrap", .kind = FlagKind::kBool, .usage = "Wrap what is critical in the seal as well."}})
    flags.push_back(std::move(flag));
  return flags;
}

std::vector<Flag> tune_flags() {
  std::vector<Flag> flags = auth_flags();
  for (Flag flag : std::initializer_list<Flag>{
           {.name = "user-lockout-counter-reset-duration",
            .kind = FlagKind::kDuration,
            .usage = "Time after which failed logins are forgotten."},
           {.name = "user-lockout-disable", .kind = FlagKind::kBool, .usage = "Lock nobody out."},
           {.name = "user-lockout-duration", .kind = FlagKind::kDuration, .usage = "How long a user is locked out."},
           {.name = "user-lockout-threshold",
            .kind = FlagKind::kInt,
            .usage = "Failed logins after which a user is locked out."}})
    flags.push_back(std::move(flag));
  return flags;
}

}  // namespace

void add_auth_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "auth",
                      .synopsis = "Enable and disable auth methods",
                      .usage = "<subcommand> [options] [args]",
                      .help = "An auth method lets people and machines log in, and says what their tokens may do. To "
                              "log in, use \"{cmd} login\".\n\n$ {cmd} auth enable userpass"});
  commands.push_back({.name = "auth enable",
                      .synopsis = "Enable an auth method",
                      .usage = "[options] TYPE",
                      .help = "Enables an auth method of TYPE, at the path of that name or at -path.\n\n"
                              "$ {cmd} auth enable -path=people userpass",
                      .flags = {{"Command Options", enable_flags()}},
                      .run = enable});
  commands.push_back({.name = "auth disable",
                      .synopsis = "Disable an auth method",
                      .usage = "[options] PATH",
                      .help = "Disables the auth method at PATH, revokes the tokens that it gave out and deletes "
                              "everything that it kept.",
                      .run = disable});
  commands.push_back({.name = "auth list",
                      .synopsis = "List the auth methods",
                      .usage = "[options]",
                      .help = "Lists what is enabled, and where.",
                      .flags = {{"Command Options",
                                 {{.name = "detailed",
                                   .kind = FlagKind::kBool,
                                   .usage = "Print lifetimes, options and the like as well."}}}},
                      .format = true,
                      .run = list});
  commands.push_back({.name = "auth tune",
                      .synopsis = "Change settings of an auth method",
                      .usage = "[options] PATH",
                      .help = "Changes settings of the auth method at PATH. Those that are not given stay as they "
                              "are.\n\n$ {cmd} auth tune -max-lease-ttl=72h userpass",
                      .flags = {{"Command Options", tune_flags()}},
                      .run = tune});
  commands.push_back({.name = "auth move",
                      .synopsis = "Move an auth method to another path",
                      .usage = "[options] SOURCE DESTINATION",
                      .help = "Moves the auth method at SOURCE with everything that it keeps to DESTINATION. The "
                              "tokens that it gave out are revoked.\n\n$ {cmd} auth move userpass people",
                      .run = move});
  commands.push_back({.name = "auth help",
                      .synopsis = "Print how to log in by an auth method",
                      .usage = "[options] TYPE | PATH",
                      .help = "Prints what \"{cmd} login\" needs for auth methods of TYPE, or for that at PATH.\n\n"
                              "$ {cmd} auth help userpass",
                      .run = method_help});
}

}  // namespace coffer::cli
