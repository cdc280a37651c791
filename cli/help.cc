#include "cli/help.h"

#include <algorithm>
#include <array>

#include "cli/text.h"

namespace coffer::cli {
namespace {

constexpr std::array<std::string_view, 9> kCommon = {"read",  "write",  "delete", "list",  "login",
                                                     "agent", "server", "status", "unwrap"};

FlagGroup http_flags() {
  return {
      "HTTP Options",
      {
          {.name = "address",
           .usage = "URL of the server to talk to; unix:///path connects to a socket.",
           .fallback = "https://127.0.0.1:8200",
           .env = "VAULT_ADDR"},
          {.name = "agent-address",
           .usage = "URL of an agent to talk to instead of the server.",
           .env = "VAULT_AGENT_ADDR"},
          {.name = "ca-cert",
           .usage = "File with PEM certificates that the server's certificate is checked against. Wins over -ca-path.",
           .env = "VAULT_CACERT"},
          {.name = "ca-path",
           .usage = "Folder of PEM certificates that the server's certificate is checked against.",
           .env = "VAULT_CAPATH"},
          {.name = "client-cert",
           .usage = "File with the PEM certificate to present to the server; needs -client-key.",
           .env = "VAULT_CLIENT_CERT"},
          {.name = "client-key", .usage = "File with the PEM private key of -client-cert.", .env = "VAULT_CLIENT_KEY"},
          {.name = "disable-redirects",
           .kind = FlagKind::kBool,
           .usage = "Do not follow the one redirect that is followed otherwise.",
           .env = "VAULT_DISABLE_REDIRECTS"},
          {.name = "header",
           .kind = FlagKind::kMap,
           .usage = "Header to send with each request; may be given several times. Names that begin with X-Vault- are "
                    "refused."},
          {.name = "mfa",
           .kind = FlagKind::kList,
           .usage = "Second factor to send in the header X-Vault-MFA.",
           .env = "VAULT_MFA"},
          {.name = "namespace",
           .usage = "Namespace in which the command works; -ns is short for it.",
           .env = "VAULT_NAMESPACE"},
          {.name = "ns", .usage = "Short for -namespace, and wins over it.", .hidden = true},
          {.name = "non-interactive", .kind = FlagKind::kBool, .usage = "Never ask on the terminal."},
          {.name = "output-curl-string",
           .kind = FlagKind::kBool,
           .usage = "Make no request; print a curl command that would make it."},
          {.name = "output-policy",
           .kind = FlagKind::kBool,
           .usage = "Make no request; print a policy that would allow it."},
          {.name = "policy-override",
           .kind = FlagKind::kBool,
           .usage = "Override a soft-mandatory policy that refuses the request."},
          {.name = "tls-server-name",
           .usage = "Name to expect in the server's certificate, and to ask for (SNI).",
           .env = "VAULT_TLS_SERVER_NAME"},
          {.name = "tls-skip-verify",
           .kind = FlagKind::kBool,
           .usage =
               "Do not check the server's certificate. Whoever stands between can then read and change everything.",
           .env = "VAULT_SKIP_VERIFY"},
          {.name = "token",
           .usage = "Token to send, before VAULT_TOKEN and the stored one. It can be seen in the list of processes."},
          {.name = "wrap-ttl",
           .kind = FlagKind::kDuration,
           .usage = "Have the answer wrapped: kept for so long behind a one-time token that \"unwrap\" takes. A "
                    "number with a unit, as in \"30s\" or \"5m\".",
           .env = "VAULT_WRAP_TTL"},
      }};
}

FlagGroup output_flags(const Command& command) {
  FlagGroup group{"Output Options", {}};
  if (command.field)
    group.flags.push_back(
        {.name = "field",
         .usage = "Print this one field and nothing else, without a newline when piped. Goes before -format."});
  if (command.format)
    group.flags.push_back(
        {.name = "format",
         .usage = "How to print the result: \"table\", \"json\", \"yaml\" or \"pretty\"; \"raw\" for reads only.",
         .fallback = "table",
         .env = "VAULT_FORMAT"});
  return group;
}

// Paragraphs filled and indented; one that begins with '$' is an example and stays as it is.
std::string body_text(std::string_view help) {
  std::string out;
  while (!help.empty()) {
    std::size_t end = help.find("\n\n");
    std::string_view paragraph = help.substr(0, end);
    help = end == std::string_view::npos ? std::string_view() : help.substr(end + 2);
    paragraph = trim(paragraph);
    out += paragraph.starts_with('$') ? "      " + std::string(paragraph) : wrap(paragraph, 2);
    out += "\n\n";
  }
  return out;
}

std::string aligned(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& [name, text] : rows)
    width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, text] : rows)
    out += "    " + name + std::string(width - name.size() + 4, ' ') + text + "\n";
  return out;
}

// Names directly below `prefix` (empty for the top), with synopses.
std::vector<std::pair<std::string, std::string>> children(const std::vector<Command>& commands,
                                                          const std::string& prefix) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command& command : commands) {
    std::string_view name = command.name;
    if (!prefix.empty() && !name.starts_with(prefix + " "))
      continue;
    name.remove_prefix(prefix.empty() ? 0 : prefix.size() + 1);
    if (name.find(' ') == std::string_view::npos)
      rows.emplace_back(name, command.synopsis);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

std::vector<FlagGroup> flag_groups(const Command& command) {
  std::vector<FlagGroup> groups;
  if (command.http && command.run)
    groups.push_back(http_flags());
  if (command.field || command.format)
    groups.push_back(output_flags(command));
  groups.insert(groups.end(), command.flags.begin(), command.flags.end());
  return groups;
}

std::string main_help(const std::vector<Command>& commands, const Invocation& invocation) {
  std::vector<std::pair<std::string, std::string>> common;
  std::vector<std::pair<std::string, std::string>> other;
  std::vector<std::pair<std::string, std::string>> all = children(commands, "");
  for (std::string_view name : kCommon) {
    auto found = std::find_if(all.begin(), all.end(), [&](const auto& row) { return row.first == name; });
    if (found != all.end())
      common.push_back(*found);
  }
  for (const auto& row : all) {
    if (row.first != "version" && std::find(kCommon.begin(), kCommon.end(), row.first) == kCommon.end())
      other.push_back(row);
  }
  std::string text =
      "Usage: {cmd} <command> [args]\n\nCommon commands:\n" + aligned(common) + "\nOther commands:\n" + aligned(other);
  text.pop_back();
  return with_names(text, invocation);
}

std::string command_help(const Command& command, const std::vector<Command>& commands, const Invocation& invocation) {
  std::string text =
      "Usage: {cmd} " + command.name + " " + command.usage + "\n\n" + body_text(with_names(command.help, invocation));
  if (!command.run)
    text += "Subcommands:\n" + aligned(children(commands, command.name));
  else
    text += FlagSet(flag_groups(command), Invocation{}).help();
  while (text.ends_with('\n'))
    text.pop_back();
  return with_names(text, invocation);
}

}  // namespace coffer::cli
