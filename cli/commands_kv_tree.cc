// Commands on many keys at once: scan, search, move and copy.
#include "cli/commands.h"
#include "cli/kv_mount.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

int show_names(Context& context, const std::vector<std::string>& names) {
  json::ArrayBuilder keys(context.arena());
  for (const std::string& name : names)
    keys.add(name);
  if (!context.ui().is_table())
    return output_data(context, keys.build());
  Secret secret;
  secret.data = json::ObjectBuilder(context.arena()).add("keys", keys.build()).build();
  return output_list(context, secret);
}

// Every page of one search, whole paths.
bool search_pages(Context& context, Client& client, const std::string& path, const std::string& prefix,
                  const std::string& text, std::string after, std::vector<std::string>& names) {
  do {
    Call call{.method = "GET", .path = path, .query = {{"q", text}}};
    if (!after.empty())
      call.query.emplace_back("after", after);
    const Reply reply = client.call(call);
    if (report(context, reply, "Error searching " + path))
      return false;
    const json::Value data = Secret::of(reply.json).data;
    if (const json::Value* keys = member(data, "keys"))
      for (const json::Value& key : keys->elements())
        names.push_back(prefix + value_text(key));
    after = data.string_or("after", "");
  } while (!after.empty());
  return true;
}

// The first page of every mount, then what is left of those that are large.
bool search_all(Context& context, Client& client, const std::string& text, std::vector<std::string>& names) {
  const Reply reply = client.call({.method = "GET", .path = "sys/search", .query = {{"q", text}}});
  if (report(context, reply, "Error searching"))
    return false;
  const json::Value data = Secret::of(reply.json).data;
  if (const json::Value* keys = member(data, "keys"))
    for (const json::Value& key : keys->elements())
      names.push_back(value_text(key));
  const json::Value* unfinished = member(data, "after");
  for (const json::Member& m : unfinished == nullptr ? json::Value::null().members() : unfinished->members()) {
    const std::string mount(m.key());
    if (!search_pages(context, client, mount + "search", mount, text, value_text(m.value), names))
      return false;
  }
  return true;
}

int search(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const std::string& text = context.args()[0];
  const std::string mount = with_trailing_slash(sanitize_path(context.flags().text("mount")));
  std::vector<std::string> names;
  const bool found = mount.empty() ? search_all(context, *client, text, names)
                                   : search_pages(context, *client, mount + "search", mount, text, "", names);
  if (!found)
    return 2;
  if (names.empty() && context.ui().is_table())
    return context.fail(2, "No secrets found");
  const int code = show_names(context, names);
  return names.empty() ? 2 : code;
}

struct Verb {
  std::string name;   // of the API path
  std::string noun;
  std::string done;
};
const Verb kMove = {"move", "move", "Moved"};
const Verb kCopy = {"copy", "copy", "Copied"};

// One secret, by the names below their mounts.
bool transfer_one(Context& context, const KvTarget& from, const KvTarget& to, const std::string& source,
                  const std::string& target, const Verb& verb) {
  json::ObjectBuilder body(context.arena());
  body.add("to", target);
  if (from.mount != to.mount)
    body.add("mount", to.mount);
  if (context.flags().boolean("overwrite"))
    body.add("overwrite", true);
  const std::string path = kv_api_path(join_path({from.mount, source}), from.mount, verb.name);
  const Reply reply =
      from.client->call({.method = "PUT", .path = path, .body = Context::body_of(body.build()), .has_body = true});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404 && reply.errors.empty()) {
    context.fail(2, "No value found at " + kv_api_path(join_path({from.mount, source}), from.mount, "data"));
    return false;
  }
  if (report(context, reply, "Error writing data to " + path))
    return false;
  if (context.ui().is_table())
    context.ui().out("Success! " + verb.done + " " + join_path({from.mount, source}) + " to: " +
                     join_path({to.mount, target}));
  return true;
}

