#include "cli/output.h"

#include <unistd.h>

#include <cerrno>

namespace coffer::cli {

bool write_fd(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool known_format(std::string_view format) {
  return format == "table" || format == "json" || format == "yaml" || format == "yml" || format == "pretty" ||
         format == "raw";
}

Output::Output(const Invocation& invocation, std::string format)
    : invocation_(invocation),
      format_(std::move(format)),
      colours_(invocation.out_tty && invocation.env_or("NO_COLOR").empty() &&
               invocation.env_or("VAULT_CLI_NO_COLOR").empty() && invocation.env_or("TERM") != "dumb") {}

void Output::out(std::string_view text) {
  std::string line(text);
  line += '\n';
  write_fd(invocation_.out, line);
}

bool Output::bare(std::string_view text) { return write_fd(invocation_.out, text); }

void Output::field(std::string_view text) {
  if (invocation_.out_tty)
    out(text);
  else
    bare(text);
}

void Output::warn(std::string_view text) { to_err(text, "\x1b[93m"); }
void Output::error(std::string_view text) { to_err(text, "\x1b[91m"); }
void Output::prompt(std::string_view text) { write_fd(invocation_.err, text); }

void Output::to_err(std::string_view text, std::string_view colour) {
  std::string line(text);
  if (colours_ && invocation_.err_tty && is_table() && !holding_)
    line = std::string(colour) + line + "\x1b[0m";
  line += '\n';
  if (holding_)
    held_ += line;
  else
    write_fd(invocation_.err, line);
}

void Output::release_errors() {
  holding_ = false;
  write_fd(invocation_.err, held_);
  held_.clear();
}

}  // namespace coffer::cli
