#include <algorithm>

#include "http/config.h"

namespace coffer::http {
namespace {

// What frames the answer, or says what it is, is the server's to say.
constexpr std::string_view kOwn[] = {"content-length", "transfer-encoding", "connection", "date", "content-type",
                                     "cache-control",  "upgrade",           "trailer"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return out;
}

bool is_pattern(std::string_view pattern) {
  if (pattern == "default")
    return true;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return pattern.size() == 3 && pattern[0] >= '1' && pattern[0] <= '5' &&
         (pattern.substr(1) == "xx" || (digit(pattern[1]) && digit(pattern[2])));
}

bool is_token(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

Status CustomHeaders::add(std::string_view pattern, const Lines& lines) {
  if (!is_pattern(pattern))
    return Status(Code::kInvalid, "expected \"default\", a class such as \"2xx\" or a status such as \"404\"");
  for (const auto& [name, value] : lines) {
    if (name.empty() || !std::ranges::all_of(name, is_token))
      return Status(Code::kInvalid, "a header's name may hold letters, digits, '-' and '_' only");
    if (std::ranges::find(kOwn, lower(name)) != std::end(kOwn) || lower(name).starts_with("x-vault-"))
      return Status(Code::kInvalid, "the server sets header \"" + name + "\" itself");
    if (!std::ranges::all_of(value, [](char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }))
      return Status(Code::kInvalid, "header \"" + name + "\": its value must be of printable characters");
  }
  Lines& all = rules_[std::string(pattern)];
  all.insert(all.end(), lines.begin(), lines.end());
  return ok_status();
}

void CustomHeaders::always(std::string_view name, std::string_view value) {
  rules_["default"].emplace_back(name, value);
}

void CustomHeaders::finish() {
  if (rules_.empty())
    return;
  for (int status = 99; status <= 599; ++status) {
    const std::string exact = status < 100 ? "default" : std::to_string(status);
    std::vector<std::string> seen;
    std::string& text = texts_[status < 100 ? 0 : status];
    for (const std::string& pattern : {exact, exact.substr(0, 1) + "xx", std::string("default")}) {
      const auto rule = rules_.find(pattern);
      if (rule == rules_.end())
        continue;
      const std::size_t before = seen.size();
      for (const auto& [name, value] : rule->second) {
        // Said of the narrower pattern already.
        if (std::find(seen.begin(), seen.begin() + static_cast<std::ptrdiff_t>(before), lower(name)) !=
            seen.begin() + static_cast<std::ptrdiff_t>(before))
          continue;
        seen.push_back(lower(name));
        text.append(name).append(": ").append(value).append("\r\n");
      }
      if (pattern == "default")
        break;
    }
  }
}

std::string_view CustomHeaders::lines_of(int status) const {
  const auto exact = texts_.find(status);
  if (exact != texts_.end())
    return exact->second;
  const auto any = texts_.find(0);
  return any == texts_.end() ? std::string_view() : std::string_view(any->second);
}

}  // namespace coffer::http
