#include "cli/mounts.h"

#include <chrono>

#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::chrono::seconds kMovePollInterval{1};
constexpr int kMovePollsMax = 3600;

}  // namespace

std::string mount_path(std::string_view typed) { return with_trailing_slash(sanitize_path(typed)); }

int change_mounts(Context& context, const Call& call, std::string_view lead, std::string_view done) {
  Client* client = context.client();
  if (client == nullptr || report(context, client->call(call), lead))
    return 2;
  context.ui().out(done);
  return 0;
}

int move_mount(Context& context, std::string_view kind, std::string_view table, const std::string& from,
               const std::string& to) {
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  json::ObjectBuilder body(context.arena());
  body.add("from", std::string(table) + from).add("to", std::string(table) + to);
  const std::string what = std::string(kind) + " " + from + " to " + to;
  Reply reply = client->call(
      {.method = "POST", .path = "sys/remount", .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error moving " + what))
    return 2;
  const std::string id(Secret::of(reply.json).data.string_or("migration_id", ""));
  const std::string with_id = what + ", with migration ID " + id;
  context.ui().out("Started moving " + with_id);
  for (int i = 0; i < kMovePollsMax; ++i) {
    reply = client->call({.method = "GET", .path = "sys/remount/status/" + id});
    if (report(context, reply, "Error checking the status of moving " + with_id))
      return 2;
    const json::Value* info = member(Secret::of(reply.json).data, "migration_info");
    const std::string_view status = info == nullptr ? "" : info->string_or("status", "");
    if (status == "success") {
      context.ui().out("Success! Finished moving " + with_id);
      return 0;
    }
    if (status == "failure")
      return context.fail(2, "Failure! Error encountered moving " + with_id);
    context.ui().out("Waiting for terminal status in migration of " + with_id);
    context.ports().sleep(kMovePollInterval);
  }
  return context.fail(2, "The move is not finished; ask for its status later: " + with_id);
}

int list_mounts(Context& context, const MountList& kind) {
  if (!context.arity(0, 0))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  Reply reply = client->call({.method = "GET", .path = kind.endpoint});
  if (report(context, reply, kind.lead))
    return 2;
  json::Value mounts = sorted(context.arena(), Secret::of(reply.json).data);
  if (!context.ui().is_table()) {
    json::ObjectBuilder out(context.arena(), mounts.size() + 1);
    for (const json::Member& m : mounts.members())
      out.add(m.key(), kind.printable(context.arena(), m.value));
    return output_data(context, out.build());
  }
  if (mounts.size() == 0 && !kind.none.empty()) {
    context.ui().out(kind.none);
    return 2;
  }
  const bool detailed = context.flags().boolean("detailed");
  std::vector<Row> rows;
  for (const json::Member& m : mounts.members())
    rows.push_back((detailed ? kind.detailed_row : kind.row)(std::string(m.key()), m.value));
  context.ui().out(table(detailed ? kind.detailed_titles : kind.titles, rows));
  return 0;
}

}  // namespace coffer::cli
