#include "cli/text.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace coffer::cli {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t at = 0;
  while (at < text.size()) {
    while (at < text.size() && is_space(text[at]))
      ++at;
    std::size_t start = at;
    while (at < text.size() && !is_space(text[at]))
      ++at;
    if (at > start)
      words.push_back(text.substr(start, at - start));
  }
  return words;
}

// breaks[i] is the first word of the line after the one that starts with word i, for the least total cost.
std::vector<std::size_t> line_breaks(const std::vector<std::string_view>& words, std::int64_t limit) {
  constexpr std::int64_t kTooLongPenalty = 100000;
  std::size_t n = words.size();
  std::vector<std::int64_t> cost(n + 1, 0);
  std::vector<std::size_t> breaks(n + 1, n);
  std::int64_t rest = -1;  // width of the words from i on, on one line
  for (std::size_t i = n; i-- > 0;) {
    rest += 1 + static_cast<std::int64_t>(words[i].size());
    if (rest <= limit || i == n - 1)
      continue;  // the last line may be as short as it likes
    std::int64_t width = -1;
    cost[i] = std::numeric_limits<std::int64_t>::max();
    for (std::size_t j = i + 1; j < n; ++j) {
      width += 1 + static_cast<std::int64_t>(words[j - 1].size());
      std::int64_t gap = limit - width;
      std::int64_t here = gap * gap + cost[j] + (width > limit ? kTooLongPenalty : 0);
      if (here < cost[i]) {
        cost[i] = here;
        breaks[i] = j;
      }
      if (width > limit)
        break;  // longer lines only cost more
    }
  }
  return breaks;
}

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

void append_percent(char c, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == at) {
      parts.emplace_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view with) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0)
      out += with;
    out += parts[i];
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::size_t rune_count(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string wrap(std::string_view text, std::size_t pad, std::size_t columns) {
  std::vector<std::string_view> words = words_of(text);
  std::vector<std::size_t> breaks = line_breaks(words, static_cast<std::int64_t>(columns - pad));
  std::string out(pad, ' ');
  for (std::size_t i = 0; i < words.size();) {
    std::size_t next = breaks[i];
    for (std::size_t w = i; w < next; ++w) {
      if (w > i)
        out += ' ';
      out += words[w];
    }
    if (next < words.size()) {
      out += '\n';
      out.append(pad, ' ');
    }
    i = next;
  }
  return out;
}

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string banner(std::string_view title, std::size_t total) {
  std::size_t taken = title.size() + 2;
  std::size_t signs = total > taken ? total - taken : 4;
  std::size_t side = (signs + 1) / 2;
  std::string run(side, '=');
  return run + " " + std::string(title) + " " + run;
}

std::string sanitize_path(std::string_view path) {
  path = trim(path);
  while (!path.empty() && path.front() == '/')
    path.remove_prefix(1);
  path = trim(path);
  while (!path.empty() && path.back() == '/')
    path.remove_suffix(1);
  return std::string(path);
}

std::string with_trailing_slash(std::string_view path) {
  std::string out(trim(path));
  if (!out.empty() && out.back() != '/')
    out += '/';
  return out;
}

std::string join_path(const std::vector<std::string>& parts) {
  bool rooted = !parts.empty() && !parts.front().empty() && parts.front().front() == '/';
  std::vector<std::string> kept;
  for (const std::string& part : parts) {
    for (std::string& segment : split(part, '/')) {
      if (segment.empty() || segment == ".")
        continue;
      if (segment == ".." && !kept.empty())
        kept.pop_back();
      else if (segment != "..")
        kept.push_back(std::move(segment));
    }
  }
  return (rooted ? "/" : "") + join(kept, "/");
}

std::string escape_path(std::string_view path) {
  static constexpr std::string_view kAlsoPlain = "$&+,/:;=@";
  std::string out;
  for (char c : path) {
    if (unreserved(c) || kAlsoPlain.find(c) != std::string_view::npos)
      out += c;
    else
      append_percent(c, out);
  }
  return out;
}

std::string escape_query(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (unreserved(c))
      out += c;
    else if (c == ' ')
      out += '+';
    else
      append_percent(c, out);
  }
  return out;
}

}  // namespace coffer::cli
