#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kNamespaces = "sys/namespaces";

std::string namespace_path(const std::string& name) { return std::string(kNamespaces) + "/" + sanitize_path(name); }

int show(Context& context, const Reply& reply) {
  Secret secret = Secret::of(reply.json);
  if (const std::string& field = context.flags().text("field"); !field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  return output_secret(context, secret);
}

json::Value metadata_of(Context& context) {
  json::Arena& arena = context.arena();
  std::map<std::string, json::Value> custom;
  for (const auto& [key, value] : context.flags().map("custom-metadata"))
    custom[key] = json::Value::string(arena, value);
  if (context.flags().declared("remove-custom-metadata")) {
    for (const std::string& key : context.flags().list("remove-custom-metadata"))
      custom[key] = json::Value::null();
  }
  return object_of(arena, {{"custom_metadata", object_of(arena, custom)}});
}

int write_namespace(Context& context, bool patch) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Call call{.method = patch ? "PATCH" : "PUT",
            .path = namespace_path(context.args()[0]),
            .body = Context::body_of(metadata_of(context)),
            .has_body = true,
            .merge_patch = patch};
  Reply reply = client->call(call);
  if (patch && reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "Namespace not found");
  if (report(context, reply, patch ? "Error patching namespace" : "Error creating namespace"))
    return 2;
  return show(context, reply);
}

int lookup_namespace(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = namespace_path(context.args()[0])});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "Namespace not found");
  if (report(context, reply, "Error looking up namespace"))
    return 2;
  return show(context, reply);
}

int list_namespaces(Context& context, bool whole_tree) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call(
      {.method = "GET", .path = std::string(kNamespaces), .query = {{whole_tree ? "scan" : "list", "true"}}});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "No namespaces found");
  if (report(context, reply, "Error listing namespaces"))
    return 2;
  Secret secret = Secret::of(reply.json);
  return context.flags().boolean("detailed") ? output_secret(context, secret) : output_list(context, secret);
}

int delete_namespace(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  if (report(context, client->call({.method = "DELETE", .path = namespace_path(context.args()[0])}),
             "Error deleting namespace"))
    return 2;
  context.ui().out("Success! Namespace deleted at: " + with_trailing_slash(sanitize_path(context.args()[0])));
  return 0;
}

std::string lock_path(Context& context, std::string_view verb) {
  std::string path = std::string(kNamespaces) + "/api-lock/" + std::string(verb);
  return context.args().empty() ? path : path + "/" + sanitize_path(context.args()[0]);
}

int lock_namespace(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "PUT", .path = lock_path(context, "lock"), .body = "{}", .has_body = true});
  if (report(context, reply, "Error locking namespace"))
    return 2;
  return show(context, reply);
}

int unlock_namespace(Context& context) {
  if (!context.arity(0, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  body.add("unlock_key", context.flags().text("unlock-key"));
  Reply reply = client->call({.method = "PUT",
                              .path = lock_path(context, "unlock"),
                              .body = Context::body_of(body.build()),
                              .has_body = true});
  return report(context, reply, "Error unlocking namespace") ? 2 : 0;
}

std::vector<FlagGroup> metadata_flags(bool patch) {
  std::vector<Flag> flags = {{.name = "custom-metadata",
                              .kind = FlagKind::kMap,
                              .usage = "Pair to keep with the namespace; may be given several times."}};
  if (patch)
    flags.push_back({.name = "remove-custom-metadata",
                     .kind = FlagKind::kList,
                     .usage = "Pair to remove, by its key; may be given several times."});
  return {{"Command Options", flags}};
}

}  // namespace

void add_namespace_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "namespace",
                      .synopsis = "Work with namespaces",
                      .usage = "<subcommand> [options] [args]",
                      .help = "A namespace is a tenant: it has mounts, policies, tokens and identities of its own. All "
                              "commands work inside the one that -namespace or VAULT_NAMESPACE names.\n\n"
                              "$ {cmd} namespace create team\n\n$ {cmd} secrets list -namespace=team"});
  commands.push_back({.name = "namespace create",
                      .synopsis = "Make a namespace",
                      .usage = "[options] PATH",
                      .help = "Makes the namespace PATH below the current one.\n\n$ {cmd} namespace create team",
                      .flags = metadata_flags(false),
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return write_namespace(context, false); }});
  commands.push_back({.name = "namespace patch",
                      .synopsis = "Change the metadata of a namespace",
                      .usage = "[options] PATH",
                      .help = "Sets and removes pairs of the namespace's metadata; the others stay.",
                      .flags = metadata_flags(true),
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return write_namespace(context, true); }});
  commands.push_back({.name = "namespace lookup",
                      .synopsis = "Show a namespace",
                      .usage = "[options] PATH",
                      .help = "Shows what is known of the namespace PATH.",
                      .field = true,
                      .format = true,
                      .run = lookup_namespace});
  commands.push_back({.name = "namespace list",
                      .synopsis = "List the namespaces below",
                      .usage = "[options]",
                      .help = "Lists the namespaces directly below the current one.",
                      .flags = {{"Command Options",
                                 {{.name = "detailed",
                                   .kind = FlagKind::kBool,
                                   .usage = "Show what is known of each."}}}},
                      .format = true,
                      .run = [](Context& context) { return list_namespaces(context, false); }});
  commands.push_back({.name = "namespace scan",
                      .synopsis = "List all namespaces below",
                      .usage = "[options]",
                      .help = "Lists the namespaces below the current one, whatever their depth.",
                      .flags = {{"Command Options",
                                 {{.name = "detailed",
                                   .kind = FlagKind::kBool,
                                   .usage = "Show what is known of each."}}}},
                      .format = true,
                      .run = [](Context& context) { return list_namespaces(context, true); }});
  commands.push_back({.name = "namespace delete",
                      .synopsis = "Delete a namespace",
                      .usage = "[options] PATH",
                      .help = "Deletes the namespace PATH with all that it holds. One with namespaces below it is not "
                              "deleted.",
                      .run = delete_namespace});
  commands.push_back({.name = "namespace lock",
                      .synopsis = "Close the API of a namespace",
                      .usage = "[options] [PATH]",
                      .help = "Refuses all requests to the namespace and to those below it, until it is unlocked with "
                              "the key that is printed.",
                      .field = true,
                      .format = true,
                      .run = lock_namespace});
  commands.push_back({.name = "namespace unlock",
                      .synopsis = "Open the API of a namespace again",
                      .usage = "[options] [PATH]",
                      .help = "Takes a lock away. Needs the key of the lock, unless the token is the root namespace's "
                              "root token.",
                      .flags = {{"Command Options",
                                 {{.name = "unlock-key", .usage = "The key that the lock printed."}}}},
                      .run = unlock_namespace});
}

}  // namespace coffer::cli
