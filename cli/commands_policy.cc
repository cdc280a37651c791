#include <fcntl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/hcl_format.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kPolicies = "sys/policies/acl";

std::string policy_path(const std::string& name) { return std::string(kPolicies) + "/" + name; }

std::string policy_name(const std::string& arg) { return lower(trim(arg)); }

int write_policy(Context& context) {
  if (!context.arity(2, 2))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string given(trim(context.args()[0]));
  std::string name = lower(given);
  std::string file(trim(context.args()[1]));
  Result<std::string> text = file == "-" ? read_descriptor(context.invocation().in) : read_file(file);
  if (!text.ok())
    return context.fail(2, (text.code() == Code::kInvalid ? "Error opening policy file: " : "Error reading policy: ") +
                               text.status().message());
  if (name != given)
    context.ui().warn("Policy name was converted from " + quoted(given) + " to " + quoted(name));
  json::ObjectBuilder body(context.arena());
  body.add("policy", *text);
  Reply reply = client->call(
      {.method = "PUT", .path = policy_path(name), .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error uploading policy"))
    return 2;
  context.ui().out("Success! Uploaded policy: " + name);
  return 0;
}

int read_policy(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string name = policy_name(context.args()[0]);
  Reply reply = client->call({.method = "GET", .path = policy_path(name)});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "No policy named: " + name);
  if (report(context, reply, "Error reading policy named " + name))
    return 2;
  std::string_view text = Secret::of(reply.json).data.string_or("policy", "");
  if (context.ui().is_table()) {
    context.ui().out(trim(text));
    return 0;
  }
  json::ObjectBuilder out(context.arena());
  return output_data(context, out.add("policy", text).build());
}

int list_policies(Context& context) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = std::string(kPolicies), .query = {{"list", "true"}}});
  if (report(context, reply, "Error listing policies"))
    return 2;
  std::vector<std::string> names;
  const json::Value* keys = member(Secret::of(reply.json).data, "keys");
  for (const json::Value& key : keys == nullptr ? json::Value::null().elements() : keys->elements())
    names.push_back(value_text(key));
  return output_strings(context, names);
}

int delete_policy(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  std::string name = policy_name(context.args()[0]);
  if (report(context, client->call({.method = "DELETE", .path = policy_path(name)}), "Error deleting " + name))
    return 2;
  context.ui().out("Success! Deleted policy: " + name);
  return 0;
}

int format_policy(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  std::string path(trim(context.args()[0]));
  if (path.starts_with("~/"))
    path = context.invocation().env_or("HOME") + path.substr(1);
  Result<std::string> text = read_file(path);
  if (!text.ok())
    return context.fail(1, "Error reading source file: " + text.status().message());
  Result<std::string> formatted = format_hcl(*text);
  if (!formatted.ok())
    return context.fail(1, "Failed to parse policy: " + path + ": " + formatted.status().message());
  int fd = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0)
    return context.fail(1, "Error writing result: cannot write " + path);
  write_fd(fd, *formatted);
  ::close(fd);
  context.ui().out("Success! Formatted policy: " + path);
  return 0;
}

// Exit code 0 when it is allowed, 2 when it is not.
int test_policy(Context& context) {
  if (!context.arity(1, 2))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  body.add("path", trim(context.args()[0])).add("operation", context.args().size() == 2 ? context.args()[1] : "read");
  const std::vector<std::string> policies = context.flags().list("policy");
  if (!policies.empty()) {
    json::ArrayBuilder names(context.arena(), policies.size());
    for (const std::string& name : policies)
      names.add(policy_name(name));
    body.add("policies", names.build());
  }
  if (const std::string accessor = context.flags().text("accessor"); !accessor.empty())
    body.add("accessor", accessor);
  Reply reply = client->call({.method = "POST",
                              .path = "sys/policies/explain",
                              .body = Context::body_of(body.build()),
                              .has_body = true});
  if (report(context, reply, "Error testing policies"))
    return 2;
  const json::Value data = Secret::of(reply.json).data;
  const json::Value* allowed = member(data, "allowed");
  const bool yes = allowed != nullptr && allowed->is_bool() && allowed->as_bool();
  if (!context.ui().is_table()) {
    const int code = output_data(context, data);
    return code != 0 ? code : yes ? 0 : 2;
  }
  context.ui().out(std::string(yes ? "allowed: " : "denied: ") + std::string(data.string_or("explanation", "")));
  return yes ? 0 : 2;
}

}  // namespace

void add_policy_commands(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "policy",
       .synopsis = "Work with policies",
       .usage = "<subcommand> [options] [args]",
       .help = "Policies say which token may do what at which path.\n\n$ {cmd} policy write team-read team-read.hcl"});
  commands.push_back({.name = "policy write",
                      .synopsis = "Store a policy",
                      .usage = "[options] NAME PATH",
                      .help = "Stores the policy in the file PATH, or from standard input for \"-\", under NAME. One "
                              "that is there already is replaced.\n\n$ {cmd} policy write team-read team-read.hcl",
                      .run = write_policy});
  commands.push_back({.name = "policy read",
                      .synopsis = "Print a policy",
                      .usage = "[options] NAME",
                      .help = "Prints the policy NAME as it was written.",
                      .format = true,
                      .run = read_policy});
  commands.push_back({.name = "policy list",
                      .synopsis = "List the policies",
                      .usage = "[options]",
                      .help = "Prints the names of all policies.",
                      .format = true,
                      .run = list_policies});
  commands.push_back({.name = "policy delete",
                      .synopsis = "Delete a policy",
                      .usage = "[options] NAME",
                      .help = "Deletes the policy NAME. Tokens that it is attached to lose at once what it allowed. "
                              "\"default\" and \"root\" cannot be deleted.",
                      .run = delete_policy});
  commands.push_back({.name = "policy test",
                      .synopsis = "Ask which rule decides about a path",
                      .usage = "[options] PATH [OPERATION]",
                      .help = "Tells whether OPERATION (a capability; read if none is given) is allowed at PATH, by "
                              "which rule, and where that rule stands. Nothing is done. It is asked for the token in "
                              "use, or for policies or another token by the flags. The exit code is 0 when it is "
                              "allowed and 2 when it is not.\n\n$ {cmd} policy test -policy=team-read "
                              "secret/data/app update",
                      .flags = {{"Command Options",
                                 {{.name = "accessor", .usage = "Ask for the token of this accessor."},
                                  {.name = "policy",
                                   .kind = FlagKind::kList,
                                   .usage = "Ask for this policy; may be given several times."}}}},
                      .format = true,
                      .run = test_policy});
  commands.push_back({.name = "policy fmt",
                      .synopsis = "Format a policy file",
                      .usage = "[options] PATH",
                      .help = "Rewrites the file PATH in the usual layout. Nothing is sent to a server.",
                      .http = false,
                      .run = format_policy});
}

}  // namespace coffer::cli
