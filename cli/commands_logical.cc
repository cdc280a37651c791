#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

using Query = std::vector<std::pair<std::string, std::string>>;

// A 404 may still carry an answer, as that of a deleted version does.
bool is_absent(const Reply& reply) {
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404) {
    const json::Value* data = member(reply.json, "data");
    const json::Value* warnings = member(reply.json, "warnings");
    return (data == nullptr || data->size() == 0) && (warnings == nullptr || warnings->size() == 0);
  }
  return reply.ok() && reply.json.is_null();
}

bool has_answer(const Reply& reply) { return reply.ok() || (reply.kind == Reply::Kind::kHttp && reply.status == 404); }

int read_secret(Context& context) {
  if (context.args().empty()) {
    context.arity(1, 1);
    return 1;
  }
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string path = sanitize_path(context.args()[0]);
  auto data =
      parse_text_data(context.arena(), {context.args().begin() + 1, context.args().end()}, context.invocation().in);
  if (!data.ok())
    return context.fail(1, "Failed to parse K=V data: " + data.status().message());
  Reply reply = client->call({.method = "GET", .path = path, .query = Query(data->begin(), data->end())});
  bool raw = context.ui().format() == "raw";
  if (raw && reply.ok()) {
    context.ui().out(reply.body);
    return 0;
  }
  if (is_absent(reply) && !raw)
    return context.fail(2, "No value found at " + path);
  if (!has_answer(reply) || raw) {
    report(context, reply, (raw ? "Error reading: " : "Error reading ") + path);
    return 2;
  }
  Secret secret = Secret::of(reply.json);
  if (const std::string& field = context.flags().text("field"); !field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  return output_secret(context, secret);
}

int list_secrets(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string path = sanitize_path(context.args()[0]);
  Query query = {{"list", "true"}};
  if (const std::string& after = context.flags().text("after"); !after.empty())
    query.emplace_back("after", after);
  if (context.flags().integer("limit") > 0)
    query.emplace_back("limit", std::to_string(context.flags().integer("limit")));
  Reply reply = client->call({.method = "GET", .path = path, .query = query});
  if (!has_answer(reply)) {
    report(context, reply, "Error listing " + path);
    return 2;
  }
  Secret secret = Secret::of(reply.json);
  const json::Value* keys = member(secret.data, "keys");
  bool has_keys = keys != nullptr && keys->is_array();
  if (secret.wrapped())
    return output_secret(context, secret);
  if (!has_keys && !context.ui().is_table()) {
    output_data(context, json::Value::object({}));
    return 2;
  }
  if (secret.data.is_null() || is_absent(reply))
    return context.fail(2, "No value found at " + path);
  if (!has_keys)
    return context.fail(2, "No entries found at " + path);
  return output_list(context, secret);
}

// The end of a command that wrote: the answer, or the line that it is done.
int show_written(Context& context, const Reply& reply, const std::string& path) {
  if (reply.json.is_null()) {
    if (context.ui().is_table())
      context.ui().out("Success! Data written to: " + path);
    return 0;
  }
  Secret secret = Secret::of(reply.json);
  if (const std::string& field = context.flags().text("field"); !field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  return output_secret(context, secret);
}

int send_data(Context& context, const std::string& method) {
  const std::vector<std::string>& args = context.args();
  bool force = context.flags().boolean("force");
  if (args.empty())
    return context.fail(1, "Not enough arguments (expected 1, got 0)");
  if (args.size() == 1 && !force)
    return context.fail(1, "Must supply data or use -force");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string path = sanitize_path(args[0]);
  auto data = parse_data(context.arena(), {args.begin() + 1, args.end()}, context.invocation().in);
  if (!data.ok())
    return context.fail(1, "Failed to parse K=V data: " + data.status().message());
  std::string body =
      args.size() == 1 ? "null" : Context::body_of(sorted(context.arena(), object_of(context.arena(), *data)));
  Reply reply =
      client->call({.method = method, .path = path, .body = body, .has_body = true, .merge_patch = method == "PATCH"});
  if (report(context, reply, "Error writing data to " + path)) {
    Secret secret = Secret::of(reply.json);
    if (secret.data.size() > 0)
      output_secret(context, secret);
    return 2;
  }
  return show_written(context, reply, path);
}

int delete_data(Context& context) {
  const std::vector<std::string>& args = context.args();
  if (args.empty())
    return context.fail(1, "Not enough arguments (expected at least 1, got 0)");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string path = sanitize_path(args[0]);
  auto data = parse_text_data(context.arena(), {args.begin() + 1, args.end()}, context.invocation().in);
  if (!data.ok())
    return context.fail(1, "Failed to parse K=V data: " + data.status().message());
  Reply reply = client->call({.method = "DELETE", .path = path, .query = Query(data->begin(), data->end())});
  if (report(context, reply, "Error deleting " + path))
    return 2;
  Secret secret = Secret::of(reply.json);
  if (!reply.json.is_null() && (secret.data.size() > 0 || secret.wrapped()))
    return show_written(context, reply, path);
  if (context.ui().is_table())
    context.ui().out("Success! Data deleted (if it existed) at: " + path);
  return 0;
}

int unwrap(Context& context) {
  if (context.args().size() > 1)
    return context.fail(1, "Too many arguments (expected 0-1, got " + std::to_string(context.args().size()) + ")");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  client->stop_wrapping();
  std::string body = "null";
  if (!context.args().empty()) {
    std::string token(trim(context.args()[0]));
    if (client->token().empty())
      client->set_token(token);  // whoever has only the wrapping token may still use it
    body = Context::body_of(object_of(context.arena(), std::map<std::string, std::string>{{"token", token}}));
  }
  Reply reply = client->call({.method = "PUT", .path = "sys/wrapping/unwrap", .body = body, .has_body = true});
  if (report(context, reply, "Error unwrapping"))
    return 2;
  if (reply.json.is_null()) {
    if (context.ui().is_table())
      context.ui().out("Successfully unwrapped. There was no data in the wrapped secret.");
    return 0;
  }
  Secret secret = Secret::of(reply.json);
  if (const std::string& field = context.flags().text("field"); !field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  const json::Value* keys = member(secret.data, "keys");
  if (keys != nullptr && keys->is_array() && secret.data.size() == 1 && context.ui().is_table())
    return output_list(context, secret);
  return output_secret(context, secret);
}

int path_help(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = sanitize_path(context.args()[0]), .query = {{"help", "1"}}});
  if (report(context, reply, "Error retrieving help"))
    return 2;
  if (!context.ui().is_table())
    return output_data(context, sorted(context.arena(), reply.json));
  context.ui().out(reply.json.string_or("help", ""));
  return 0;
}

const Flag kForce = {.name = "force",
                     .kind = FlagKind::kBool,
                     .usage = "Go on without any data, for paths that need none.",
                     .alias = "f"};

}  // namespace

