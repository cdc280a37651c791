#include <algorithm>

#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/kv_args.h"
#include "cli/kv_mount.h"
#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// Where the settings of the one key stand. 0, or the exit code after what is wrong was printed.
int metadata_target(Context& context, KvTarget& target) {
  if (!context.arity(1, 1))
    return 1;
  std::optional<KvTarget> found = kv_target(context, "metadata");
  if (!found)
    return 2;
  if (!found->v2)
    return context.fail(1, "Metadata not supported on KV Version 1");
  target = *found;
  return 0;
}

json::Value without(Arena& arena, const json::Value& object, std::initializer_list<std::string_view> names) {
  json::ObjectBuilder out(arena, object.size() + 1);
  for (const json::Member& m : object.members()) {
    if (std::find(names.begin(), names.end(), m.key()) == names.end())
      out.add(m.key(), m.value);
  }
  return out.build();
}

// Tables show what people know from Vault; what it does not have is in the other formats, and here once it is in use.
json::Value for_table(Arena& arena, const json::Value& metadata) {
  if (bool_or(metadata, "metadata_cas_required", false))
    return without(arena, metadata, {"versions"});
  return without(arena, metadata, {"versions", "metadata_cas_required", "current_metadata_version"});
}

void show_versions(Context& context, const json::Value& versions) {
  std::vector<const json::Member*> in_order;
  for (const json::Member& m : versions.members())
    in_order.push_back(&m);
  std::sort(in_order.begin(), in_order.end(), [](auto* a, auto* b) {
    return a->key().size() != b->key().size() ? a->key().size() < b->key().size() : a->key() < b->key();
  });
  for (const json::Member* m : in_order) {
    const json::Value version = without(context.arena(), m->value, {"created_by"});
    context.ui().out("");
    context.ui().out(map_banner("Version " + std::string(m->key()), version));
    output_map(context, version);
  }
}

int get(Context& context) {
  KvTarget key;
  if (int code = metadata_target(context, key); code != 0)
    return code;
  Reply reply = key.client->call({.method = "GET", .path = key.full});
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404)
    return context.fail(2, "No value found at " + key.full);
  if (report(context, reply, "Error reading " + key.full))
    return 2;
  Secret secret = Secret::of(reply.json);
  if (secret.wrapped() || !context.ui().is_table())
    return output_secret(context, secret);
  const json::Value* versions = member(secret.data, "versions");
  json::Value rest = for_table(context.arena(), secret.data);
  output_path(context, key.full, "Metadata Path");
  context.ui().out(map_banner("Metadata", rest));
  output_map(context, rest);
  if (versions != nullptr)
    show_versions(context, *versions);
  return 0;
}

// What put and patch send; -1 stands for "not given" where 0 means something.
std::map<std::string, json::Value> settings(Context& context) {
  const FlagSet& flags = context.flags();
  Arena& arena = context.arena();
  std::map<std::string, json::Value> body;
  if (flags.integer("max-versions") >= 0)
    body["max_versions"] = json::Value::number(arena, flags.integer("max-versions"));
  if (flags.given("cas-required"))
    body["cas_required"] = json::Value::boolean(flags.boolean("cas-required"));
  if (flags.duration_nanos("delete-version-after") >= 0)
    body["delete_version_after"] =
        json::Value::string(arena, format_duration(flags.duration_nanos("delete-version-after")));
  std::map<std::string, json::Value> custom;
  for (const auto& [key, value] : flags.map("custom-metadata"))
    custom[key] = json::Value::string(arena, value);
  if (flags.declared("remove-custom-metadata")) {
    for (const std::string& key : flags.list("remove-custom-metadata"))
      custom[key] = json::Value::null();
  }
  if (!custom.empty())
    body["custom_metadata"] = object_of(arena, custom);
  return body;
}

int write(Context& context, bool merge) {
  KvTarget key;
  if (int code = metadata_target(context, key); code != 0)
    return code;
  std::string body = Context::body_of(object_of(context.arena(), settings(context)));
  Reply reply = key.client->call(
      {.method = merge ? "PATCH" : "PUT", .path = key.full, .body = body, .has_body = true, .merge_patch = merge});
  if (report(context, reply, "Error writing data to " + key.full))
    return 2;
  return kv_show_written(context, reply, key.full, false);
}

