#include "cli/mount_settings.h"

#include <algorithm>

#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/secret.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// Flags whose values go into the mount's configuration, under the same name with underscores.
constexpr std::string_view kTunables[] = {"audit-non-hmac-request-keys", "audit-non-hmac-response-keys",
                                          "listing-visibility",          "passthrough-request-headers",
                                          "allowed-response-headers",    "plugin-version",
                                          "allowed-managed-keys",        "delegated-auth-accessors",
                                          "identity-token-key"};

std::string with_underscores(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

}  // namespace

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
    if (!flags.declared(name) || !flags.given(name))
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
  if (flags.declared("trim-request-trailing-slashes") && flags.given("trim-request-trailing-slashes"))
    body.add("trim_request_trailing_slashes", flags.boolean("trim-request-trailing-slashes"));
}

std::string ttl_for_tune(std::int64_t nanos) { return nanos == 0 ? "" : nanos < 0 ? "system" : format_duration(nanos); }

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

Row detailed_mount_titles(const std::string& sixth) {
  return {"Path",        "Plugin",    "Accessor",  "Default TTL",     "Max TTL",        sixth,
          "Replication", "Seal Wrap", "External Entropy Access",      "Options",        "Description",
          "UUID",        "Version",   "Running Version",              "Running SHA256", "Deprecation Status"};
}

Row detailed_mount_row(const std::string& path, const json::Value& mount, const std::string& sixth) {
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
          sixth,
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

std::vector<Flag> tunable_flags() {
  return {
      {.name = "allowed-managed-keys",
       .kind = FlagKind::kList,
       .usage = "Managed key that the engine may use; may be given several times."},
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
      {.name = "delegated-auth-accessors",
       .kind = FlagKind::kList,
       .usage = "Accessor of an auth method that the engine may pass requests to; may be given several times."},
      {.name = "description", .usage = "A few words on what it is for."},
      {.name = "identity-token-key", .usage = "Key that signs the identity tokens of the plugin."},
      {.name = "listing-visibility", .usage = "Whether it is listed without a token: \"unauth\" or \"hidden\"."},
      {.name = "max-lease-ttl",
       .kind = FlagKind::kDuration,
       .usage = "Longest life of leases; the server's if not given."},
      {.name = "options", .kind = FlagKind::kMap, .usage = "Option of the engine; may be given several times."},
      {.name = "passthrough-request-headers",
       .kind = FlagKind::kList,
       .usage = "Header of requests that the engine gets to see; may be given several times."},
      {.name = "plugin-version", .usage = "Version of the plugin to run."},
      {.name = "trim-request-trailing-slashes",
       .kind = FlagKind::kOptionalBool,
       .usage = "Whether a slash at the end of a request's path is dropped."},
      {.name = "version", .kind = FlagKind::kInt, .usage = "Version of the engine, for those that have several."},
  };
}

}  // namespace coffer::cli
