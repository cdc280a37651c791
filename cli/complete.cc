#include "cli/complete.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "cli/help.h"
#include "cli/kv_args.h"
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

// Adds or removes the line in the shell's start file.
int install(const Invocation& invocation, bool add) {
  std::string line = "complete -C " + absolute_program(invocation) + " " + invocation.name;
  std::string file = invocation.env_or("HOME") + "/.bashrc";
  Result<std::string> old = read_file(file);
  std::string text = old.ok() ? *old : "";
  std::size_t at = ("\n" + text).find("\n" + line + "\n");
  std::string problem =
      add == (at != std::string::npos) ? (add ? "already installed in " : "not installed in ") + file : "";
  if (problem.empty()) {
    if (add)
      text += (text.empty() || text.ends_with('\n') ? "" : "\n") + line + "\n";
    else
      text.erase(at, line.size() + 1);
    int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
      problem = "cannot write " + file;
    } else {
      write_fd(fd, text);
      ::close(fd);
    }
  }
  if (problem.empty())
    return 0;
  write_fd(invocation.err, "Error executing CLI: " + problem + "\n");
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
