#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/render.h"
#include "cli/secret.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

int lookup(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const std::string id(trim(context.args()[0]));
  json::ObjectBuilder body(context.arena());
  body.add("lease_id", id);
  Reply reply = client->call(
      {.method = "PUT", .path = "sys/leases/lookup", .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "error looking up lease id " + id))
    return 2;
  return output_secret(context, Secret::of(reply.json));
}

int renew(Context& context) {
  if (!context.arity(1, 1))
    return 1;
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const std::string id(trim(context.args()[0]));
  json::ObjectBuilder body(context.arena());
  body.add("lease_id", id).add("increment", context.flags().duration_nanos("increment") / 1'000'000'000);
  Reply reply = client->call(
      {.method = "PUT", .path = "sys/leases/renew", .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, "Error renewing " + id))
    return 2;
  return output_secret(context, Secret::of(reply.json));
}

int revoke(Context& context) {
  const FlagSet& flags = context.flags();
  if (!context.arity(1, 1))
    return 1;
  const std::string id(trim(context.args()[0]));
  const bool prefix = flags.boolean("prefix");
  const bool force = flags.boolean("force");
  const bool sync = flags.boolean("sync");
  if (force && !prefix)
    return context.fail(1, "Specifying -force requires also specifying -prefix");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  if (force)
    context.ui().warn("Warning! Forgetting leases by force can leave what they were for behind in the system outside!");
  json::ObjectBuilder body(context.arena());
  if (!prefix)
    body.add("lease_id", id);
  if (!force)
    body.add("sync", sync);
  const std::string path = force    ? "sys/leases/revoke-force/" + id
                           : prefix ? "sys/leases/revoke-prefix/" + id
                                    : std::string("sys/leases/revoke");
  const std::string lead = force    ? "Error force revoking leases with prefix " + id
                           : prefix ? "Error revoking leases with prefix " + id
                                    : "Error revoking lease " + id;
  Reply reply =
      client->call({.method = "PUT", .path = path, .body = Context::body_of(body.build()), .has_body = true});
  if (report(context, reply, lead))
    return 2;
  context.ui().out(force            ? "Success! Force revoked any leases with prefix: " + id
                   : !sync          ? "All revocation operations queued successfully!"
                   : prefix         ? "Success! Revoked any leases with prefix: " + id
                                    : "Success! Revoked lease: " + id);
  return 0;
}

}  // namespace

void add_lease_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "lease",
                      .synopsis = "Look up, renew and revoke leases",
                      .usage = "<subcommand> [options] [args]",
                      .help = "A lease says how long something may be used that a secrets engine gave out. When it "
                              "ends, that is revoked.\n\n$ {cmd} lease revoke -prefix database/creds"});
  commands.push_back({.name = "lease lookup",
                      .synopsis = "Show what is known of a lease",
                      .usage = "[options] ID",
                      .help = "Shows when the lease was issued and when it ends.",
                      .format = true,
                      .run = lookup});
  commands.push_back({.name = "lease renew",
                      .synopsis = "Let a lease last longer",
                      .usage = "[options] ID",
                      .help = "Renews the lease for as long as it was granted for, or for -increment. The engine may "
                              "grant less.",
                      .flags = {{"Command Options",
                                 {{.name = "increment",
                                   .kind = FlagKind::kDuration,
                                   .usage = "How long it shall last from now on.",
                                   .alias = "i"}}}},
                      .format = true,
                      .run = renew});
  commands.push_back({.name = "lease revoke",
                      .synopsis = "End a lease and what it is for",
                      .usage = "[options] ID",
                      .help = "Ends the lease; with -prefix every lease below a path.",
                      .flags = {{"Command Options",
                                 {{.name = "force",
                                   .kind = FlagKind::kBool,
                                   .usage = "With -prefix: forget the leases though what they are for is left.",
                                   .alias = "f"},
                                  {.name = "prefix",
                                   .kind = FlagKind::kBool,
                                   .usage = "Take ID as the beginning of the leases' ids."},
                                  {.name = "sync",
                                   .kind = FlagKind::kBool,
                                   .usage = "Wait until everything is revoked."}}}},
                      .run = revoke});
}

}  // namespace coffer::cli
