#include "cli/yaml_reader.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

struct Line {
  std::size_t number = 0;   // from 1
  std::size_t indent = 0;
  std::string_view text;    // without indent, line end and, unless raw, comment
  std::string_view raw;     // the whole line
  bool blank = false;
};

bool may_quote_behind(char c) { return std::string_view(" \t:[{,-").find(c) != std::string_view::npos; }

// Where a comment begins: a '#' at the start or behind a space, outside quotes.
std::size_t comment_at(std::string_view text) {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '"' && c == '\\') {
      ++i;
    } else if (quote == '\'' && c == quote && i + 1 < text.size() && text[i + 1] == quote) {
      ++i;
    } else if (quote != 0) {
      if (c == quote)
        quote = 0;
    } else if ((c == '"' || c == '\'') && (i == 0 || may_quote_behind(text[i - 1]))) {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      return i;
    }
  }
  return text.size();
}

// The end of a key before ": ", or npos.
std::size_t key_end(std::string_view text) {
  if (text.empty())
    return std::string_view::npos;
  if (text[0] == '"' || text[0] == '\'') {
    std::size_t i = 1;
    while (i < text.size() && text[i] != text[0])
      i += text[0] == '"' && text[i] == '\\' ? 2 : 1;
    return i + 1 < text.size() && text[i + 1] == ':' && (i + 2 == text.size() || text[i + 2] == ' ')
               ? i + 1
               : std::string_view::npos;
  }
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == ':' && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\t'))
      return i;
  return std::string_view::npos;
}

void append_utf8(std::uint32_t rune, std::string& out) {
  const auto add = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (rune < 0x80)
    return add(rune);
  if (rune < 0x800)
    return add(0xc0 | rune >> 6), add(0x80 | (rune & 63));
  if (rune < 0x10000)
    return add(0xe0 | rune >> 12), add(0x80 | (rune >> 6 & 63)), add(0x80 | (rune & 63));
  add(0xf0 | rune >> 18), add(0x80 | (rune >> 12 & 63)), add(0x80 | (rune >> 6 & 63)), add(0x80 | (rune & 63));
}

// Digits of an escape; nothing when they are none or name no code point.
std::optional<std::uint32_t> code_point(std::string_view text, std::size_t digits) {
  std::uint32_t rune = 0;
  if (text.size() < digits)
    return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, rune, 16);
  if (error != std::errc() || end != text.data() + digits || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
    return std::nullopt;
  return rune;
}

// A text between double quotes; nothing when it is none.
std::optional<std::string> unescaped(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"')
    return std::nullopt;
  text = text.substr(1, text.size() - 2);
  constexpr std::string_view kNames = "0abtnvfre\"/\\ \t";
  constexpr std::string_view kMeant{"\0\a\b\t\n\v\f\r\x1b\"/\\ \t", 14};
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"')
      return std::nullopt;
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    if (++i == text.size())
      return std::nullopt;
    const std::size_t digits = text[i] == 'x' ? 2 : text[i] == 'u' ? 4 : text[i] == 'U' ? 8 : 0;
    if (digits != 0) {
      const auto rune = code_point(text.substr(i + 1), digits);
      if (!rune)
        return std::nullopt;
      append_utf8(*rune, out);
      i += digits;
      continue;
    }
    const std::size_t at = kNames.find(text[i]);
    if (at == std::string_view::npos)
      return std::nullopt;
    out.push_back(kMeant[at]);
  }
  return out;
}

