#include <algorithm>

#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/kv_mount.h"
#include "cli/mounts.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// The options that go with a write; `least` is the smallest -cas that counts as given.
json::Value write_options(Context& context, std::int64_t least) {
  json::ObjectBuilder options(context.arena());
  if (context.flags().integer("cas") >= least)
    options.add("cas", context.flags().integer("cas"));
  return options.build();
}

json::Value versioned(Arena& arena, json::Value data, json::Value options) {
  json::ObjectBuilder body(arena);
  return body.add("data", data).add("options", options).build();
}

// The data behind the key; none at all is right only when something is `removed` instead. Returns 0, or the exit code
// after what is wrong was printed.
int data_of(Context& context, const std::vector<std::string>& removed, std::map<std::string, json::Value>& data) {
  const std::vector<std::string>& args = context.args();
  if (args.empty())
    return context.fail(1, "Not enough arguments (expected >1, got 0)");
  if (args.size() == 1 && removed.empty())
    return context.fail(1, "Must supply data");
  if (context.client() == nullptr)
    return 2;
  auto parsed = parse_data(context.arena(), {args.begin() + 1, args.end()}, context.invocation().in);
  if (!parsed.ok())
    return context.fail(1, "Failed to parse K=V data: " + parsed.status().message());
  data = std::move(*parsed);
  for (const std::string& key : removed)
    data[key] = json::Value::null();
  return 0;
}

// Says which keys of the secret a put leaves out, so that nobody at a terminal loses some unawares. What cannot be read
// is no reason not to write.
void warn_of_lost_keys(Context& context, const KvTarget& key, const std::map<std::string, json::Value>& data) {
  const Reply reply = key.client->call({.method = "GET", .path = key.full, .aside = true});
  const json::Value found = reply.ok() ? Secret::of(reply.json).data : json::Value::null();
  const json::Value* now = key.v2 ? member(found, "data") : &found;
  std::vector<std::string> lost;
  if (now != nullptr && now->is_object())
    for (const json::Member& m : now->members())
      if (!data.contains(std::string(m.key())))
        lost.emplace_back(m.key());
  if (lost.empty())
    return;
  std::sort(lost.begin(), lost.end());
  context.ui().warn("WARNING! Not in the new data, and no longer in the secret: " + join(lost, ", ") +
                    (key.v2 ? ". \"kv patch\" keeps them; -replace says that they are meant to go." : "."));
}

int put(Context& context) {
  std::map<std::string, json::Value> data;
  if (int code = data_of(context, {}, data); code != 0)
    return code;
  std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  json::Value body = sorted(context.arena(), object_of(context.arena(), data));
  if (context.invocation().err_tty && !context.flags().boolean("replace"))
    warn_of_lost_keys(context, *key, data);
  if (key->v2)
    body = versioned(context.arena(), body, write_options(context, 0));
  Reply reply =
      key->client->call({.method = "PUT", .path = key->full, .body = Context::body_of(body), .has_body = true});
  if (report(context, reply, "Error writing data to " + key->full))
    return 2;
  return kv_show_written(context, reply, key->full, true);
}

// Path, metadata and data of a version, as a table.
int show_version(Context& context, const Secret& secret, const KvTarget& key) {
  if (key.v2)
    output_path(context, key.full, "Secret Path");
  const json::Value* metadata = member(secret.data, "metadata");
  if (key.v2 && metadata != nullptr) {
    context.ui().out(map_banner("Metadata", *metadata));
    output_map(context, *metadata);
    context.ui().out("");
  }
  const json::Value* data = key.v2 ? member(secret.data, "data") : &secret.data;
  if (data == nullptr || !data->is_object())
    return 0;
  context.ui().out(map_banner("Data", *data));
  return output_map(context, *data);
}

