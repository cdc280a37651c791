#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/login_methods.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

using Config = std::map<std::string, std::string>;

int failed_login(Context& context, const std::string& reason) {
  return context.fail(2, "Error authenticating: " + reason);
}

// The token to log in with: given, or asked for on the terminal. Empty after the failure was printed.
std::string token_to_use(Context& context, const Config& config) {
  if (auto given = config.find("token"); given != config.end() && !given->second.empty())
    return given->second;
  if (context.flags().boolean("non-interactive")) {
    failed_login(context, "a token is needed and -non-interactive forbids to ask for it");
    return "";
  }
  Result<std::string> typed = context.ports().read_hidden(
      context.invocation(), [&context] { context.ui().prompt("Token (will be hidden): "); });
  context.ui().prompt("\n");
  if (!typed.ok())
    failed_login(context, "a token can be asked for on a terminal only; give \"-\" as the argument to read it from "
                          "standard input. The reason was: " + typed.status().message());
  else if (typed->empty())
    failed_login(context, "no token was given");
  return typed.ok() ? *typed : "";
}

// The answer that a login would give, made of a token's own look-up.
json::Value auth_of_lookup(Arena& arena, const std::string& token, const json::Value& data) {
  json::ObjectBuilder auth(arena);
  auth.add("client_token", data.string_or("id", token));
  auth.add("accessor", data.string_or("accessor", ""));
  json::ArrayBuilder all(arena);
  const json::Value* own = member(data, "policies");
  const json::Value* identity = member(data, "identity_policies");
  for (const json::Value* list : {own, identity}) {
    for (const json::Value& policy : list == nullptr ? json::Value::null().elements() : list->elements())
      all.add(policy);
  }
  auth.add("policies", all.build());
  auth.add("token_policies", own == nullptr ? json::Value::null() : *own);
  auth.add("identity_policies", identity == nullptr ? json::Value::null() : *identity);
  const json::Value* meta = member(data, "meta");
  auth.add("metadata", meta == nullptr ? json::Value::null() : *meta);
  auth.add("lease_duration", number_or(data, "ttl", 0));
  auth.add("renewable", bool_or(data, "renewable", false));
  json::ObjectBuilder root(arena);
  root.add("auth", auth.build());
  return root.build();
}

std::optional<Secret> login_with_token(Context& context, Client& client, const Config& config) {
  std::string token = token_to_use(context, config);
  if (token.empty())
    return std::nullopt;
  if (token.find_first_of("\r\n") != std::string::npos) {
    failed_login(context, "the token holds a line break");
    return std::nullopt;
  }
  client.set_token(token);
  client.stop_wrapping();
  auto lookup = config.find("lookup");
  if (context.flags().boolean("token-only") || (lookup != config.end() && lookup->second == "false")) {
    json::ObjectBuilder bare(context.arena());
    bare.add("id", token);
    return Secret::of(auth_of_lookup(context.arena(), token, bare.build()));
  }
  Reply reply = client.call({.method = "GET", .path = "auth/token/lookup-self"});
  if (!reply.ok()) {
    failed_login(context, "error looking up token: " + reply.error);
    return std::nullopt;
  }
  return Secret::of(auth_of_lookup(context.arena(), token, Secret::of(reply.json).data));
}

// The password in `config`, or one typed on the terminal. False after the failure was printed.
bool ask_for_password(Context& context, Config& config) {
  if (!config["password"].empty())
    return true;
  if (context.flags().boolean("non-interactive")) {
    failed_login(context, "a password is needed and -non-interactive forbids to ask for it");
    return false;
  }
  Result<std::string> typed = context.ports().read_hidden(
      context.invocation(), [&context] { context.ui().prompt("Password (will be hidden): "); });
  context.ui().prompt("\n");
  if (!typed.ok())
    failed_login(context, "a password can be asked for on a terminal only: " + typed.status().message());
  else
    config["password"] = *typed;
  return typed.ok();
}

// Methods whose login is a write of their parameters; the rest is up to the server.
std::optional<Secret> login_by_write(Context& context, Client& client, const LoginMethod& method, Config config) {
  std::string path = "auth/" + sanitize_path(config["mount"]) + "/login";
  config.erase("mount");
  if (method.username) {
    if (config["username"].empty()) {
      failed_login(context, "'username' must be specified");
      return std::nullopt;
    }
    path += "/" + config["username"];
    config.erase("username");
    if (!ask_for_password(context, config))
      return std::nullopt;
  }
  client.set_token("");
  std::string body = Context::body_of(object_of(context.arena(), config));
  Reply reply = client.call({.method = "PUT", .path = path, .body = body, .has_body = true});
  if (!reply.ok()) {
    failed_login(context, reply.error);
    return std::nullopt;
  }
  return Secret::of(reply.json);
}

void warn_about_variable(Context& context) {
  if (!context.invocation().env_or("VAULT_TOKEN").empty())
    context.ui().warn(wrap("WARNING! The VAULT_TOKEN environment variable is set! Its value goes before the stored "
                           "token; unset it, or change its value, if that is not what you want.") + "\n");
}

int store_token(Context& context, const Secret& secret, const std::string& token) {
  Result<std::unique_ptr<TokenHelper>> helper = context.ports().token_helper(context.invocation());
  if (!helper.ok())
    return context.fail(1, "Error initializing token helper: " + helper.status().message());
  Status stored = (*helper)->store(token);
  if (!stored.ok()) {
    context.ui().error("Error storing token: " + stored.message());
    context.ui().error(wrap("You are authenticated, but the token could not be stored. It is shown below.") + "\n");
    output_secret(context, secret);
    return 2;
  }
  warn_about_variable(context);
  return 0;
}

