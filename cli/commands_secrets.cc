#include <algorithm>

#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/mounts.h"
#include "cli/secret.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// Flags whose values go into the mount's configuration, under the same name with underscores.
constexpr std::string_view kTunables[] = {"audit-non-hmac-request-keys", "audit-non-hmac-response-keys",
                                          "listing-visibility",          "passthrough-request-headers",
                                          "allowed-response-headers",    "plugin-version"};

std::string with_underscores(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

json::Value options_of(Context& context) {
  std::map<std::string, std::string> options = context.flags().map("options");
  if (context.flags().integer("version") > 0)
    options["version"] = std::to_string(context.flags().integer("version"));
  if (context.flags().declared("cas-required") && context.flags().given("cas-required"))
    options["cas_required"] = context.flags().boolean("cas-required") ? "true" : "false";
  return options.empty() ? json::Value::null() : object_of(context.arena(), options);
}

void add_tunables(Context& context, json::ObjectBuilder& body) {
  const FlagSet& flags = context.flags();
  for (std::string_view name : kTunables) {
    if (!flags.given(name))
      continue;
    if (flags.list(name).empty()) {
      body.add(with_underscores(name), flags.text(name));
      continue;
    }
    json::ArrayBuilder list(context.arena());
    for (const std::string& text : flags.list(name))
      list.add(text);
    body.add(with_underscores(name), list.build());
  }
}

// "" leaves a setting alone, "system" takes the server's.
std::string ttl_for_tune(std::int64_t nanos) { return nanos == 0 ? "" : nanos < 0 ? "system" : format_duration(nanos); }

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

json::Value printable_mount(Arena& arena, const json::Value& mount) {
  json::ObjectBuilder out(arena, 16);
  for (const json::Member& m : picked(arena, mount, {"uuid", "type", "description", "accessor"}).members())
    out.add(m.key(), m.value);
  const json::Value* config = member(mount, "config");
  out.add("config", picked(arena, config == nullptr ? json::Value::null() : *config,
                           {"default_lease_ttl", "max_lease_ttl", "force_no_cache", "audit_non_hmac_request_keys?",
                            "audit_non_hmac_response_keys?", "listing_visibility?", "passthrough_request_headers?",
                            "allowed_response_headers?", "token_type?", "allowed_managed_keys?", "user_lockout_config?",
                            "delegated_auth_accessors?", "identity_token_key?", "trim_request_trailing_slashes?"}));
  for (const json::Member& m : picked(arena, mount,
                                      {"options", "local", "seal_wrap", "external_entropy_access", "plugin_version=",
                                       "running_plugin_version=", "running_sha256=", "deprecation_status="})
                                   .members())
    out.add(m.key(), m.value);
  return out.build();
}

Row detailed_row(const std::string& path, const json::Value& mount) {
  auto text = [&](std::string_view key) { return std::string(mount.string_or(key, "")); };
  auto flag = [](const json::Value& object, std::string_view key) {
    return std::string(bool_or(object, key, false) ? "true" : "false");
  };
  const json::Value* found = member(mount, "config");
  json::Value config = found == nullptr ? json::Value::null() : *found;
  std::string type = text("type");
  auto ttl = [&](std::string_view key) {
    std::int64_t seconds = number_or(config, key, 0);
    bool none = type == "system" || type == "cubbyhole";
    return none ? std::string() : seconds != 0 ? std::to_string(seconds) : std::string("system");
  };
  const json::Value* options = member(mount, "options");
  return {path,
          type,
          text("accessor"),
          ttl("default_lease_ttl"),
          ttl("max_lease_ttl"),
          flag(config, "force_no_cache"),
          bool_or(mount, "local", false) ? "local" : "replicated",
          flag(mount, "seal_wrap"),
          flag(mount, "external_entropy_access"),
          options == nullptr ? "map[]" : value_text(*options),
          text("description"),
          text("uuid"),
          text("plugin_version"),
          text("running_plugin_version"),
          text("running_sha256"),
          text("deprecation_status")};
}

Row mount_row(const std::string& path, const json::Value& mount) {
  auto text = [&](std::string_view key) { return std::string(mount.string_or(key, "")); };
  return {path, text("type"), text("accessor"), text("description")};
}

int list(Context& context) {
  return list_mounts(context,
                     {.endpoint = "sys/mounts",
                      .lead = "Error listing secrets engines",
                      .titles = {"Path", "Type", "Accessor", "Description"},
                      .detailed_titles = {"Path", "Plugin", "Accessor", "Default TTL", "Max TTL", "Force No Cache",
                                          "Replication", "Seal Wrap", "External Entropy Access", "Options",
                                          "Description", "UUID", "Version", "Running Version", "Running SHA256",
                                          "Deprecation Status"},
                      .printable = printable_mount,
                      .row = mount_row,
                      .detailed_row = detailed_row});
}

std::vector<Flag> tunable_flags() {
  return {
      {.name = "allowed-response-headers",
       .kind = FlagKind::kList,
       .usage = "Header that the engine may set in answers; may be given several times."},
      {.name = "audit-non-hmac-request-keys",
       .kind = FlagKind::kList,
       .usage = "Key of requests whose value audit lines show as it is; may be given several times."},
      {.name = "audit-non-hmac-response-keys",
       .kind = FlagKind::kList,
       .usage = "Key of answers whose value audit lines show as it is; may be given several times."},
      {.name = "default-lease-ttl",
       .kind = FlagKind::kDuration,
       .usage = "Life of leases that ask for none; the server's if not given."},
      {.name = "description", .usage = "A few words on what it is for."},
      {.name = "listing-visibility", .usage = "Whether it is listed without a token: \"unauth\" or \"hidden\"."},
      {.name = "max-lease-ttl",
       .kind = FlagKind::kDuration,
       .usage = "Longest life of leases; the server's if not given."},
      {.name = "options", .kind = FlagKind::kMap, .usage = "Option of the engine; may be given several times."},
      {.name = "passthrough-request-headers",
       .kind = FlagKind::kList,
       .usage = "Header of requests that the engine gets to see; may be given several times."},
      {.name = "plugin-version", .usage = "Version of the plugin to run."},
      {.name = "version", .kind = FlagKind::kInt, .usage = "Version of the engine, for those that have several."},
  };
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
  commands.push_back({.name = "secrets tune",
                      .synopsis = "Change settings of a secrets engine",
                      .usage = "[options] PATH",
                      .help = "Changes settings of the secrets engine at PATH. Those that are not given stay as they "
                              "are.\n\n$ {cmd} secrets tune -max-lease-ttl=72h team",
                      .flags = {{"Command Options", tune_flags}},
                      .run = tune});
}

}  // namespace coffer::cli