int get(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  std::vector<std::pair<std::string, std::string>> query;
  if (key->v2 && context.flags().integer("version") > 0)
    query.emplace_back("version", std::to_string(context.flags().integer("version")));
  KvRead read = kv_read(context, *key->client, key->full, query, "Error reading " + key->full);
  if (read.failed)
    return 2;
  if (!read.secret)
    return context.fail(2, "No value found at " + key->full);
  const Secret& secret = *read.secret;
  if (const std::string& field = context.flags().text("field"); !field.empty()) {
    if (!key->v2 || secret.data.is_null())
      return output_raw_field(context, raw_field(context.arena(), secret, field), field);
    const json::Value* data = member(secret.data, "data");
    if (data == nullptr)
      return context.fail(2, "No data found at " + key->full);
    const json::Value* value = member(*data, field);
    return output_raw_field(context, value == nullptr ? std::nullopt : std::optional<json::Value>(*value), field);
  }
  if (secret.wrapped() || !context.ui().is_table())
    return output_secret(context, secret);
  return show_version(context, secret, *key);
}

// The versions of a key that has nothing below it, as names in a list. Nothing when it is no such key.
std::vector<std::string> versions_of(Context& context, Client& client, const std::string& path) {
  Reply reply = client.call({.method = "GET", .path = path, .aside = true});
  std::vector<std::string> names;
  const json::Value* versions = reply.ok() ? member(Secret::of(reply.json).data, "versions") : nullptr;
  for (const json::Member& m : versions == nullptr ? json::Value::null().members() : versions->members())
    names.emplace_back(m.key());
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; });
  if (context.ui().is_table() && !names.empty())
    names.insert(names.begin(), {"Keys", "----"});
  return names;
}

int list(Context& context) {
  if (context.flags().boolean("recursive"))
    return kv_list_tree(context);
  bool by_flag = !context.flags().text("mount").empty();
  if (!context.arity(by_flag ? 0 : 1, 1))
    return 1;
  std::optional<KvTarget> key = kv_target(context, "metadata");
  if (!key)
    return 2;
  Reply reply = key->client->call({.method = "GET", .path = key->full, .query = {{"list", "true"}}});
  bool missing = reply.kind == Reply::Kind::kHttp && reply.status == 404;
  if (!missing && report(context, reply, "Error listing " + key->full))
    return 2;
  Secret secret = Secret::of(reply.json);
  if (secret.wrapped())
    return output_secret(context, secret);
  const json::Value* keys = member(secret.data, "keys");
  if (keys == nullptr && missing && key->v2) {
    if (std::vector<std::string> versions = versions_of(context, *key->client, key->full); !versions.empty())
      return output_strings(context, versions);
  }
  if (keys == nullptr && !context.ui().is_table()) {
    output_data(context, json::Value::object({}));
    return 2;
  }
  if (keys == nullptr)
    return context.fail(2, (secret.data.is_null() ? "No value found at " : "No entries found at ") + key->full);
  return output_list(context, secret);
}

std::string versions_body(Context& context, const std::vector<std::string>& versions) {
  json::ArrayBuilder list(context.arena());
  for (const std::string& version : versions)
    list.add(version);
  json::ObjectBuilder body(context.arena());
  return Context::body_of(body.add("versions", list.build()).build());
}

int remove(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  std::vector<std::string> versions = kv_versions(context.flags().list("versions"));
  Call call{.method = "DELETE", .path = key->full};
  if (key->v2 && !versions.empty())
    call = {.method = "PUT",
            .path = kv_api_path(key->typed, key->mount, "delete"),
            .body = versions_body(context, versions),
            .has_body = true};
  Reply reply = key->client->call(call);
  if (report(context, reply, "Error deleting " + key->full))
    return 2;
  Secret secret = Secret::of(reply.json);
  if (secret.data.size() > 0 || secret.wrapped())
    return kv_show_written(context, reply, key->full, false);
  if (context.ui().is_table())
    context.ui().out("Success! Data deleted (if it existed) at: " + key->full);
  return 0;
}

