#include "cli/dotenv.h"

#include "cli/text.h"

namespace coffer::cli {
namespace {

bool is_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
    return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
          c == '-'))
      return false;
  return true;
}

Status bad(std::size_t line) {
  return Status(Code::kInvalid, "dotenv: line " + std::to_string(line) + " is not NAME=value");
}

// From behind the opening quote on; `at` ends behind the closing one. False when there is none.
bool read_quoted(std::string_view text, char quote, std::size_t& at, std::size_t& line, std::string& out) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == quote) {
      ++at;
      return true;
    }
    line += c == '\n';
    if (quote == '"' && c == '\\' && at + 1 < text.size()) {
      const char next = text[++at];
      if (next == 'n')
        out += '\n';
      else if (std::string_view("\\\"$`").find(next) != std::string_view::npos)
        out += next;
      else
        (out += '\\') += next;
      continue;
    }
    out += c;
  }
  return false;
}

}  // namespace

Result<std::string> write_dotenv(const std::map<std::string, std::string>& values) {
  std::string out;
  for (const auto& [name, value] : values) {
    if (!is_name(name))
      return Status(Code::kInvalid, "dotenv: a key of the secret is no name of a variable");
    out.append(name).append("=\"");
    for (const char c : value) {
      if (std::string_view("\\\"$`").find(c) != std::string_view::npos)
        out += '\\';
      out += c;
    }
    out.append("\"\n");
  }
  return out;
}

Result<std::map<std::string, std::string>> read_dotenv(std::string_view text) {
  std::map<std::string, std::string> values;
  std::size_t at = 0;
  std::size_t line = 1;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view here = trim(text.substr(at, end - at));
    if (here.empty() || here[0] == '#') {
      at = end + 1;
      ++line;
      continue;
    }
    if (here.starts_with("export "))
      here = trim(here.substr(7));
    const std::size_t equals = here.find('=');
    const std::string_view name = trim(here.substr(0, equals));
    if (equals == std::string_view::npos || !is_name(name))
      return bad(line);
    const std::string_view rest = trim(here.substr(equals + 1));
    std::string value;
    if (!rest.empty() && (rest[0] == '"' || rest[0] == '\'')) {
      const std::size_t begun = line;
      std::size_t inside = static_cast<std::size_t>(rest.data() - text.data()) + 1;
      if (!read_quoted(text, rest[0], inside, line, value))
        return bad(begun);
      const std::size_t after = std::min(text.find('\n', inside), text.size());
      const std::string_view behind = trim(text.substr(inside, after - inside));
      if (!behind.empty() && behind[0] != '#')
        return bad(begun);
      at = after + 1;
    } else {
      const std::size_t comment = rest.find(" #");
      value = trim(rest.substr(0, comment));
      at = end + 1;
    }
    ++line;
    values[std::string(name)] = std::move(value);
  }
  return values;
}

}  // namespace coffer::cli
