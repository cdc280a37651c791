#include "cli/mounts.h"

#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {

std::string mount_path(std::string_view typed) { return with_trailing_slash(sanitize_path(typed)); }

int change_mounts(Context& context, const Call& call, std::string_view lead, std::string_view done) {
  Client* client = context.client();
  if (client == nullptr || report(context, client->call(call), lead))
    return 2;
  context.ui().out(done);
  return 0;
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