// undelete and destroy, which differ in name only.
int on_versions(Context& context, const std::string& verb, const std::string& title) {
  if (!context.arity(1, 1))
    return 1;
  std::vector<std::string> versions = kv_versions(context.flags().list("versions"));
  if (versions.empty())
    return context.fail(1, "No versions provided, use the \"-versions\" flag to specify the version to " + verb + ".");
  std::optional<KvTarget> key = kv_target(context, verb);
  if (!key)
    return 2;
  if (!key->v2)
    return context.fail(1, title + " not supported on KV Version 1");
  Reply reply = key->client->call(
      {.method = "PUT", .path = key->full, .body = versions_body(context, versions), .has_body = true});
  if (report(context, reply, "Error writing data to " + key->full))
    return 2;
  return kv_show_written(context, reply, key->full, false);
}

// Reads the version that is there, with its metadata; prints what is wrong otherwise.
struct Existing {
  json::Value data;
  json::Value metadata;
};
std::optional<Existing> existing(Context& context, Client& client, const std::string& path, const std::string& version,
                                 const std::string& verb) {
  std::vector<std::pair<std::string, std::string>> query;
  if (!version.empty())
    query.emplace_back("version", version);
  KvRead read = kv_read(context, client, path, query, "Error doing pre-read at " + path, true);
  if (read.failed)
    return std::nullopt;
  if (!read.secret || read.secret->data.is_null()) {
    context.ui().error("No value found at " + path);
    return std::nullopt;
  }
  const json::Value* metadata = member(read.secret->data, "metadata");
  const json::Value* data = member(read.secret->data, "data");
  if (metadata == nullptr || !metadata->is_object()) {
    context.ui().error("No metadata found at " + path + "; " + verb + " only works on existing data");
    return std::nullopt;
  }
  return Existing{data == nullptr ? json::Value::null() : *data, *metadata};
}

int write_with_cas(Context& context, Client& client, const std::string& path, json::Value data,
                   const json::Value& metadata, bool banner) {
  json::ObjectBuilder options(context.arena());
  const json::Value* version = member(metadata, "version");
  options.add("cas", version == nullptr ? json::Value::null() : *version);
  json::Value body = versioned(context.arena(), sorted(context.arena(), data), options.build());
  Reply reply = client.call({.method = "PUT", .path = path, .body = Context::body_of(body), .has_body = true});
  if (report(context, reply, "Error writing data to " + path))
    return 2;
  return kv_show_written(context, reply, path, banner);
}

int rollback(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  if (!context.flags().given("version"))
    return context.fail(1, "Version flag must be specified");
  if (context.flags().integer("version") <= 0)
    return context.fail(
        1, "Invalid value " + std::to_string(context.flags().integer("version")) + " for the version flag");
  std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  if (!key->v2)
    return context.fail(2, "K/V engine mount must be version 2 for rollback support");
  std::optional<Existing> now = existing(context, *key->client, key->full, "", "rollback");
  if (!now)
    return 2;
  std::optional<Existing> then =
      existing(context, *key->client, key->full, std::to_string(context.flags().integer("version")), "rollback");
  if (!then)
    return 2;
  if (!then->metadata.string_or("deletion_time", "").empty())
    return context.fail(2, "Cannot roll back to a version that has been deleted");
  if (bool_or(then->metadata, "destroyed", false))
    return context.fail(2, "Cannot roll back to a version that has been destroyed");
  if (!then->data.is_object())
    return context.fail(2, "No data found at " + key->full + "; rollback only works on existing data");
  return write_with_cas(context, *key->client, key->full, then->data, now->metadata, false);
}

int patch_by_rewrite(Context& context, Client& client, const std::string& path,
                     const std::map<std::string, json::Value>& changes) {
  std::optional<Existing> now = existing(context, client, path, "", "patch");
  if (!now)
    return 2;
  if (!now->data.is_object())
    return context.fail(2, "No data found at " + path + "; patch only works on existing data");
  std::map<std::string, json::Value> merged;
  for (const json::Member& m : now->data.members())
    merged[std::string(m.key())] = m.value;
  for (const auto& [key, value] : changes) {
    if (value.is_null())
      merged.erase(key);
    else
      merged[key] = value;
  }
  return write_with_cas(context, client, path, object_of(context.arena(), merged), now->metadata, true);
}

