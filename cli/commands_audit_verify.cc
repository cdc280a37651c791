// audit verify: follows the chain of hashes through an audit file.
#include <fstream>
#include <vector>

#include "base/hash_chain.h"
#include "cli/commands.h"
#include "cli/mounts.h"
#include "cli/secret.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kLineBytesMax = 64u << 20;

// What was found in all files so far, in their order.
struct Walk {
  std::uint64_t lines = 0;
  std::uint64_t chains = 0;  // beginnings
  bool begun = false;
  bool restarts = false;     // a chain may begin in the middle of a file
  HashChain::Link last;
  std::vector<HashChain::Link> ends;  // of the chains before the one of `last`
};

// One line more; the text says what is wrong with it, or nothing.
std::string follow(Walk& walk, const std::string& text, bool first_of_file) {
  std::string line;
  const auto link = HashChain::read(text, line);
  if (!link.ok())
    return "carries no link: it was written without hash_chain=true, or it was changed";
  if (!HashChain::fits(*link, line))
    return "was changed: its hash is not that of its content";
  const bool beginning = link->sequence == 1 && link->previous.find_first_not_of('0') == std::string::npos;
  const bool follows = walk.begun && link->previous == walk.last.hash && link->sequence == walk.last.sequence + 1;
  if (walk.begun && !follows && !beginning)
    return "does not follow the line before it: " + std::to_string(walk.last.sequence) + " comes before " +
           std::to_string(link->sequence);
  // Anybody can write a beginning. The server writes one only where there is no line before it.
  if (beginning && !follows && !first_of_file && !walk.restarts)
    return "begins a new chain in the middle of the file: what stands before it is not tied to it (-allow-restarts)";
  if (beginning || !walk.begun)
    ++walk.chains;
  if (beginning && walk.begun)
    walk.ends.push_back(walk.last);
  walk.begun = true;
  walk.last = *link;
  ++walk.lines;
  return {};
}

std::string follow_file(Walk& walk, const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return "cannot be read";
  std::string text;
  std::uint64_t number = 0;
  while (std::getline(in, text)) {
    ++number;
    if (text.size() > kLineBytesMax)
      return "line " + std::to_string(number) + " is too long";
    if (in.eof() && !text.empty())
      return "line " + std::to_string(number) + " is cut short";
    if (const std::string wrong = follow(walk, text, number == 1); !wrong.empty())
      return "line " + std::to_string(number) + " " + wrong;
  }
  return {};
}

// A mark is the server's MAC of a line's hash, which holds all of its chain before it: the last one of a chain vouches
// for the chain, and for no other.
int check_mark(Context& context, Client& client, const HashChain::Link& link) {
  json::ObjectBuilder body(context.arena());
  body.add("input", link.hash);
  const std::string path = mount_path(context.flags().text("device"));
  const Reply reply = client.call({.method = "PUT",
                                   .path = "sys/audit-hash/" + path.substr(0, path.size() - 1),
                                   .body = Context::body_of(body.build()),
                                   .has_body = true});
  if (reply.kind == Reply::Kind::kPrinted) {
    context.ui().out(client.printed());
    return 0;
  }
  if (!reply.ok())
    return context.fail(2, "Error asking the server for the hash: " + reply.error);
  const json::Value* data = reply.json.find("data");
  if (data == nullptr || data->string_or("hash", "") != link.mark)
    return context.fail(1, "The mark of line " + std::to_string(link.sequence) + " " + link.hash +
                               ", the last of its chain, is not that of the device at: " + path);
  return 0;
}

int check_marks(Context& context, const Walk& walk) {
  Client* client = context.client();
  if (client == nullptr)
    return 2;
  for (const HashChain::Link& end : walk.ends)
    if (const int code = check_mark(context, *client, end); code != 0)
      return code;
  return check_mark(context, *client, walk.last);
}

int verify(Context& context) {
  if (!context.arity(1, 1000))
    return 1;
  Walk walk;
  walk.restarts = context.flags().boolean("allow-restarts");
  for (const std::string& file : context.args())
    if (const std::string wrong = follow_file(walk, file); !wrong.empty())
      return context.fail(1, "Error verifying " + file + ": " + wrong);
  if (walk.lines == 0)
    return context.fail(1, "Error verifying: there is no line");
  const bool marked = !context.flags().text("device").empty();
  if (marked)
    if (const int code = check_marks(context, walk); code != 0)
      return code;
  context.ui().out("Success! Verified " + std::to_string(walk.lines) + " lines of " + std::to_string(walk.chains) +
                   (walk.chains == 1 ? " chain" : " chains") + (marked ? ", made by this server" : "") + "\n" +
                   "Last line: " + std::to_string(walk.last.sequence) + " " + walk.last.hash);
  if (walk.chains > 1)
    context.ui().warn("A chain is not tied to the one before it: whether one is missing in between, or the end of one, "
                      "does not show" +
                      std::string(marked ? "" : ", nor, without -device, whether the server made it"));
  return 0;
}

}  // namespace

void add_audit_verify_command(std::vector<Command>& commands) {
  commands.push_back({.name = "audit verify",
                      .synopsis = "Follow the chain of hashes of an audit file",
                      .usage = "[options] FILE...",
                      .help = "Reads the files of a device that was enabled with hash_chain=true, in the order given, "
                              "and says whether a line was changed, dropped, moved or put in.\n\n"
                              "$ {cmd} audit verify /var/log/vault_audit.log\n\n"
                              "With -device the server is asked too whether the chain is of its making; without, no "
                              "server is needed, and whoever can write the file can make a chain too. A new file "
                              "begins a new chain after a start; one in the middle of a file is refused without "
                              "-allow-restarts. That the end was not cut off shows only if the last line's number and "
                              "hash are kept elsewhere: compare them.",
                      .flags = {{"Command Options",
                                 {{.name = "device", .usage = "The device that wrote the files, for example file."},
                                  {.name = "allow-restarts",
                                   .kind = FlagKind::kBool,
                                   .usage = "Accept a chain that begins in the middle of a file."}}}},
                      .run = verify});
}

}  // namespace coffer::cli