int remove(Context& context, bool for_good) {
  KvTarget key;
  if (int code = metadata_target(context, key); code != 0)
    return code;
  Call call{.method = "DELETE", .path = key.full};
  if (for_good)
    call.query = {{"destroy", "true"}};
  Reply reply = key.client->call(call);
  if (report(context, reply, "Error deleting " + key.full))
    return 2;
  if (Secret secret = Secret::of(reply.json); secret.wrapped())
    return output_secret(context, secret);
  if (context.ui().is_table())
    context.ui().out("Success! Data deleted (if it existed) at: " + key.full);
  return 0;
}

std::vector<Flag> setting_flags() {
  return {kKvMountFlag,
          {.name = "cas-required",
           .kind = FlagKind::kOptionalBool,
           .usage = "Writes must name the version that they replace."},
          {.name = "custom-metadata",
           .kind = FlagKind::kMap,
           .usage = "Pair to keep with the key; may be given several times."},
          {.name = "delete-version-after",
           .kind = FlagKind::kDuration,
           .usage = "Time after which a version is deleted, as in \"3h25m19s\".",
           .fallback = "-1ns"},
          {.name = "max-versions",
           .kind = FlagKind::kInt,
           .usage = "Number of versions to keep; the store's own setting if not given.",
           .fallback = "-1"}};
}

}  // namespace

void add_kv_metadata_commands(std::vector<Command>& commands) {
  std::vector<Flag> patch_flags = setting_flags();
  patch_flags.push_back({.name = "remove-custom-metadata",
                         .kind = FlagKind::kList,
                         .usage = "Pair to remove, by its key; may be given several times."});
  commands.push_back({.name = "kv metadata",
                      .synopsis = "Work with the settings and versions of keys",
                      .usage = "<subcommand> [options] [args]",
                      .help = "What version 2 of the key-value store keeps of a key besides its data.\n\n$ {cmd} kv "
                              "metadata get -mount=secret app"});
  commands.push_back(
      {.name = "kv metadata get",
       .synopsis = "Print settings and versions of a key",
       .usage = "[options] KEY",
       .help = "Prints the settings of KEY and when each of its versions was made, deleted or destroyed.",
       .flags = {{"Common Options", {kKvMountFlag}}},
       .format = true,
       .run = get});
  commands.push_back({.name = "kv metadata put",
                      .synopsis = "Set the settings of a key",
                      .usage = "[options] KEY",
                      .help = "Sets settings of KEY, which need not have a version yet. Custom metadata is replaced as "
                              "a whole.\n\n$ {cmd} kv metadata put -mount=secret -max-versions=5 app",
                      .flags = {{"Common Options", setting_flags()}},
                      .format = true,
                      .run = [](Context& context) { return write(context, false); }});
  commands.push_back({.name = "kv metadata patch",
                      .synopsis = "Change some settings of a key",
                      .usage = "[options] KEY",
                      .help = "Changes settings of KEY; the others stay, and so do pairs of its custom metadata.\n\n"
                              "$ {cmd} kv metadata patch -mount=secret -custom-metadata=owner=web app",
                      .flags = {{"Common Options", patch_flags}},
                      .format = true,
                      .run = [](Context& context) { return write(context, true); }});
  commands.push_back({.name = "kv metadata delete",
                      .synopsis = "Delete a key with all its versions",
                      .usage = "[options] PATH",
                      .help = "Deletes a key: its settings and all its versions.",
                      .flags = {{"Common Options", {kKvMountFlag}}},
                      .format = true,
                      .run = [](Context& context) { return remove(context, false); }});
  commands.push_back({.name = "kv metadata destroy",
                      .synopsis = "Remove a key for good",
                      .usage = "[options] PATH",
                      .help = "Removes a key, its settings and all its versions, so that nothing can bring them back.",
                      .flags = {{"Common Options", {kKvMountFlag}}},
                      .format = true,
                      .run = [](Context& context) { return remove(context, true); }});
}

}  // namespace coffer::cli