class Reader {
 public:
  Reader(Arena& arena, std::string_view text) : arena_(arena) {
    std::size_t number = 0;
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view raw = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (raw.ends_with('\r'))
        raw.remove_suffix(1);
      Line line{++number, 0, {}, raw, false};
      line.indent = std::min(raw.find_first_not_of(' '), raw.size());
      line.text = trim(raw.substr(line.indent).substr(0, comment_at(raw.substr(line.indent))));
      line.blank = line.text.empty();
      lines_.push_back(line);
    }
  }

  Result<json::Value> read() {
    skip_blank();
    if (at_ < lines_.size() && lines_[at_].text == "---")
      ++at_;
    skip_blank();
    if (at_ == lines_.size())
      return json::Value::null();
    COFFER_ASSIGN(const json::Value value, block(lines_[at_].indent, 0));
    skip_blank();
    if (at_ != lines_.size() && lines_[at_].text != "...")
      return bad();
    return value;
  }

 private:
  Status bad() const {
    const std::size_t line = at_ < lines_.size() ? lines_[at_].number : lines_.size();
    return Status(Code::kInvalid, "yaml: line " + std::to_string(line) + " is not understood");
  }
  void skip_blank() {
    while (at_ < lines_.size() && lines_[at_].blank)
      ++at_;
  }
  static bool is_item(std::string_view text) { return text == "-" || text.starts_with("- "); }

  static bool begins_block(std::string_view text) {
    return !text.empty() && text[0] != '{' && text[0] != '[' &&
           (is_item(text) || key_end(text) != std::string_view::npos);
  }

  Result<json::Value> block(std::size_t indent, std::size_t depth) {
    if (depth > limits::kJsonDepthMax)
      return bad();
    const std::string_view text = lines_[at_].text;
    if (is_item(text))
      return list(indent, depth);
    if (text[0] != '{' && text[0] != '[' && key_end(text) != std::string_view::npos)
      return mapping(indent, depth);
    Line line = lines_[at_++];
    return scalar(line.text, indent == 0 ? 0 : indent - 1, depth);
  }

  Result<json::Value> list(std::size_t indent, std::size_t depth) {
    json::ArrayBuilder items(arena_);
    while (true) {
      skip_blank();
      if (at_ == lines_.size() || lines_[at_].indent != indent || !is_item(lines_[at_].text))
        break;
      Line& line = lines_[at_];
      const std::string_view rest = trim(line.text.substr(1));
      if (begins_block(rest)) {
        // "- key: value": the item is a block that begins here.
        line.indent = static_cast<std::size_t>(rest.data() - line.raw.data());
        line.text = rest;
        COFFER_ASSIGN(const json::Value item, block(line.indent, depth + 1));
        items.add(item);
        continue;
      }
      ++at_;
      COFFER_ASSIGN(const json::Value item, value(rest, indent, depth, false));
      items.add(item);
    }
    if (at_ < lines_.size() && !lines_[at_].blank && lines_[at_].indent > indent)
      return bad();
    return items.build();
  }

  Result<json::Value> mapping(std::size_t indent, std::size_t depth) {
    json::ObjectBuilder members(arena_);
    while (true) {
      skip_blank();
      if (at_ == lines_.size() || lines_[at_].indent != indent || is_item(lines_[at_].text))
        break;
      const std::string_view text = lines_[at_].text;
      const std::size_t end = key_end(text);
      if (text == "..." || text == "---")
        break;
      if (end == std::string_view::npos)
        return bad();
      COFFER_ASSIGN(const std::string key, plain_or_quoted(text.substr(0, end)));
      const std::string_view rest = trim(text.substr(end + 1));
      if (members.build().find(key) != nullptr)
        return bad();
      ++at_;
      COFFER_ASSIGN(const json::Value item, value(rest, indent, depth, true));
      members.add(key, item);
    }
    if (at_ < lines_.size() && !lines_[at_].blank && lines_[at_].indent > indent)
      return bad();
    return members.build();
  }

  // What stands behind "key:" or "-"; nothing there means a block below, or null.
  Result<json::Value> value(std::string_view rest, std::size_t indent, std::size_t depth, bool of_key) {
    if (!rest.empty())
      return scalar(rest, indent, depth);
    skip_blank();
    if (at_ == lines_.size())
      return json::Value::null();
    const Line& next = lines_[at_];
    const bool deeper = next.indent > indent || (of_key && next.indent == indent && is_item(next.text));
    return deeper ? block(next.indent, depth + 1) : Result<json::Value>(json::Value::null());
  }

  Result<json::Value> scalar(std::string_view text, std::size_t indent, std::size_t) {
    if (text[0] == '|' || text[0] == '>')
      return literal(text, indent);
    if (text[0] == '&' || text[0] == '*' || text[0] == '!' || text[0] == '%' || text[0] == '@' || text[0] == '`' ||
        text[0] == '?')
      return back_bad();
    // Lines that stand deeper go on with it.
    const bool plain_text = text[0] != '"' && text[0] != '\'' && text[0] != '{' && text[0] != '[';
    std::string whole(text);
    while (at_ < lines_.size() && !complete(whole)) {
      const Line& line = lines_[at_];
      const std::string_view more = plain_text ? line.text : trim(line.raw);
      if (!more.empty() && line.indent <= indent && !(plain_text && line.blank))
        break;
      if (plain_text && key_end(more) != std::string_view::npos)
        return bad();
      if (more.empty())
        whole += '\n';
      else
        (whole.ends_with('\n') ? whole : whole += ' ') += more;
      ++at_;
    }
    while (whole.ends_with('\n'))
      whole.pop_back();
    if (text[0] == '{' || text[0] == '[') {
      json::Limits bounds;
      bounds.strings = std::numeric_limits<std::size_t>::max();
      const Result<json::Value> parsed = json::parse_copy(arena_, whole, bounds);
      return parsed.ok() ? parsed : Result<json::Value>(back_bad());
    }
    if (text[0] == '\'' || text[0] == '"') {
      COFFER_ASSIGN(const std::string unquoted, plain_or_quoted(whole));
      return json::Value::string(arena_, unquoted);
    }
    return plain(whole);
  }

  // A quoted or bracketed value is complete where it ends; a plain one never.
  static bool complete(std::string_view text) {
    if (text[0] == '"' || text[0] == '\'') {
      std::size_t i = 1;
      while (i < text.size()) {
        if (text[0] == '"' && text[i] == '\\') {
          i += 2;
        } else if (text[i] == text[0]) {
          if (text[0] == '"' || i + 1 >= text.size() || text[i + 1] != '\'')
            return true;
          i += 2;
        } else {
          ++i;
        }
      }
      return false;
    }
    if (text[0] == '{' || text[0] == '[')
      return text.back() == (text[0] == '{' ? '}' : ']');
    return false;
  }

  json::Value plain(const std::string& text) {
    for (const std::string_view null : {"null", "~", "Null", "NULL"})
      if (text == null)
        return json::Value::null();
    for (const std::string_view yes : {"true", "True", "TRUE"})
      if (text == yes)
        return json::Value::boolean(true);
    for (const std::string_view no : {"false", "False", "FALSE"})
      if (text == no)
        return json::Value::boolean(false);
    if ((text[0] >= '0' && text[0] <= '9') || text[0] == '-') {
      const Result<json::Value> number = json::parse_copy(arena_, text);
      if (number.ok() && number->is_number())
        return *number;
    }
    return json::Value::string(arena_, text);
  }

  Result<std::string> plain_or_quoted(std::string_view text) {
    if (text.starts_with('"')) {
      const std::optional<std::string> plain = unescaped(text);
      return plain ? Result<std::string>(*plain) : Result<std::string>(back_bad());
    }
    if (!text.starts_with('\''))
      return std::string(text);
    if (text.size() < 2 || text.back() != '\'')
      return back_bad();
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
      out += text[i];
      if (text[i] == '\'' && text[i + 1] == '\'')
        ++i;
    }
    return out;
  }

  // "|" keeps line ends, ">" joins lines; "-" drops the last line end, "+" keeps all.
  Result<json::Value> literal(std::string_view head, std::size_t indent) {
    const bool folds = head[0] == '>';
    const char chomp = head.size() > 1 ? head[1] : 0;
    if (head.size() > 2 || (chomp != 0 && chomp != '-' && chomp != '+'))
      return back_bad();
    std::string out;
    std::size_t depth = 0;
    while (at_ < lines_.size()) {
      const std::string_view raw = lines_[at_].raw;
      const std::size_t first = raw.find_first_not_of(' ');
      if (first != std::string_view::npos && first <= indent && !(indent == 0 && depth == 0 && first > 0))
        break;
      if (depth == 0 && first != std::string_view::npos)
        depth = first;
      const std::string_view line =
          first == std::string_view::npos ? std::string_view() : raw.substr(std::min(depth, first));
      if (folds && !out.empty() && out.ends_with('\n') && !line.empty() && !out.ends_with("\n\n"))
        out.back() = ' ';
      out.append(line).push_back('\n');
      ++at_;
    }
    if (chomp != '+')
      while (out.ends_with('\n'))
        out.pop_back();
    if (chomp == 0 && !out.empty())
      out.push_back('\n');
    return json::Value::string(arena_, out);
  }

  // The line before: what was begun there is wrong.
  Status back_bad() {
    if (at_ > 0)
      --at_;
    return bad();
  }

  Arena& arena_;
  std::vector<Line> lines_;
  std::size_t at_ = 0;
};

}  // namespace

Result<json::Value> read_yaml(Arena& arena, std::string_view text) { return Reader(arena, text).read(); }

}  // namespace coffer::cli
