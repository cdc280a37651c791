// Looking at what changed in a secret, and changing it in an editor.
#include <algorithm>
#include <limits>
#include <set>

#include "cli/commands.h"
#include "cli/kv_args.h"
#include "cli/kv_mount.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

// One version as it is read; a version that is not there is empty and has number 0.
struct Reading {
  json::Value data = json::Value::object({});
  std::int64_t version = 0;
};

// Nothing after the failure was printed. `must` there is data.
std::optional<Reading> read_version(Context& context, const KvTarget& key, std::int64_t version, bool must) {
  std::vector<std::pair<std::string, std::string>> query;
  if (version > 0)
    query.emplace_back("version", std::to_string(version));
  const KvRead read = kv_read(context, *key.client, key.full, query, "Error reading " + key.full);
  if (read.failed)
    return std::nullopt;
  Reading reading;
  if (read.secret) {
    const json::Value* data = key.v2 ? member(read.secret->data, "data") : &read.secret->data;
    const json::Value* metadata = member(read.secret->data, "metadata");
    if (metadata != nullptr)
      reading.version = number_or(*metadata, "version", 0);
    if (data != nullptr && data->is_object()) {
      reading.data = *data;
      return reading;
    }
  }
  if (must) {
    context.fail(2, "No value found at " + key.full);
    return std::nullopt;
  }
  return reading;
}

std::string text_of(const json::Value* value) {
  if (value == nullptr)
    return "<none>";
  if (value->is_string())
    return std::string(value->as_string());
  return Context::body_of(*value);
}

// Keys that differ, with both values.
struct Change {
  std::string key;
  const json::Value* before;
  const json::Value* after;
};

std::vector<Change> changes_of(Arena& arena, const json::Value& before, const json::Value& after) {
  std::set<std::string> keys;
  for (const json::Value* side : {&before, &after})
    for (const json::Member& m : side->members())
      keys.emplace(m.key());
  std::vector<Change> changes;
  for (const std::string& key : keys) {
    const json::Value* a = before.find(key);
    const json::Value* b = after.find(key);
    if (a == nullptr || b == nullptr || Context::body_of(sorted(arena, *a)) != Context::body_of(sorted(arena, *b)))
      changes.push_back({key, a, b});
  }
  return changes;
}

int diff(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::vector<std::string> given = kv_versions(context.flags().list("versions"));
  std::vector<std::int64_t> numbers;
  for (const std::string& text : given) {
    const json::Value number = json::Value::number_from_text(text);
    const Result<std::int64_t> parsed = number.as_int64();
    if (!parsed.ok() || *parsed <= 0)
      return context.fail(1, "Invalid version: " + text);
    numbers.push_back(*parsed);
  }
  if (numbers.size() != 0 && numbers.size() != 2)
    return context.fail(1, "The \"-versions\" flag takes two versions, as in -versions=1,2.");
  const std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  if (!key->v2)
    return context.fail(2, "K/V engine mount must be version 2 for diff support");
  const std::optional<Reading> after = read_version(context, *key, numbers.empty() ? 0 : numbers[1], numbers.empty());
  if (!after)
    return 2;
  const std::int64_t earlier = numbers.empty() ? after->version - 1 : numbers[0];
  const std::optional<Reading> before =
      earlier <= 0 ? std::optional<Reading>(Reading()) : read_version(context, *key, earlier, false);
  if (!before)
    return 2;
  const std::vector<Change> changes = changes_of(context.arena(), before->data, after->data);
  if (!context.ui().is_table()) {
    json::ObjectBuilder out(context.arena());
    for (const Change& change : changes)
      out.add(change.key, json::ObjectBuilder(context.arena())
                              .add("before", change.before == nullptr ? json::Value::null() : *change.before)
                              .add("after", change.after == nullptr ? json::Value::null() : *change.after)
                              .build());
    return output_data(context, out.build());
  }
  if (changes.empty()) {
    context.ui().out("No differences");
    return 0;
  }
  std::vector<Row> rows;
  for (const Change& change : changes)
    rows.push_back({change.key, text_of(change.before), text_of(change.after)});
  const std::int64_t later = numbers.empty() ? after->version : numbers[1];
  context.ui().out(table({"Key", "Version " + std::to_string(std::max<std::int64_t>(earlier, 0)),
                          "Version " + std::to_string(later)},
                         rows));
  return 0;
}

int edit(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  const std::optional<KvTarget> key = kv_target(context, "data");
  if (!key)
    return 2;
  const std::optional<Reading> now = read_version(context, *key, 0, false);
  if (!now)
    return 2;
  std::string before;
  json::write_pretty(sorted(context.arena(), now->data), before);
  before.push_back('\n');
  const Result<std::string> text = context.ports().edit(context.invocation(), before);
  if (!text.ok())
    return context.fail(2, "Error editing " + key->full + ": " + text.status().message());
  if (*text == before) {
    context.ui().out("No changes");
    return 0;
  }
  json::Limits bounds;
  bounds.strings = std::numeric_limits<std::size_t>::max();
  const Result<json::Value> edited = json::parse_copy(context.arena(), *text, bounds);
  if (!edited.ok() || !edited->is_object())
    return context.fail(2, "Error editing " + key->full + ": it is no JSON object now; nothing was written");
  json::Value body = *edited;
  if (key->v2) {
    const json::Value options = json::ObjectBuilder(context.arena()).add("cas", now->version).build();
    body = json::ObjectBuilder(context.arena()).add("data", body).add("options", options).build();
  }
  const Reply reply =
      key->client->call({.method = "PUT", .path = key->full, .body = Context::body_of(body), .has_body = true});
  if (report(context, reply, "Error writing data to " + key->full))
    return 2;
  return kv_show_written(context, reply, key->full, true);
}

}  // namespace

void add_kv_edit_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "kv diff",
                      .synopsis = "Show what differs between two versions",
                      .usage = "[options] KEY",
                      .help = "Shows the fields that differ between two versions of KEY: those of -versions, or the "
                              "newest and the one before it. For version 2 of the store.\n\n$ {cmd} kv diff "
                              "-versions=1,3 secret/app",
                      .flags = {{"Common Options",
                                 {kKvMountFlag,
                                  {.name = "versions",
                                   .kind = FlagKind::kList,
                                   .usage = "Numbers of the two versions, with a comma between."}}}},
                      .format = true,
                      .run = diff});
  commands.push_back({.name = "kv edit",
                      .synopsis = "Change a secret in an editor",
                      .usage = "[options] KEY",
                      .help = "Opens the data of KEY as JSON in the editor that VAULT_EDITOR, VISUAL or EDITOR names, "
                              "and stores what was saved if nobody wrote the secret meanwhile. The file is private, in "
                              "memory where the system has such a folder, and removed.\n\n$ {cmd} kv edit secret/app",
                      .flags = {{"Common Options", {kKvMountFlag}}},
                      .field = true,
                      .format = true,
                      .run = edit});
}

}  // namespace coffer::cli
