#include "cli/complete.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <set>

#include "cli/help.h"
#include "cli/kv_args.h"
#include "cli/private_file.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (std::string& word : split(line, ' ')) {
    if (!word.empty())
      words.push_back(std::move(word));
  }
  return words;
}

std::set<std::string> candidates(const std::vector<Command>& commands, const std::vector<std::string>& before,
                                 const std::string& last) {
  std::set<std::string> found;
  std::string name;
  const Command* command = nullptr;
  for (const std::string& word : before) {
    std::string longer = name.empty() ? word : name + " " + word;
    auto at = std::find_if(commands.begin(), commands.end(), [&](const Command& c) { return c.name == longer; });
    if (at == commands.end())
      break;
    command = &*at;
    name = longer;
  }
  bool is_group = command == nullptr || !command->run;
  for (const Command& one : commands) {
    if (!is_group || (!name.empty() && !one.name.starts_with(name + " ")))
      continue;
    std::string rest = one.name.substr(name.empty() ? 0 : name.size() + 1);
    found.insert(rest.substr(0, rest.find(' ')));
  }
  if (!is_group && last.starts_with('-')) {
    for (const FlagGroup& group : flag_groups(*command)) {
      for (const Flag& flag : group.flags) {
        if (!flag.hidden)
          found.insert("-" + std::string(flag.name));
      }
    }
  }
  return found;
}

void print_candidates(const Invocation& invocation, const std::vector<Command>& commands, std::string line) {
  std::size_t point = line.size();
  std::string at = invocation.env_or("COMP_POINT");
  std::from_chars(at.data(), at.data() + at.size(), point);
  line.resize(std::min(point, line.size()));
  std::vector<std::string> words = words_of(line);
  std::string last;
  if (!line.empty() && line.back() != ' ' && !words.empty()) {
    last = words.back();
    words.pop_back();
  }
  if (!words.empty())
    words.erase(words.begin());
  std::string out;
  for (const std::string& word : candidates(commands, words, last)) {
    if (word.starts_with(last))
      out += word + "\n";
  }
  write_fd(invocation.out, out);
}

// The program as the shell must run it: its name decides what it prints, so a link stays a link.
std::string absolute_program(const Invocation& invocation) {
  std::error_code error;
  if (invocation.program.find('/') != std::string::npos)
    return std::filesystem::absolute(invocation.program, error).lexically_normal().string();
  for (const std::string& folder : split(invocation.env_or("PATH"), ':')) {
    std::string candidate = folder + "/" + invocation.program;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
  }
  return invocation.program;
}

// In single quotes, unless it is plain: the shell runs this line at every start.
std::string quoted_for_shell(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+";
  if (text.find_first_not_of(kPlain) == std::string::npos)
    return text;
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Whatever fails leaves the file as it was, but for a part of our own line.
Status append_line(const std::string& file, const std::string& line) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const bool whole = fd >= 0 && write_fd(fd, line);
  if (fd < 0 || ::close(fd) != 0 || !whole)
    return Status(Code::kIo, "cannot write " + file);
  return ok_status();
}

Status replace_start_file(const std::string& file, const std::string& text) {
  // A link, as people who keep such files elsewhere have, stays one.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(file, error);
  struct stat about {};
  if (error || ::stat(real.c_str(), &about) != 0)
    return Status(Code::kIo, "cannot write " + file);
  return replace_file(real.string(), text, about.st_mode & 07777);
}

// Adds or removes the line in the shell's start file.
Status install_line(const Invocation& invocation, bool add) {
  const std::string line =
      "complete -C " + quoted_for_shell(absolute_program(invocation)) + " " + invocation.name + "\n";
  const std::string file = invocation.env_or("HOME") + "/.bashrc";
  std::string text;
  if (::access(file.c_str(), F_OK) == 0 || errno != ENOENT) {
    COFFER_ASSIGN(text, read_file(file));
  }
  const std::size_t at = ("\n" + text).find("\n" + line);
  if (add == (at != std::string::npos))
    return Status(Code::kInvalid, (add ? "already installed in " : "not installed in ") + file);
  if (add)
    return append_line(file, (text.empty() || text.ends_with('\n') ? "" : "\n") + line);
  text.erase(at, line.size());
  return replace_start_file(file, text);
}

int install(const Invocation& invocation, bool add) {
  const Status status = install_line(invocation, add);
  if (status.ok())
    return 0;
  write_fd(invocation.err, "Error executing CLI: " + status.message() + "\n");
  return 1;
}

}  // namespace

std::optional<int> complete(const Invocation& invocation, const std::vector<Command>& commands) {
  if (std::string line = invocation.env_or("COMP_LINE"); !line.empty()) {
    print_candidates(invocation, commands, line);
    return 0;
  }
  for (const std::string& arg : invocation.args) {
    if (arg == "-autocomplete-install" || arg == "--autocomplete-install")
      return install(invocation, true);
    if (arg == "-autocomplete-uninstall" || arg == "--autocomplete-uninstall")
      return install(invocation, false);
    if (!arg.starts_with('-'))
      break;
  }
  return std::nullopt;
}

}  // namespace coffer::cli
