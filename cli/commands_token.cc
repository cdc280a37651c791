#include <algorithm>

#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

const Flag kAccessor = {
    .name = "accessor", .kind = FlagKind::kBool, .usage = "The argument is an accessor and not a token."};

std::string got(std::size_t count) { return "got " + std::to_string(count) + ")"; }

std::string one_field(Arena& arena, std::string_view name, const std::string& value) {
  json::ObjectBuilder body(arena);
  return Context::body_of(body.add(name, value).build());
}

int show(Context& context, const Reply& reply, std::string_view lead) {
  if (report(context, reply, lead))
    return 2;
  Secret secret = Secret::of(reply.json);
  const std::string field = context.flags().declared("field") ? context.flags().text("field") : "";
  if (!field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  return output_secret(context, secret);
}

std::string create_body(Context& context) {
  const FlagSet& flags = context.flags();
  json::ObjectBuilder body(context.arena(), 16);
  auto strings = [&](const std::vector<std::string>& list) {
    json::ArrayBuilder out(context.arena());
    for (const std::string& text : list)
      out.add(text);
    return out.build();
  };
  if (!flags.text("id").empty())
    body.add("id", flags.text("id"));
  if (!flags.list("policy").empty())
    body.add("policies", strings(flags.list("policy")));
  if (auto metadata = flags.map("metadata"); !metadata.empty())
    body.add("meta", object_of(context.arena(), metadata));
  body.add("ttl", format_duration(flags.duration_nanos("ttl")));
  body.add("explicit_max_ttl", format_duration(flags.duration_nanos("explicit-max-ttl")));
  body.add("period", format_duration(flags.duration_nanos("period")));
  if (flags.boolean("orphan"))
    body.add("no_parent", true);
  if (flags.boolean("no-default-policy"))
    body.add("no_default_policy", true);
  body.add("display_name", flags.text("display-name"));
  body.add("num_uses", flags.integer("use-limit"));
  body.add("renewable", flags.boolean("renewable"));
  body.add("type", flags.text("type"));
  if (!flags.text("entity-alias").empty())
    body.add("entity_alias", flags.text("entity-alias"));
  return Context::body_of(body.build());
}

int create(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  const std::string& type = context.flags().text("type");
  if (type == "batch" && context.flags().given("renewable") && context.flags().boolean("renewable"))
    return context.fail(1, "-renewable cannot be used with -type=batch: batch tokens are not renewable");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const std::string& role = context.flags().text("role");
  std::string path = role.empty() ? "auth/token/create" : "auth/token/create/" + role;
  return show(context, client->call({.method = "POST", .path = path, .body = create_body(context), .has_body = true}),
              "Error creating token");
}

int lookup(Context& context) {
  const std::vector<std::string>& args = context.args();
  bool accessor = context.flags().boolean("accessor");
  if (accessor && args.empty())
    return context.fail(1, "Not enough arguments with -accessor (expected 1, " + got(0));
  if (accessor && args.size() > 1)
    return context.fail(1, "Too many arguments with -accessor (expected 1, " + got(args.size()));
  if (args.size() > 1)
    return context.fail(1, "Too many arguments (expected 0-1, " + got(args.size()));
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Call call{.method = "GET", .path = "auth/token/lookup-self"};
  if (!args.empty())
    call = {.method = "POST",
            .path = accessor ? "auth/token/lookup-accessor" : "auth/token/lookup",
            .body = one_field(context.arena(), accessor ? "accessor" : "token", std::string(trim(args[0]))),
            .has_body = true};
  return show(context, client->call(call), "Error looking up token");
}

int renew(Context& context) {
  const std::vector<std::string>& args = context.args();
  bool accessor = context.flags().boolean("accessor");
  if (args.size() > 1)
    return context.fail(1, "Too many arguments (expected 1, " + got(args.size()));
  if (accessor && args.empty())
    return context.fail(1, "Not enough arguments with -accessor (expected 1, " + got(0));
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  std::int64_t increment = std::max<std::int64_t>(context.flags().duration_nanos("increment") / kSecondNanos, 0);
  std::string path = "auth/token/renew-self";
  if (accessor)
    body.add("accessor", trim(args[0]));
  body.add("increment", increment);
  if (!args.empty()) {
    path = accessor ? "auth/token/renew-accessor" : "auth/token/renew";
    if (!accessor)
      body.add("token", trim(args[0]));
  }
  return show(context,
              client->call({.method = accessor ? "POST" : "PUT",
                            .path = path,
                            .body = Context::body_of(body.build()),
                            .has_body = true}),
              "Error renewing token");
}

// What is wrong about flags and arguments together, or nothing.
std::string revoke_misuse(const FlagSet& flags) {
  const std::vector<std::string>& args = flags.args();
  bool self = flags.boolean("self");
  bool accessor = flags.boolean("accessor");
  const std::string& mode = flags.text("mode");
  if (self && !args.empty())
    return "Too many arguments with -self (expected 0, " + got(args.size());
  if (!self && args.size() > 1)
    return "Too many arguments (expected 1 or -self, " + got(args.size());
  if (!self && args.empty())
    return "Not enough arguments (expected 1 or -self, " + got(0);
  if (self && accessor)
    return "Cannot use -self with -accessor!";
  if (self && !mode.empty())
    return "Cannot use -self with -mode!";
  if (accessor && (mode == "orphan" || mode == "path"))
    return "Cannot use -accessor with -mode=" + mode + "!";
  if (!mode.empty() && mode != "orphan" && mode != "path")
    return "Invalid mode: " + mode;
  return "";
}

int revoke(Context& context) {
  if (std::string misuse = revoke_misuse(context.flags()); !misuse.empty())
    return context.fail(1, misuse);
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const std::string& mode = context.flags().text("mode");
  Call call{.method = "PUT", .path = "auth/token/revoke-self"};
  if (!context.flags().boolean("self")) {
    std::string target(trim(context.args()[0]));
    if (mode == "path") {
      call.path = "sys/leases/revoke-prefix/" + target;
    } else {
      bool accessor = context.flags().boolean("accessor");
      call.method = accessor ? "POST" : "PUT";
      call.path = accessor           ? "auth/token/revoke-accessor"
                  : mode == "orphan" ? "auth/token/revoke-orphan"
                                     : "auth/token/revoke";
      call.body = one_field(context.arena(), accessor ? "accessor" : "token", target);
      call.has_body = true;
    }
  }
  if (report(context, client->call(call), "Error revoking token"))
    return 2;
  context.ui().out("Success! Revoked token (if it existed)");
  return 0;
}

int capabilities(Context& context) {
  const std::vector<std::string>& args = context.args();
  bool accessor = context.flags().boolean("accessor");
  if (accessor && args.size() != 2)
    return context.fail(1, std::string(args.size() < 2 ? "Not enough" : "Too many") +
                               " arguments with -accessor (expected 2, " + got(args.size()));
  if (args.empty())
    return context.fail(1, "Not enough arguments (expected 1-2, " + got(0));
  if (args.size() > 2)
    return context.fail(1, "Too many arguments (expected 1-2, " + got(args.size()));
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  const std::string& path = args.back();
  if (accessor)
    body.add("accessor", args[0]);
  body.add("path", path);
  if (!accessor)
    body.add("token", args.size() == 2 ? args[0] : client->token());
  std::string endpoint = accessor           ? "sys/capabilities-accessor"
                         : args.size() == 2 ? "sys/capabilities"
                                            : "sys/capabilities-self";
  Reply reply =
      client->call({.method = "POST", .path = endpoint, .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error listing capabilities"))
    return 2;
  Secret secret = Secret::of(reply.json);
  const json::Value* list = member(secret.data.is_null() ? secret.root : secret.data, "capabilities");
  if (list == nullptr)
    list = member(secret.data, path);
  std::vector<std::string> names;
  for (const json::Value& name : list == nullptr ? json::Value::null().elements() : list->elements())
    names.push_back(value_text(name));
  std::sort(names.begin(), names.end());
  if (!context.ui().is_table())
    return output_strings(context, names);
  context.ui().out(join(names, ", "));
  return 0;
}

std::vector<Flag> create_flags() {
  return {
      {.name = "display-name", .usage = "Name that stands with the token in audit lines."},
      {.name = "entity-alias",
       .usage = "Alias whose entity the token belongs to; only with -role, which must allow it."},
      {.name = "explicit-max-ttl",
       .kind = FlagKind::kDuration,
       .usage = "Longest life of the token, whatever its renewals."},
      {.name = "id", .usage = "The token itself, instead of a random one. Needs sudo."},
      {.name = "metadata",
       .kind = FlagKind::kMap,
       .usage = "Pair that stands with the token in audit lines; may be given several times."},
      {.name = "no-default-policy", .kind = FlagKind::kBool, .usage = "Do not attach the policy \"default\"."},
      {.name = "orphan",
       .kind = FlagKind::kBool,
       .usage = "Without a parent, so that it outlives the token in use. Needs sudo."},
      {.name = "period",
       .kind = FlagKind::kDuration,
       .usage = "Each renewal gives so much life again, without end. Needs sudo."},
      {.name = "policy",
       .kind = FlagKind::kList,
       .usage = "Policy to attach; may be given several times. Those of the token in use if not given."},
      {.name = "renewable", .kind = FlagKind::kBool, .usage = "The token can be renewed.", .fallback = "true"},
      {.name = "role", .usage = "Token role to create it by, which may override the other flags."},
      {.name = "ttl",
       .kind = FlagKind::kDuration,
       .usage = "Life of the token until it is renewed, as in \"30s\" or \"5m\"."},
      {.name = "type", .usage = "\"service\" or \"batch\".", .fallback = "service"},
      {.name = "use-limit",
       .kind = FlagKind::kInt,
       .usage = "Number of requests that it is good for. Any number if not given."},
  };
}

}  // namespace

void add_token_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "token",
                      .synopsis = "Make, look at, renew and revoke tokens",
                      .usage = "<subcommand> [options] [args]",
                      .help = "What can be done with tokens.\n\n$ {cmd} token create -policy=default -ttl=1h"});
  commands.push_back({.name = "token create",
                      .synopsis = "Create a token",
                      .usage = "[options]",
                      .help = "Creates a token, a child of the one in use, with the same policies unless others are "
                              "named.\n\n$ {cmd} token create -policy=default -ttl=24h",
                      .flags = {{"Command Options", create_flags()}},
                      .field = true,
                      .format = true,
                      .run = create});
  commands.push_back({.name = "token lookup",
                      .synopsis = "Print what is known of a token",
                      .usage = "[options] [TOKEN | ACCESSOR]",
                      .help = "Prints what the server knows of a token: that in use, if none is given.",
                      .flags = {{"Command Options", {kAccessor}}},
                      .field = true,
                      .format = true,
                      .run = lookup});
  commands.push_back(
      {.name = "token renew",
       .synopsis = "Give a token more time",
       .usage = "[options] [TOKEN]",
       .help = "Renews a token: that in use, if none is given. Tokens are renewable unless created otherwise.",
       .flags = {{"Command Options",
                  {kAccessor,
                   {.name = "increment",
                    .kind = FlagKind::kDuration,
                    .usage = "Time to ask for; the server may give less.",
                    .alias = "i"}}}},
       .format = true,
       .run = renew});
  commands.push_back(
      {.name = "token revoke",
       .synopsis = "Revoke a token and its children",
       .usage = "[options] [TOKEN | ACCESSOR]",
       .help = "Revokes a token, all its children, and the leases of them all.",
       .flags = {{"Command Options",
                  {kAccessor,
                   {.name = "mode",
                    .usage = "\"orphan\" leaves the children alive without a parent; \"path\" revokes all tokens made "
                             "at the path that is given."},
                   {.name = "self", .kind = FlagKind::kBool, .usage = "Revoke the token in use."}}}},
       .run = revoke});
  commands.push_back({.name = "token capabilities",
                      .synopsis = "Print what a token may do at a path",
                      .usage = "[options] [TOKEN] PATH",
                      .help = "Prints what a token, that in use if none is given, may do at PATH.\n\n$ {cmd} token "
                              "capabilities secret/data/app",
                      .flags = {{"Command Options", {kAccessor}}},
                      .format = true,
                      .run = capabilities});
}

}  // namespace coffer::cli