int patch_by_merge(Context& context, Client& client, const std::string& path,
                   const std::map<std::string, json::Value>& changes, bool fall_back) {
  json::Value body = versioned(context.arena(), sorted(context.arena(), object_of(context.arena(), changes)),
                               write_options(context, 1));
  Reply reply = client.call(
      {.method = "PATCH", .path = path, .body = Context::body_of(body), .has_body = true, .merge_patch = true});
  bool refused = reply.kind == Reply::Kind::kHttp && (reply.status == 403 || reply.status == 405);
  if (refused && fall_back) {
    if (reply.status == 403)
      context.ui().warn("No HTTP PATCH allowed at " + path +
                        ": reading and writing instead. Add the capability \"patch\" to the policy.");
    return patch_by_rewrite(context, client, path, changes);
  }
  if (report(context, reply, "Error writing data to " + path))
    return 2;
  return kv_show_written(context, reply, path, true);
}

int patch(Context& context) {
  std::map<std::string, json::Value> data;
  if (int code = data_of(context, context.flags().list("remove-data"), data); code != 0)
    return code;
  std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  if (!key->v2)
    return context.fail(2, "K/V engine mount must be version 2 for patch support");
  const std::string& method = context.flags().text("method");
  if (method == "rw")
    return patch_by_rewrite(context, *key->client, key->full, data);
  if (method.empty() || method == "patch")
    return patch_by_merge(context, *key->client, key->full, data, method.empty());
  return context.fail(2, "Unsupported method provided to -method flag: " + method);
}

int enable_versioning(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::string path = mount_path(context.args()[0]);
  std::string body = R"({"options":{"version":"2"},"default_lease_ttl":"","max_lease_ttl":"","force_no_cache":false})";
  return change_mounts(context,
                       {.method = "POST", .path = "sys/mounts/" + path + "tune", .body = body, .has_body = true},
                       "Error tuning secrets engine " + path, "Success! Tuned the secrets engine at: " + path);
}

void add_basic_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "kv",
                      .synopsis = "Work with the key-value store",
                      .usage = "<subcommand> [options] [args]",
                      .help = "Keeps and reads secrets of your own in a key-value store.\n\n$ {cmd} kv put "
                              "-mount=secret app password=s3cr3t\n\n$ {cmd} kv get -mount=secret app"});
  commands.push_back(
      {.name = "kv put",
       .synopsis = "Store a secret",
       .usage = "[options] KEY [DATA]",
       .help = "Stores DATA under KEY, in place of what is there; version 2 of the store makes it a new "
               "version. A value that begins with \"@\" is read from a file, \"-\" from standard input; "
               "a single \"@file\" or \"-\" is a whole JSON object.\n\n"
               "$ {cmd} kv put -mount=secret app user=web password=@pw.txt",
       .flags = {{"Common Options",
                  {kKvMountFlag,
                   {.name = "cas",
                    .kind = FlagKind::kInt,
                    .usage = "Only if this is the number of the current version; 0 only if there is none.",
                    .fallback = "-1"},
                   {.name = "replace",
                    .kind = FlagKind::kBool,
                    .usage = "Keys that are not in DATA are meant to go: do not warn of them at a terminal."}}}},
       .field = true,
       .format = true,
       .run = put});
  commands.push_back({.name = "kv get",
                      .synopsis = "Read a secret",
                      .usage = "[options] KEY",
                      .help = "Prints what is stored under KEY.\n\n$ {cmd} kv get -mount=secret app\n\n$ {cmd} kv get "
                              "-mount=secret -version=1 app",
                      .flags = {{"Common Options",
                                 {kKvMountFlag,
                                  {.name = "version",
                                   .kind = FlagKind::kInt,
                                   .usage = "Number of the version; the newest if not given."}}}},
                      .field = true,
                      .format = true,
                      .run = get});
  commands.push_back({.name = "kv list",
                      .synopsis = "List keys",
                      .usage = "[options] PATH",
                      .help = "Lists the keys right below PATH; those that end in a slash are folders. For a key with "
                              "nothing below it, lists its versions.\n\n$ {cmd} kv list secret/",
                      .flags = {{"Common Options",
                                 {kKvMountFlag,
                                  {.name = "recursive",
                                   .kind = FlagKind::kBool,
                                   .usage = "Lists the keys of all folders below as well.",
                                   .alias = "r"}}}},
                      .format = true,
                      .run = list});
}