void add_logical_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "read",
                      .synopsis = "Read what is kept at a path",
                      .usage = "[options] PATH [K=V...]",
                      .help = "Reads PATH: a secret, credentials made on the spot, or a setting. Pairs behind the path "
                              "are sent as query parameters.\n\n$ {cmd} read cubbyhole/note",
                      .field = true,
                      .format = true,
                      .raw_format = true,
                      .run = read_secret});
  commands.push_back({.name = "write",
                      .synopsis = "Write data to a path",
                      .usage = "[options] PATH [DATA K=V...]",
                      .help = "Sends data to PATH. What that does is up to what is enabled there. A value that begins "
                              "with \"@\" is read from a file, \"-\" from standard input; a single \"@file\" or \"-\" "
                              "is a whole JSON object.\n\n$ {cmd} write cubbyhole/note text=hello",
                      .flags = {{"Command Options", {kForce}}},
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return send_data(context, "PUT"); }});
  commands.push_back({.name = "patch",
                      .synopsis = "Change parts of what is kept at a path",
                      .usage = "[options] PATH [DATA K=V...]",
                      .help = "Sends data to PATH that is merged into what is there, where the path allows it. Data is "
                              "given as for \"write\".",
                      .flags = {{"Command Options", {kForce}}},
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return send_data(context, "PATCH"); }});
  commands.push_back(
      {.name = "list",
       .synopsis = "List the names below a path",
       .usage = "[options] PATH",
       .help = "Lists the names right below PATH; those that end in a slash are folders.\n\n$ {cmd} list cubbyhole",
       .flags = {{"Command Options",
                  {{.name = "after", .usage = "Begin behind this name, where the path supports it."},
                   {.name = "detailed",
                    .kind = FlagKind::kBool,
                    .usage = "Print what is known of each name as well.",
                    .env = "VAULT_DETAILED"},
                   {.name = "limit",
                    .kind = FlagKind::kInt,
                    .usage = "At most so many names, where the path supports it.",
                    .fallback = "-1"}}}},
       .format = true,
       .run = list_secrets});
  commands.push_back(
      {.name = "delete",
       .synopsis = "Delete what is kept at a path",
       .usage = "[options] PATH [K=V...]",
       .help = "Deletes what is kept at PATH. Deleting what is not there is no error.\n\n$ {cmd} delete cubbyhole/note",
       .field = true,
       .format = true,
       .run = delete_data});
  commands.push_back({.name = "unwrap",
                      .synopsis = "Open a wrapped answer",
                      .usage = "[options] [TOKEN]",
                      .help = "Prints the answer that was wrapped behind TOKEN, or behind the token in use. It works "
                              "once.\n\n$ {cmd} unwrap hvs.CAESI...",
                      .field = true,
                      .format = true,
                      .run = unwrap});
  commands.push_back({.name = "path-help",
                      .synopsis = "Print the server's help for a path",
                      .usage = "[options] PATH",
                      .help = "Prints what the server says about PATH. Where something is enabled it lists the paths "
                              "below.\n\n$ {cmd} path-help secret/",
                      .format = true,
                      .run = path_help});
}

}  // namespace coffer::cli
