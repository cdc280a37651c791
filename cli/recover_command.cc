// operator raft recover-quorum
#include "base/disk.h"
#include "cli/server_command.h"
#include "server/config.h"
#include "server/recovery.h"

namespace coffer::cli {
namespace {

// What is done, and what it may cost: `done` or to come.
std::string recovery_text(const server::QuorumRecovery& recovery) {
  const std::string id = recovery.node_id;
  std::string out = recovery.done ? "Node " + id + " is the only voter of its cluster now.\n\n"
                                  : "Node " + id + " would become the only voter of its cluster.\n\n";
  out += "Data folder:      " + recovery.folder + "\nMembers so far:   " + std::to_string(recovery.voters) +
         " voters, " + std::to_string(recovery.learners) + " others\nNewest entry:     " +
         std::to_string(recovery.last_index) + "\nApplied up to:    " + std::to_string(recovery.applied_index) +
         "\n\nEverything that this node has is kept. WRITES THAT WERE ACKNOWLEDGED BY OTHER NODES AND NEVER REACHED "
         "THIS ONE ARE LOST.\nOf several nodes that are left, take the one with the newest entry.\n\n";
  if (recovery.done)
    return out + "Start this node and unseal it. Clear the data folders of all other nodes before they start again and "
                 "let them join\nanew: a majority of old ones would go on as a cluster of its own.";
  return out + "Nothing was changed. Make sure that no other node of the cluster runs or will run with its old data, "
               "and repeat\nthe command with -confirm=" + id;
}

int run_recover(Context& ctx) {
  if (!ctx.arity(0, 0))
    return 1;
  std::string folder = ctx.flags().text("path");
  std::string node_id = ctx.flags().text("node-id");
  const std::vector<std::string>& paths = ctx.flags().list("config");
  if (folder.empty() == paths.empty())
    return ctx.fail(1, "Must give the node's configuration by -config, or its data folder by -path");
  if (!paths.empty()) {
    const Result<server::Config> config = server::load_config(paths, environment_of(ctx.invocation()));
    if (!config.ok())
      return ctx.fail(1, config.status().message());
    if (!config->storage || config->storage->kind != server::StorageKind::kRaft)
      return ctx.fail(1, "The configuration's storage is not \"raft\"");
    folder = config->storage->path;
    node_id = node_id.empty() ? config->storage->node_id : node_id;
  }
  const std::string& confirmed = ctx.flags().text("confirm");
  // Looked at first, so that a wrong name changes nothing.
  Result<server::QuorumRecovery> recovery = server::recover_quorum(posix_disk(), folder, node_id, false);
  if (recovery.ok() && !confirmed.empty() && confirmed != recovery->node_id)
    return ctx.fail(1, "-confirm names " + confirmed + ", but this is the data of node " + recovery->node_id);
  if (recovery.ok() && !confirmed.empty())
    recovery = server::recover_quorum(posix_disk(), folder, recovery->node_id, true);
  if (!recovery.ok())
    return ctx.fail(2, "Error recovering: " + recovery.status().message());
  ctx.ui().out(recovery_text(*recovery));
  return recovery->done ? 0 : 1;
}

}  // namespace

Command recover_command() {
  Command command;
  command.name = "operator raft recover-quorum";
  command.synopsis = "Go on with one node when most voters are gone for good";
  command.usage = "[options]";
  command.help =
      "For the day when more than half of a cluster's voters are lost and will not come back. Works on the data folder "
      "of a node that is stopped, and makes it the only voter of what it has. Writes that others acknowledged and this "
      "node never received are lost. All other nodes have to be cleared and joined again.\n\n"
      "Without -confirm nothing is changed: it prints what would be done.\n\n"
      "$ {cmd} operator raft recover-quorum -config=/etc/coffer/server.hcl -confirm=node-a";
  command.flags = {{"Command Options",
                    {{.name = "config",
                      .kind = FlagKind::kList,
                      .usage = "The node's configuration file or folder. May be given several times."},
                     {.name = "path", .kind = FlagKind::kString, .usage = "Its data folder, instead."},
                     {.name = "node-id",
                      .kind = FlagKind::kString,
                      .usage = "Its node_id, when neither configuration nor data folder tells it."},
                     {.name = "confirm",
                      .kind = FlagKind::kString,
                      .usage = "The node's id once more: yes, go on with what this node has."}}}};
  command.http = false;
  command.run = run_recover;
  return command;
}

}  // namespace coffer::cli
