// operator raft snapshot save, restore. Inspecting one is the binary's (server_command.h), which knows the format.
#include <sys/stat.h>

#include <cerrno>

#include "base/error_text.h"
#include "cli/commands.h"
#include "cli/private_file.h"
#include "cli/render.h"

namespace coffer::cli {
namespace {

int save(Context& context) {
  if (const std::size_t given = context.args().size(); given != 1)
    return context.fail(1, "Incorrect arguments (expected 1, got " + std::to_string(given) + ")");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  constexpr std::string_view kLead = "Error taking the snapshot: ";
  std::unique_ptr<NewFile> file;
  Status kept;
  // Made with the first piece: what the server refuses leaves no trace.
  const auto keep = [&](std::string_view piece) {
    if (file == nullptr) {
      Result<std::unique_ptr<NewFile>> made = NewFile::begin(context.args()[0]);
      kept = made.status();
      if (!kept.ok())
        return false;
      file = std::move(made).value();
    }
    kept = file->write(piece);
    return kept.ok();
  };
  const Reply reply =
      client->call({.method = "GET", .path = "sys/storage/raft/snapshot", .on_piece = keep, .whole = true});
  if (reply.kind == Reply::Kind::kPrinted)
    return report(context, reply, "") ? 2 : 0;
  if (!kept.ok())
    return context.fail(2, std::string(kLead) + kept.message());
  if (report(context, reply, kLead.substr(0, kLead.size() - 2)))
    return 2;
  if (file == nullptr)
    return context.fail(2, std::string(kLead) + "the answer holds no snapshot");
  const Status finished = file->finish();
  return finished.ok() ? 0 : context.fail(2, std::string(kLead) + finished.message());
}

int restore(Context& context) {
  if (const std::size_t given = context.args().size(); given != 1)
    return context.fail(1, "Incorrect arguments (expected 1, got " + std::to_string(given) + ")");
  const std::string& path = context.args()[0];
  struct stat about {};
  const bool there = ::stat(path.c_str(), &about) == 0;
  if (!there || !S_ISREG(about.st_mode))
    return context.fail(2, "Error opening the snapshot: open " + path + ": " +
                               (there ? "is no file" : lower_error_text(errno)));
  if (about.st_size == 0)
    return context.fail(2, "Error opening the snapshot: " + path + " is empty");
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  const bool force = context.flags().boolean("force");
  Call call{.method = "POST",
            .path = force ? "sys/storage/raft/snapshot-force" : "sys/storage/raft/snapshot",
            .body_file = path};
  if (force)
    call.headers = {{"X-Vault-Raft-Snapshot-Force", "true"}};
  return report(context, client->call(call), "Error installing the snapshot") ? 2 : 0;
}

}  // namespace

void add_snapshot_commands(std::vector<Command>& commands) {
  commands.push_back({.name = "operator raft snapshot",
                      .synopsis = "Save and restore the state of the cluster",
                      .usage = "<subcommand> [options] [args]",
                      .help = "The whole state of the cluster in one file: to save, to restore, to look at.\n\n"
                              "$ {cmd} operator raft snapshot save /var/backups/vault.snap\n\n"
                              "$ {cmd} operator raft snapshot restore /var/backups/vault.snap"});
  commands.push_back({.name = "operator raft snapshot save",
                      .synopsis = "Save the state into a file",
                      .usage = "[options] FILE",
                      .help = "Saves the state of the cluster into a file, while the cluster goes on. The file appears "
                              "when it is whole, and only its owner may read it. What is in it is encrypted: it is of "
                              "use with the unseal keys of this cluster alone.\n\n"
                              "$ {cmd} operator raft snapshot save /var/backups/vault.snap",
                      .run = save});
  Command command;
  command.name = "operator raft snapshot restore";
  command.synopsis = "Replace the state by that of a file";
  command.usage = "[options] FILE";
  command.help =
      "Replaces the state of all nodes by that of a snapshot. What was written after it was taken is gone. The nodes "
      "are sealed then, and the unseal keys are those of the time when the snapshot was taken.\n\n"
      "$ {cmd} operator raft snapshot restore /var/backups/vault.snap\n\n"
      "A node that is not initialized takes the snapshot of a cluster that is lost:\n\n"
      "$ {cmd} operator raft snapshot restore -force /var/backups/vault.snap";
  command.flags = {{"Command Options",
                    {{.name = "force",
                      .kind = FlagKind::kBool,
                      .usage = "Restore a snapshot of other unseal keys too."}}}};
  command.run = restore;
  commands.push_back(std::move(command));
}

}  // namespace coffer::cli