int transfer(Context& context, const Verb& verb) {
  if (!context.arity(2, 2))
    return 1;
  const std::optional<KvTarget> from = kv_target(context, "metadata", 0);
  const std::optional<KvTarget> to = from ? kv_target(context, "metadata", 1) : std::nullopt;
  if (!from || !to)
    return 2;
  if (!from->v2 || !to->v2)
    return context.fail(2, "K/V engine mount must be version 2 for " + verb.noun + " support");
  if (!context.flags().boolean("recursive")) {
    // Into a folder under the same name, as files go.
    const bool folder = context.args()[1].ends_with('/') || to->rest.empty();
    const std::string name = from->rest.substr(from->rest.rfind('/') + 1);
    return transfer_one(context, *from, *to, from->rest, folder ? join_path({to->rest, name}) : to->rest, verb) ? 0 : 2;
  }
  const auto names = kv_tree(context, *from, "Error listing " + from->full);
  if (!names)
    return 2;
  if (names->empty())
    return context.fail(2, "No value found at " + from->full);
  if (to->mount == from->mount && (to->rest + "/").starts_with(from->rest.empty() ? "" : from->rest + "/"))
    return context.fail(1, "A folder cannot go into itself");
  for (const std::string& name : *names)
    if (!transfer_one(context, *from, *to, join_path({from->rest, name}), join_path({to->rest, name}), verb))
      return 2;
  return 0;
}

Command transfer_command(const Verb& verb, std::string_view name, std::string_view synopsis) {
  return {.name = "kv " + std::string(name),
          .synopsis = std::string(synopsis),
          .usage = "[options] FROM TO",
          .help = "The secret goes with all its versions and its metadata, at once or not at all, and its value never "
                  "leaves the server. FROM and TO may be in different stores. The token must be allowed to read what "
                  "goes, to write where it goes" +
                  std::string(&verb == &kMove ? ", and to delete the metadata of what it moves" : "") +
                  ". With -r, what stands below FROM goes below TO, one secret after the other.\n\n$ {cmd} kv " +
                  std::string(name) + " secret/app/db secret/team/db",
          .flags = {{"Common Options",
                     {kKvMountFlag,
                      {.name = "overwrite",
                       .kind = FlagKind::kBool,
                       .usage = "Replace a secret that stands there already, with all its versions."},
                      {.name = "recursive",
                       .kind = FlagKind::kBool,
                       .usage = "FROM and TO are folders.",
                       .alias = "r"}}}},
          .format = true,
          .run = [&verb](Context& context) { return transfer(context, verb); }};
}

}  // namespace

int kv_list_tree(Context& context) {
  const bool by_flag = !context.flags().text("mount").empty();
  if (!context.arity(by_flag ? 0 : 1, 1))
    return 1;
  const std::optional<KvTarget> folder = kv_target(context, "metadata");
  if (!folder)
    return 2;
  const auto names = kv_tree(context, *folder, "Error listing " + folder->full);
  if (!names)
    return 2;
  if (names->empty() && context.ui().is_table())
    return context.fail(2, "No entries found at " + folder->full);
  if (names->empty()) {
    output_data(context, json::Value::object({}));
    return 2;
  }
  return show_names(context, *names);
}

void add_kv_tree_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "kv scan",
                      .synopsis = "List keys of a folder and of all folders below",
                      .usage = "[options] PATH",
                      .help = "Lists every key below PATH. The capability \"scan\" makes it one request; without it "
                              "each folder is listed.\n\n$ {cmd} kv scan secret/app/",
                      .flags = {{"Common Options", {kKvMountFlag}}},
                      .format = true,
                      .run = kv_list_tree});
  commands.push_back({.name = "kv search",
                      .synopsis = "Find keys by their name or custom metadata",
                      .usage = "[options] TEXT",
                      .help = "Finds the keys whose path, or whose custom metadata, contains TEXT, in upper or lower "
                              "case. Values of secrets are not looked at. For version 2 of the store.\n\n"
                              "$ {cmd} kv search -mount=secret database",
                      .flags = {{"Common Options",
                                 {{.name = "mount", .usage = "Path of the store to look in; all if not given."}}}},
                      .format = true,
                      .run = search});
  commands.push_back(transfer_command(kMove, "mv", "Move a secret, or a folder of them"));
  commands.push_back(transfer_command(kCopy, "cp", "Copy a secret, or a folder of them"));
}

}  // namespace coffer::cli
