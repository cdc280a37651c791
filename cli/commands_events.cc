// events: what changes on a server, as it happens.
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/render.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

int subscribe(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const int out = context.invocation().out;
  Call call{.method = "GET",
            .path = "sys/events/subscribe/" + context.args().front(),
            .query = {{"json", "true"}},
            .on_piece =
                [out](std::string_view event) {
                  write_fd(out, std::string(event) + "\n");
                  return true;
                },
            .stream_time = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::nanoseconds(context.flags().duration_nanos("timeout"))),
            .websocket = true};
  for (const std::string& pattern : context.flags().list("namespaces"))
    call.query.emplace_back("namespaces", pattern);
  if (!context.flags().text("filter").empty())
    call.query.emplace_back("filter", context.flags().text("filter"));
  const Reply reply = client->call(call);
  if (report(context, reply, "Error subscribing to events"))
    return 1;
  if (reply.ended.empty())
    return 0;
  context.ui().error("The subscription has ended: " + reply.ended);
  return 1;
}

}  // namespace

void add_event_commands(std::vector<Command>& commands) {
  const Flag namespaces{.name = "namespaces",
                        .kind = FlagKind::kList,
                        .usage = "Listen to these namespaces below the current one as well; '*' stands for any text. "
                                 "May be given several times."};
  const Flag filter{.name = "filter",
                    .usage = "Only events for which this holds: a condition on event_type, operation, "
                             "source_plugin_mount, data_path and namespace."};
  const Flag timeout{.name = "timeout", .kind = FlagKind::kDuration, .usage = "Stop after this time."};
  commands.push_back({.name = "events",
                      .synopsis = "Listen to what changes on the server",
                      .usage = "<subcommand> [options] [args]",
                      .help = "Listens to events.\n\n$ {cmd} events subscribe 'kv*'"});
  commands.push_back({.name = "events subscribe",
                      .synopsis = "Print events as they happen",
                      .usage = "[options] TYPE",
                      .help = "Prints one JSON object a line for each event of the type, until it is interrupted. '*' "
                              "in TYPE stands for any text.\n\n"
                              "$ {cmd} events subscribe kv-v2/data-write\n"
                              "$ {cmd} events subscribe -filter='data_path == \"secret/data/app\"' '*'",
                      .flags = {{"Command Options", {namespaces, filter, timeout}}},
                      .run = subscribe});
}

}  // namespace coffer::cli
