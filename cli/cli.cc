#include "cli/cli.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/editor.h"
#include "cli/help.h"
#include "cli/http_client.h"
#include "cli/kv_args.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

constexpr int kUsageExit = 1;
constexpr int kUnknownExit = 127;

bool is_flag(const std::string& arg, std::string_view name) {
  return arg == "-" + std::string(name) || arg == "--" + std::string(name);
}

// What counts wherever it stands on the line.
struct Anywhere {
  std::string format;
  bool help = false;
  bool print_only = false;  // -output-curl-string or -output-policy
};

Anywhere scan(const Invocation& invocation) {
  Anywhere found;
  const std::vector<std::string>& args = invocation.args;
  for (std::size_t i = 0; i < args.size() && args[i] != "--"; ++i) {
    const std::string& arg = args[i];
    found.help = found.help || arg == "-h" || is_flag(arg, "help");
    found.print_only = found.print_only || is_flag(arg, "output-curl-string") || is_flag(arg, "output-policy");
    if (arg.starts_with("-format=") || arg.starts_with("--format="))
      found.format = arg.substr(arg.find('=') + 1);
    else if (is_flag(arg, "format") && i + 1 < args.size())
      found.format = args[++i];
  }
  if (found.format.empty())
    found.format = invocation.env_or("VAULT_FORMAT", "table");
  found.format = lower(found.format);
  return found;
}

struct Chosen {
  const Command* command = nullptr;
  std::vector<std::string> args;
  bool flags_before = false;
  bool version = false;
};

// The longest run of leading words that names a command.
Chosen choose(const std::vector<Command>& commands, const std::vector<std::string>& args) {
  Chosen chosen;
  std::size_t at = 0;
  for (; at < args.size() && (args[at].empty() || args[at][0] == '-'); ++at) {
    if (args[at] == "--")
      return chosen;
    chosen.version = chosen.version || args[at] == "-v" || is_flag(args[at], "version");
    chosen.flags_before = chosen.flags_before || !(args[at] == "-h" || is_flag(args[at], "help"));
  }
  std::string name;
  for (std::size_t i = at; i < args.size() && !args[i].starts_with('-'); ++i) {
    name += (i > at ? " " : "") + args[i];
    auto found = std::find_if(commands.begin(), commands.end(), [&](const Command& c) { return c.name == name; });
    if (found == commands.end())
      break;
    chosen.command = &*found;
    chosen.args.assign(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
  }
  return chosen;
}

void add_version_command(std::vector<Command>& commands) {
  commands.push_back(
      {.name = "version",
       .synopsis = "Prints the version of this program",
       .usage = "",
       .help = "Prints the version of this program, which may differ from that of the server it talks to.",
       .http = false,
       .run = [](Context& context) {
         std::string version =
             Context::is_vault(context.invocation()) ? std::string(kVaultVersion) : std::string(kVersion);
         context.ui().out(context.product() + " v" + version + " (" + std::string(build_revision()) + "), built " +
                          std::string(build_date()));
         return 0;
       }});
}

// Names that commands had long ago, and have in scripts and books.
struct Renamed {
  std::string_view old;
  std::string_view now;
};
constexpr Renamed kRenamed[] = {{"audit-disable", "audit disable"},
                                {"audit-enable", "audit enable"},
                                {"audit-list", "audit list"},
                                {"auth-disable", "auth disable"},
                                {"auth-enable", "auth enable"},
                                {"capabilities", "token capabilities"},
                                {"generate-root", "operator generate-root"},
                                {"init", "operator init"},
                                {"key-status", "operator key-status"},
                                {"mount", "secrets enable"},
                                {"mount-tune", "secrets tune"},
                                {"mounts", "secrets list"},
                                {"policies", "policy list"},
                                {"policy-delete", "policy delete"},
                                {"policy-write", "policy write"},
                                {"rekey", "operator rekey"},
                                {"remount", "secrets move"},
                                {"renew", "lease renew"},
                                {"revoke", "lease revoke"},
                                {"rotate", "operator rotate"},
                                {"seal", "operator seal"},
                                {"step-down", "operator step-down"},
                                {"token-create", "token create"},
                                {"token-lookup", "token lookup"},
                                {"token-renew", "token renew"},
                                {"token-revoke", "token revoke"},
                                {"unmount", "secrets disable"},
                                {"unseal", "operator unseal"}};

std::string hint_of_old_command(const Invocation& invocation) {
  for (const std::string& arg : invocation.args) {
    if (arg.starts_with('-'))
      continue;
    for (const Renamed& row : kRenamed)
      if (arg == row.old)
        return "There is no command \"" + arg + "\" any more: it is \"" + std::string(row.now) + "\" now.\n\n";
    break;
  }
  return {};
}

// -output-curl-string and -output-policy end in an exit code that is not 0 inside; what was composed is the result.
int finish_print_only(Context& context, const FlagSet& flags, Output& ui, int code) {
  std::string what = flags.boolean("output-curl-string") ? "cURL" : "policy";
  if (code == 0) {
    ui.prompt(what == "cURL" ? "Could not generate cURL command" : "Could not generate policy");
    return kUsageExit;
  }
  Client* client = context.opened_client();
  if (client == nullptr || client->printed().empty()) {
    ui.release_errors();
    ui.error(what == "cURL" ? "Unable to generate cURL string from command" : "Unable to generate policy from command");
    return code;
  }
  ui.out(client->printed());
  return 0;
}

int run_command(const Command& command, const std::vector<std::string>& args, const Invocation& invocation,
                const Ports& ports, Output& ui, bool print_only) {
  FlagSet flags(flag_groups(command), invocation);
  bool prints = print_only && command.http;
  if (prints)
    ui.hold_errors();
  Context context(invocation, ports, command, flags, ui);
  Status parsed = flags.parse(args);
  if (std::string warning = misplaced_flags_warning(flags.args());
      !warning.empty() && ui.is_table() && command.name != "version")
    ui.warn(warning);
  if (command.name == "version")
    parsed = ok_status();  // whatever stands behind it, people want the version
  if (parsed.ok() && ui.format() == "raw" && !command.raw_format)
    parsed = Status(Code::kInvalid, "This command does not support the -format=raw option.");
  int code = kUsageExit;
  if (parsed.ok())
    code = command.run(context);
  else
    ui.error(parsed.message());
  return prints ? finish_print_only(context, flags, ui, code) : code;
}

Result<std::string> read_hidden_line(const Invocation& invocation, const std::function<void()>& ask) {
  termios before{};
  if (!invocation.in_tty || tcgetattr(invocation.in, &before) != 0) {
    ask();
    return Status(Code::kUnavailable, "file descriptor " + std::to_string(invocation.in) + " is not a terminal");
  }
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  silent.c_lflag |= ICANON | ISIG;
  tcsetattr(invocation.in, TCSAFLUSH, &silent);
  ask();
  std::string line;
  char c = 0;
  while (::read(invocation.in, &c, 1) == 1 && c != '\n')
    line += c;
  tcsetattr(invocation.in, TCSAFLUSH, &before);
  return std::string(trim(line));
}

}  // namespace