// A wrapped login is opened, unless the wrapping itself was wanted. Nothing after the failure was printed.
std::optional<Secret> opened(Context& context, Client& client, Secret secret, bool keep_wrapped) {
  for (int depth = 0; depth < 4; ++depth) {
    const json::Value* info = secret.wrap_info();
    if (secret.auth() != nullptr || (info != nullptr && keep_wrapped))
      return secret;
    if (info == nullptr)
      break;
    client.set_token(std::string(info->string_or("token", "")));
    client.stop_wrapping();
    Reply reply = client.call({.method = "PUT", .path = "sys/wrapping/unwrap", .body = "null", .has_body = true});
    if (report(context, reply, "Error extracting token"))
      return std::nullopt;
    secret = Secret::of(reply.json);
  }
  context.ui().error("Error extracting token: no auth or wrapping info in response");
  return std::nullopt;
}

int show_login(Context& context, const Secret& secret, bool no_store, bool token_only) {
  std::string field = token_only ? "token" : context.flags().text("field");
  if (secret.auth() == nullptr && token_only)
    return output_raw_field(context, raw_field(context.arena(), secret, "wrapping_token"), "wrapping_token");
  if (secret.auth() == nullptr)
    return output_secret(context, secret);
  if (!no_store) {
    if (int code = store_token(context, secret, std::string(secret.auth()->string_or("client_token", ""))); code != 0)
      return code;
  } else if (!token_only) {
    context.ui().warn(wrap(context.named("The token was not stored. Set the VAULT_TOKEN environment variable to it, or "
                                         "pass it with each request to {Name}.")) + "\n");
  }
  if (context.flags().boolean("no-print"))
    return 0;
  if (!field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  std::string stored =
      "The token below is stored, and later commands use it: there is no need to run \"{cmd} login\" again.";
  if (context.ui().is_table())
    context.ui().out(wrap(context.named("Success! You are now authenticated. " + (no_store ? "" : stored))) + "\n");
  return output_secret(context, secret);
}

int login(Context& context) {
  bool token_only = context.flags().boolean("token-only");
  bool no_store = context.flags().boolean("no-store") || token_only;
  if (no_store && context.flags().boolean("no-print"))
    return context.fail(1, "-no-store and -no-print cannot be used together");
  std::string method = sanitize_path(context.flags().text("method"));
  if (method.empty())
    method = "token";
  const LoginMethod* kind = find_login_method(method);
  if (kind == nullptr)
    return context.fail(1, wrap(context.named("Unknown auth method: " + method +
                                              ". Use \"{cmd} auth list\" to see what is enabled; some "
                                              "methods can be used over the HTTP API only.")));
  std::vector<std::string> args = context.args();
  if (method == "token" && !args.empty() && args[0].find('=') == std::string::npos)
    args[0] = "token=" + args[0];
  Result<Config> config = parse_text_data(context.arena(), args, context.invocation().in);
  if (!config.ok())
    return context.fail(1, "Error parsing configuration: " + config.status().message());
  for (auto& [key, value] : *config)
    value = key == "token" || key == "password" ? std::string(trim(value)) : value;
  if ((*config)["mount"].empty())
    (*config)["mount"] = context.flags().text("path").empty() ? method : context.flags().text("path");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::optional<Secret> secret = method == "token" ? login_with_token(context, *client, *config)
                                                   : login_by_write(context, *client, *kind, *config);
  if (!secret)
    return 2;
  if (const json::Value* auth = secret->auth(); auth != nullptr && member(*auth, "mfa_requirement") != nullptr) {
    warn_about_variable(context);
    context.ui().warn(wrap("The login needs a second factor: send it to sys/mfa/validate with the request id below.") +
                      "\n");
    return output_secret(context, *secret);
  }
  secret = opened(context, *client, *secret, no_store);
  return secret ? show_login(context, *secret, no_store, token_only) : 2;
}

int print_token(Context& context) {
  Result<std::string> token = context.token();
  if (!token.ok())
    return context.fail(2, token.status().message());
  context.ui().out(*token);
  return 0;
}

}  // namespace

void add_login_commands(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "login",
       .synopsis = "Log in and keep the token",
       .usage = "[options] [AUTH K=V...]",
       .help = "Logs in with a token or by an auth method, and stores the token that comes back for later commands. "
               "Without an argument the token is asked for; with \"-\" it is read from standard input.\n\n"
               "$ {cmd} login hvs.CAESI...\n\n$ {cmd} login -method=userpass username=alice\n\n"
               "With -wrap-ttl the answer is unwrapped, unless -token-only or -no-store asks for the wrapping itself.",
       .flags = {{"Command Options",
                  {{.name = "method",
                    .usage = "Kind of the auth method, which is not the path where it is enabled.",
                    .fallback = "token"},
                   {.name = "no-print", .kind = FlagKind::kBool, .usage = "Print nothing; only store the token."},
                   {.name = "no-store", .kind = FlagKind::kBool, .usage = "Do not store the token; only print it."},
                   {.name = "path", .usage = "Path where the auth method is enabled, if it is not that of its kind."},
                   {.name = "token-only",
                    .kind = FlagKind::kBool,
                    .usage = "Print the token and nothing else, unverified and unstored."}}}},
       .field = true,
       .format = true,
       .run = login});
  commands.push_back({.name = "print",
                      .synopsis = "Print settings in force",
                      .usage = "<subcommand>",
                      .help = "Prints settings that commands would use.",
                      .http = false});
  commands.push_back({.name = "print token",
                      .synopsis = "Print the token in use",
                      .usage = "",
                      .help = "Prints the token that commands would send, by VAULT_TOKEN or the stored one.",
                      .run = print_token});
}

}  // namespace coffer::cli