void add_version_commands(std::vector<Command>& commands) {
  const Flag versions = {
      .name = "versions", .kind = FlagKind::kList, .usage = "Numbers of the versions, with commas between."};
  commands.push_back({.name = "kv delete",
                      .synopsis = "Delete versions of a secret",
                      .usage = "[options] PATH",
                      .help = "Deletes what is stored under PATH. Version 2 of the store only marks versions deleted, "
                              "the newest or those of -versions, and \"kv undelete\" brings them back.",
                      .flags = {{"Common Options", {kKvMountFlag, versions}}},
                      .field = true,
                      .format = true,
                      .run = remove});
  commands.push_back({.name = "kv undelete",
                      .synopsis = "Bring deleted versions back",
                      .usage = "[options] KEY",
                      .help = "Brings deleted versions of KEY back. For version 2 of the store.\n\n$ {cmd} kv undelete "
                              "-mount=secret -versions=3 app",
                      .flags = {{"Common Options", {kKvMountFlag, versions}}},
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return on_versions(context, "undelete", "Undelete"); }});
  commands.push_back({.name = "kv destroy",
                      .synopsis = "Remove versions for good",
                      .usage = "[options] KEY",
                      .help = "Removes the data of versions of KEY for good. For version 2 of the store.\n\n"
                              "$ {cmd} kv destroy -mount=secret -versions=3 app",
                      .flags = {{"Common Options", {kKvMountFlag, versions}}},
                      .field = true,
                      .format = true,
                      .run = [](Context& context) { return on_versions(context, "destroy", "Destroy"); }});
}

void add_change_commands(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "kv patch",
       .synopsis = "Change some fields of a secret",
       .usage = "[options] KEY [DATA]",
       .help = "Merges DATA into the newest version of KEY as a new version. For version 2 of the "
               "store.\n\n$ {cmd} kv patch -mount=secret app password=n3w",
       .flags =
           {{"Common Options",
             {kKvMountFlag,
              {.name = "cas", .kind = FlagKind::kInt, .usage = "Only if this is the number of the current version."},
              {.name = "method",
               .usage = "\"patch\" makes one request, which needs the capability of that name; \"rw\" reads and "
                        "writes. If not given, the first and, where it is refused, the second."},
              {.name = "remove-data",
               .kind = FlagKind::kList,
               .usage = "Field to remove; may be given several times."}}}},
       .field = true,
       .format = true,
       .run = patch});
  commands.push_back(
      {.name = "kv rollback",
       .synopsis = "Make an older version the newest",
       .usage = "[options] KEY",
       .help = "Stores the data of an older version of KEY as a new one. For version 2 of the store.\n\n"
               "$ {cmd} kv rollback -mount=secret -version=2 app",
       .flags = {{"Common Options",
                  {kKvMountFlag,
                   {.name = "version", .kind = FlagKind::kInt, .usage = "Number of the version to go back to."}}}},
       .format = true,
       .run = rollback});
  commands.push_back(
      {.name = "kv enable-versioning",
       .synopsis = "Turn a store of version 1 into version 2",
       .usage = "[options] PATH",
       .help = "Turns the key-value store at PATH into one that keeps versions.\n\n$ {cmd} kv enable-versioning secret",
       .run = enable_versioning});
}

}  // namespace

void add_kv_commands(std::vector<Command>& commands) {
  add_basic_commands(commands);
  add_version_commands(commands);
  add_change_commands(commands);
}

}  // namespace coffer::cli
