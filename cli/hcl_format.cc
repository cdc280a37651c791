#include "cli/hcl_format.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/hcl.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

enum class TokenKind { kWord, kComment, kOpen, kClose, kAssign, kComma, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  std::size_t line = 0;      // where it begins
  std::size_t end_line = 0;
};

// Splits text that hcl::parse() has taken, so that every construct is closed.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Token> all() {
    std::vector<Token> tokens;
    do {
      tokens.push_back(next());
    } while (tokens.back().kind != TokenKind::kEnd);
    return tokens;
  }

 private:
  Token next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      line_ += text_[at_++] == '\n' ? 1 : 0;
    std::size_t start = at_;
    std::size_t line = line_;
    TokenKind kind = at_ < text_.size() ? scan() : TokenKind::kEnd;
    std::string_view taken = text_.substr(start, at_ - start);
    line_ += static_cast<std::size_t>(std::count(taken.begin(), taken.end(), '\n'));
    return {kind, std::string(trim(taken)), line, line_};
  }

  TokenKind scan() {
    char c = text_[at_];
    std::string_view rest = text_.substr(at_);
    if (c == '#' || rest.starts_with("//")) {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return TokenKind::kComment;
    }
    if (rest.starts_with("/*")) {
      std::size_t end = text_.find("*/", at_ + 2);
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
      return TokenKind::kComment;
    }
    if (rest.starts_with("<<")) {
      heredoc();
      return TokenKind::kWord;
    }
    if (c == '"') {
      string();
      return TokenKind::kWord;
    }
    ++at_;
    switch (c) {
      case '{': case '[': return TokenKind::kOpen;
      case '}': case ']': return TokenKind::kClose;
      case '=': case ':': return TokenKind::kAssign;
      case ',': return TokenKind::kComma;
      default: break;
    }
    while (at_ < text_.size() && std::string_view(" \t\r\n{}[]=:,\"#").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return TokenKind::kWord;
  }

  void string() {
    int nested = 0;  // quotes within ${...} do not end it
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '$' && at_ + 1 < text_.size() && text_[at_ + 1] == '{') {
        ++nested;
        ++at_;
      } else if (text_[at_] == '}' && nested > 0) {
        --nested;
      } else if (text_[at_] == '"' && nested == 0) {
        ++at_;
        return;
      }
    }
    at_ = std::min(at_, text_.size());
  }

  void heredoc() {
    std::size_t line_end = std::min(text_.find('\n', at_), text_.size());
    std::string_view mark = trim(text_.substr(at_ + 2, line_end - at_ - 2));
    if (mark.starts_with('-'))
      mark.remove_prefix(1);
    while (line_end < text_.size()) {
      std::size_t start = line_end + 1;
      line_end = std::min(text_.find('\n', start), text_.size());
      if (start <= text_.size() && trim(text_.substr(start, line_end - start)) == mark)
        break;
    }
    at_ = line_end;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

struct Item;

struct Value {
  enum class Kind { kWord, kList, kObject } kind = Kind::kWord;
  std::string word;
  std::vector<Item> items;  // of a list or an object
  bool spread = false;      // a list over several lines
};

// An entry of an object, an element of a list (without a key), or comments that stand alone (without a value).
struct Item {
  std::vector<std::string> comments;  // the lines above it
  std::string key;
  bool assigned = false;
  bool has_value = false;
  Value value;
  std::string trailing;  // a comment behind it on its line
};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::vector<Item> items(bool in_list) {
    std::vector<Item> out;
    for (;;) {
      Item item;
      std::size_t last_line = collect_comments(item, out);
      const Token& token = now();
      if (token.kind == TokenKind::kEnd || token.kind == TokenKind::kClose) {
        if (!item.comments.empty())
          out.push_back(std::move(item));
        return out;
      }
      if (token.kind == TokenKind::kComma) {
        ++at_;
        continue;
      }
      if (!item.comments.empty() && token.line > last_line + 1) {
        out.push_back(std::exchange(item, Item()));  // a blank line parts them
      }
      entry(item, in_list);
      out.push_back(std::move(item));
    }
  }

 private:
  const Token& now() const { return tokens_[at_]; }

  // Groups parted by blank lines become items of their own; the last group stays with `item`. Returns the line where it
  // ends.
  std::size_t collect_comments(Item& item, std::vector<Item>& out) {
    std::size_t last = 0;
    while (now().kind == TokenKind::kComment) {
      if (!item.comments.empty() && now().line > last + 1)
        out.push_back(std::exchange(item, Item()));
      item.comments.push_back(now().text);
      last = now().end_line;
      ++at_;
    }
    return last;
  }

  void entry(Item& item, bool in_list) {
    item.has_value = true;
    if (in_list) {
      item.value = value();
    } else {
      while (now().kind == TokenKind::kWord) {
        item.key += (item.key.empty() ? "" : " ") + now().text;
        ++at_;
      }
      item.assigned = now().kind == TokenKind::kAssign;
      if (item.assigned)
        ++at_;
      item.value = value();
    }
    std::size_t line = tokens_[at_ - 1].end_line;
    if (now().kind == TokenKind::kComma)
      ++at_;
    if (now().kind == TokenKind::kComment && now().line == line) {
      item.trailing = now().text;
      ++at_;
    }
  }

  Value value() {
    Value v;
    const Token& token = now();
    if (token.kind == TokenKind::kOpen) {
      bool is_list = token.text == "[";
      std::size_t line = token.line;
      ++at_;
      v.kind = is_list ? Value::Kind::kList : Value::Kind::kObject;
      v.items = items(is_list);
      v.spread = !v.items.empty() && now().line != line;
      if (now().kind == TokenKind::kClose)
        ++at_;
    } else if (token.kind != TokenKind::kEnd) {
      v.word = token.text;
      ++at_;
    }
    return v;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

class Printer {
 public:
  std::string print(const std::vector<Item>& items) {
    object_items(items, 0);
    return std::move(out_);
  }

 private:
  static std::string padding(std::size_t level) { return std::string(level * 2, ' '); }

  static std::string one_line(const Value& v) {
    if (v.kind == Value::Kind::kWord)
      return v.word;
    std::vector<std::string> parts;
    for (const Item& item : v.items)
      parts.push_back(one_line(item.value));
    return v.kind == Value::Kind::kList ? "[" + join(parts, ", ") + "]" : "{}";
  }

  static bool is_one_line(const Value& v) {
    if (v.kind == Value::Kind::kWord)
      return v.word.find('\n') == std::string::npos;
    if (v.kind == Value::Kind::kObject)
      return v.items.empty();
    return !v.spread && std::all_of(v.items.begin(), v.items.end(),
                                    [](const Item& i) { return i.has_value && is_one_line(i.value); });
  }

  static bool stands_apart(const Item& item) {
    return !item.has_value || !item.comments.empty() || item.value.kind == Value::Kind::kObject;
  }

  // Entries that follow each other on one line each, whose equal signs are put in one column.
  static std::size_t run_length(const std::vector<Item>& items, std::size_t from) {
    std::size_t n = 0;
    while (from + n < items.size()) {
      const Item& item = items[from + n];
      bool joins = item.has_value && item.assigned && is_one_line(item.value) && (n == 0 || !stands_apart(item));
      if (!joins || (n == 0 && item.value.kind == Value::Kind::kObject))
        break;
      ++n;
    }
    return n;
  }

  void comment_lines(const Item& item, std::size_t level) {
    for (const std::string& comment : item.comments)
      out_ += padding(level) + comment + "\n";
  }

  void object_items(const std::vector<Item>& items, std::size_t level) {
    for (std::size_t i = 0; i < items.size();) {
      if (i > 0 && (stands_apart(items[i]) || stands_apart_behind(items[i - 1])))
        out_ += '\n';
      std::size_t n = run_length(items, i);
      if (n > 0) {
        aligned(items, i, n, level);
        i += n;
        continue;
      }
      single(items[i], level);
      ++i;
    }
  }

  static bool stands_apart_behind(const Item& item) {
    return !item.has_value || item.value.kind == Value::Kind::kObject;
  }

  void aligned(const std::vector<Item>& items, std::size_t from, std::size_t n, std::size_t level) {
    std::size_t key_width = 0;
    std::size_t value_width = 0;
    for (std::size_t i = from; i < from + n; ++i) {
      key_width = std::max(key_width, items[i].key.size());
      value_width = std::max(value_width, one_line(items[i].value).size());
    }
    for (std::size_t i = from; i < from + n; ++i) {
      const Item& item = items[i];
      std::string value = one_line(item.value);
      comment_lines(item, level);
      out_ += padding(level) + item.key + std::string(key_width - item.key.size(), ' ') + " = " + value;
      if (!item.trailing.empty())
        out_ += std::string(value_width - value.size(), ' ') + " " + item.trailing;
      out_ += '\n';
    }
  }

  void single(const Item& item, std::size_t level) {
    comment_lines(item, level);
    if (!item.has_value)
      return;
    out_ += padding(level) + item.key + (item.assigned ? " = " : " ");
    value(item.value, level);
    if (!item.trailing.empty())
      out_ += " " + item.trailing;
    out_ += '\n';
  }

  void value(const Value& v, std::size_t level) {
    if (is_one_line(v)) {
      out_ += one_line(v);
    } else if (v.kind == Value::Kind::kWord) {
      out_ += v.word;
    } else if (v.kind == Value::Kind::kObject) {
      out_ += "{\n";
      object_items(v.items, level + 1);
      out_ += padding(level) + "}";
    } else {
      out_ += "[\n";
      for (const Item& item : v.items) {
        comment_lines(item, level + 1);
        if (!item.has_value)
          continue;
        out_ += padding(level + 1);
        value(item.value, level + 1);
        out_ += "," + (item.trailing.empty() ? "" : " " + item.trailing) + "\n";
      }
      out_ += padding(level) + "]";
    }
  }

  std::string out_;
};

}  // namespace

Result<std::string> format_hcl(std::string_view text) {
  if (trim(text).starts_with('{'))
    return Status(Code::kInvalid, "the file is JSON, which has no layout of its own");
  Result<hcl::Node> valid = hcl::parse(text);
  if (!valid.ok())
    return valid.status();
  return Printer().print(Parser(Scanner(text).all()).items(false));
}

}  // namespace coffer::cli