Invocation process_invocation(int argc, char** argv) {
  Invocation invocation;
  invocation.program = argc > 0 ? argv[0] : "coffer";
  invocation.name = invocation.program.substr(invocation.program.rfind('/') + 1);
  for (int i = 1; i < argc; ++i)
    invocation.args.emplace_back(argv[i]);
  invocation.env = [](const char* name) -> const char* { return std::getenv(name); };
  invocation.in_tty = isatty(0) == 1;
  invocation.out_tty = isatty(1) == 1;
  invocation.err_tty = isatty(2) == 1;
  return invocation;
}

Ports real_ports() {
  return {.transport = make_curl_transport,
          .sleep = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); },
          .token_helper = default_token_helper,
          .read_hidden = read_hidden_line,
          .edit = edit_text};
}

std::vector<Command> builtin_commands() {
  std::vector<Command> commands;
  add_version_command(commands);
  add_logical_commands(commands);
  add_login_commands(commands);
  add_operator_commands(commands);
  add_raft_commands(commands);
  add_autopilot_commands(commands);
  add_snapshot_commands(commands);
  add_token_commands(commands);
  add_policy_commands(commands);
  add_namespace_commands(commands);
  add_secrets_commands(commands);
  add_lease_commands(commands);
  add_auth_commands(commands);
  add_audit_commands(commands);
  add_observe_commands(commands);
  add_usage_commands(commands);
  add_event_commands(commands);
  add_kv_commands(commands);
  add_kv_metadata_commands(commands);
  add_kv_tree_commands(commands);
  add_kv_edit_commands(commands);
  add_kv_file_commands(commands);
  return commands;
}

int run(const Invocation& invocation, std::vector<Command> extra, const Ports& ports) {
  std::vector<Command> commands = builtin_commands();
  commands.insert(commands.end(), std::make_move_iterator(extra.begin()), std::make_move_iterator(extra.end()));
  std::sort(commands.begin(), commands.end(), [](const Command& a, const Command& b) { return a.name < b.name; });
  if (std::optional<int> completed = complete(invocation, commands))
    return *completed;
  Anywhere anywhere = scan(invocation);
  Output ui(invocation, anywhere.format);
  if (!known_format(anywhere.format)) {
    ui.error("Invalid output format: " + anywhere.format);
    return kUsageExit;
  }
  Chosen chosen = choose(commands, invocation.args);
  if (chosen.version && chosen.command == nullptr) {
    auto version = std::find_if(commands.begin(), commands.end(), [](const Command& c) { return c.name == "version"; });
    return run_command(*version, {}, invocation, ports, ui, false);
  }
  bool named_nothing =
      std::all_of(invocation.args.begin(), invocation.args.end(), [](const auto& a) { return a.starts_with('-'); });
  if (chosen.command == nullptr) {
    bool asked = anywhere.help && named_nothing;
    if (asked)
      ui.out(main_help(commands, invocation));
    else
      ui.prompt(hint_of_old_command(invocation) + main_help(commands, invocation) + "\n");
    return asked ? 0 : kUnknownExit;
  }
  if (anywhere.help) {
    ui.out(command_help(*chosen.command, commands, invocation));
    return 0;
  }
  if (chosen.flags_before) {
    ui.prompt("Invalid flags before the subcommand. If these flags are for\n"
              "the subcommand, please put them after the subcommand.\n\n");
    ui.prompt(command_help(*chosen.command, commands, invocation) + "\n");
    return kUsageExit;
  }
  if (!chosen.command->run) {
    ui.prompt(command_help(*chosen.command, commands, invocation) + "\n");
    return kUsageExit;
  }
  return run_command(*chosen.command, chosen.args, invocation, ports, ui, anywhere.print_only);
}

int run(const Invocation& invocation, std::vector<Command> extra) {
  return run(invocation, std::move(extra), real_ports());
}

}  // namespace coffer::cli
