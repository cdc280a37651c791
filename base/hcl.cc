#include "base/hcl.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/secret.h"
#include "base/utf8.h"

namespace coffer::hcl {
namespace internal {
// base/hcl_json.cc
Result<Node> parse_json(std::string_view text, const Limits& limits);
}  // namespace internal

namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_word(char c) noexcept { return is_letter(c) || is_digit(c) || c == '-' || c == '.'; }

// Recursive descent over the text; depth is bounded by Limits. Every method leaves the cursor behind what it read or
// returns a failure.
class Parser {
 public:
  Parser(std::string_view text, const Limits& limits) noexcept : text_(text), limits_(limits) {}

  Result<Node> run() {
    Node root;
    root.kind = Kind::kObject;
    root.at = here();
    COFFER_TRY(read_items(root, '\0'));
    return root;
  }

 private:
  bool done() const noexcept { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const noexcept { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  Position here() const noexcept { return {line_, static_cast<std::uint32_t>(at_ - line_start_ + 1)}; }
  Status fail(std::string_view message) const { return error_at(here(), message); }

  void next() noexcept {
    if (text_[at_++] == '\n') {
      ++line_;
      line_start_ = at_;
    }
  }

  Status skip_space() {
    while (!done()) {
      const char c = peek();
      if (is_space(c)) {
        next();
      } else if (c == '#' || (c == '/' && peek(1) == '/')) {
        while (!done() && peek() != '\n')
          next();
      } else if (c == '/' && peek(1) == '*') {
        const Position start = here();
        next();
        next();
        while (!done() && !(peek() == '*' && peek(1) == '/'))
          next();
        if (done())
          return error_at(start, "this comment has no end");
        next();
        next();
      } else {
        break;
      }
    }
    return ok_status();
  }

  Status count_node() {
    if (++nodes_ > limits_.nodes)
      return Status(Code::kTooLarge, "line " + std::to_string(line_) + ": more values than allowed");
    return ok_status();
  }

  // Items up to `close`, which is taken, or to the end of the text when it is NUL.
  Status read_items(Node& object, char close) {
    std::set<std::string, std::less<>> attributes;
    const Position start = here();
    for (;;) {
      COFFER_TRY(skip_space());
      if (done())
        return close == '\0' ? ok_status() : error_at(start, "this block has no closing '}'");
      if (peek() == close && close != '\0') {
        next();
        return ok_status();
      }
      COFFER_TRY(count_node());
      Item item;
      COFFER_TRY(read_item(item));
      if (!item.is_block && !attributes.insert(item.key).second)
        return error_at(item.at, "the key \"" + item.key + "\" is set twice");
      object.items.push_back(std::move(item));
      COFFER_TRY(skip_space());
      if (peek() == ',')
        next();
    }
  }

  Status read_item(Item& item) {
    item.at = here();
    COFFER_TRY(read_key(item.key, "expected a key"));
    for (;;) {
      COFFER_TRY(skip_space());
      const char c = peek();
      if (c == '=' && item.labels.empty()) {
        next();
        COFFER_TRY(skip_space());
        return read_value(item.value);
      }
      if (c == '{') {
        item.is_block = true;
        return read_value(item.value);
      }
      if (done() || !(c == '"' || is_letter(c)))
        return fail(item.labels.empty() ? "expected '=', '{' or a label after the key" : "expected '{' or a label");
      if (item.labels.size() >= limits_.depth)
        return fail("too many labels");
      COFFER_TRY(read_key(item.labels.emplace_back(), "expected a label"));
    }
  }

  Status read_key(std::string& key, std::string_view expected) {
    if (peek() == '"')
      return read_string(key);
    if (done() || !is_letter(peek()))
      return fail(expected);
    const std::size_t start = at_;
    while (!done() && is_word(peek()))
      next();
    key = text_.substr(start, at_ - start);
    return ok_status();
  }

  Status read_value(Node& node) {
    node.at = here();
    if (depth_ >= limits_.depth)
      return Status(Code::kTooLarge, "line " + std::to_string(line_) + ": nested too deeply");
    const char c = peek();
    if (c == '"') {
      node.kind = Kind::kString;
      return read_string(node.text);
    }
    if (c == '{' || c == '[') {
      next();
      ++depth_;
      node.kind = c == '{' ? Kind::kObject : Kind::kList;
      Status status = c == '{' ? read_items(node, '}') : read_list(node);
      --depth_;
      return status;
    }
    if (c == '<' && peek(1) == '<') {
      node.kind = Kind::kString;
      return read_heredoc(node.text);
    }
    if (is_digit(c) || c == '-' || c == '.')
      return read_number(node);
    return read_bool(node);
  }

  Status read_list(Node& list) {
    const Position start = list.at;
    for (;;) {
      COFFER_TRY(skip_space());
      if (done())
        return error_at(start, "this list has no closing ']'");
      if (peek() == ']') {
        next();
        return ok_status();
      }
      COFFER_TRY(count_node());
      COFFER_TRY(read_value(list.list.emplace_back()));
      COFFER_TRY(skip_space());
      if (peek() == ',')
        next();
      else if (peek() != ']')
        return done() ? error_at(start, "this list has no closing ']'") : fail("expected ',' or ']'");
    }
  }

  Status read_bool(Node& node) {
    const Position start = here();
    const std::size_t from = at_;
    while (!done() && is_word(peek()))
      next();
    const std::string_view word = text_.substr(from, at_ - from);
    if (word != "true" && word != "false")
      return error_at(start, word.empty() ? "expected a value" : "expected a value; text stands in quotes");
    node.kind = Kind::kBool;
    node.text = word;
    return ok_status();
  }

  Status read_number(Node& node) {
    const Position start = here();
    const std::size_t from = at_;
    while (!done() && (is_word(peek()) || ((peek() == '+' || peek() == '-') && (text_[at_ - 1] | 0x20) == 'e')))
      next();
    node.kind = Kind::kNumber;
    node.text = text_.substr(from, at_ - from);
    double value = 0;
    const char* first = node.text.data();
    const char* last = first + node.text.size();
    if (as_int(node).ok())
      return ok_status();
    const auto [end, error] = std::from_chars(first, last, value);
    // An octal number that is none, as 09, is not taken for a decimal one.
    const bool octal = node.text.size() > 1 && node.text[0] == '0' && is_digit(node.text[1]);
    if (octal || error != std::errc() || end != last ||
        node.text.find_first_not_of("0123456789+-.eE") != std::string::npos)
      return error_at(start, "expected a number");
    return ok_status();
  }

  // Between quotes. "${…}" is kept as it is, quotes inside it included.
  Status read_string(std::string& out) {
    const Position start = here();
    next();
    int braces = 0;
    while (!done()) {
      const char c = peek();
      if (braces == 0 && c == '\n')
        break;
      if (braces == 0 && c == '"') {
        next();
        return ok_status();
      }
      if (c == '$' && peek(1) == '{') {
        ++braces;
        out.append("${");
        next();
        next();
      } else if (braces > 0) {
        braces += c == '{' ? 1 : c == '}' ? -1 : 0;
        out.push_back(c);
        next();
      } else if (c == '\\') {
        COFFER_TRY(read_escape(out));
      } else {
        COFFER_TRY(read_plain(out));
      }
    }
    return error_at(start, "this text has no closing quote on its line");
  }

  Status read_plain(std::string& out) {
    const std::size_t n = utf8_sequence(text_.data() + at_, text_.data() + text_.size());
    if (n == 0)
      return fail("invalid UTF-8");
    out.append(text_.substr(at_, n));
    at_ += n;
    return ok_status();
  }

  Status read_escape(std::string& out) {
    next();
    const char c = peek();
    static constexpr std::string_view kLetters = "abfnrtv\\\"";
    static constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\\"";
    if (const std::size_t i = kLetters.find(c); c != '\0' && i != std::string_view::npos) {
      out.push_back(kBytes[i]);
      next();
      return ok_status();
    }
    switch (c) {
      case 'x': next(); return read_code(out, 2, 16, false);
      case 'u': next(); return read_code(out, 4, 16, true);
      case 'U': next(); return read_code(out, 8, 16, true);
      default: return is_digit(c) ? read_code(out, 3, 8, false) : fail("unknown escape");
    }
  }

  Status read_code(std::string& out, std::size_t digits, int base, bool unicode) {
    std::uint32_t code = 0;
    const std::string_view text = text_.substr(at_, digits);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code, base);
    if (text.size() != digits || error != std::errc() || end != text.data() + digits)
      return fail("wrong digits in an escape");
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || (!unicode && code > 0x7f))
      return fail("this escape is no character");
    char bytes[4];
    out.append(bytes, utf8_encode(code, bytes));
    at_ += digits;
    return ok_status();
  }

  Status read_heredoc(std::string& out) {
    const Position start = here();
    next();
    next();
    const bool indented = peek() == '-';
    if (indented)
      next();
    const std::size_t name_at = at_;
    while (!done() && is_word(peek()))
      next();
    const std::string_view name = text_.substr(name_at, at_ - name_at);
    if (peek() == '\r')
      next();
    if (name.empty() || peek() != '\n')
      return error_at(start, "expected a word and a line end after '<<'");
    next();
    const std::size_t body_at = at_;
    for (;;) {
      const std::size_t line_at = at_;
      while (!done() && (peek() == ' ' || peek() == '\t'))
        next();
      const std::size_t word_at = at_;
      while (!done() && peek() != '\n')
        next();
      std::string_view word = text_.substr(word_at, at_ - word_at);
      if (word.ends_with('\r'))
        word.remove_suffix(1);
      if (word == name) {
        out = text_.substr(body_at, line_at - body_at);
        if (!is_utf8(out))
          return error_at(start, "invalid UTF-8 in this text");
        drop_carriage_returns(out);
        if (indented)
          unindent(out, text_.substr(line_at, word_at - line_at));
        return ok_status();
      }
      if (done())
        return error_at(start, "this text has no closing word");
      next();
    }
  }

  // Line ends of another system.
  static void drop_carriage_returns(std::string& body) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < body.size(); ++i) {
      if (body[i] != '\r' || i + 1 == body.size() || body[i + 1] != '\n')
        body[kept++] = body[i];
    }
    body.resize(kept);
  }

  // Takes the closing word's indentation off every line, if all have it.
  static void unindent(std::string& body, std::string_view indent) {
    std::string out;
    std::string_view left = body;
    while (!left.empty()) {
      if (!left.starts_with(indent))
        return;
      left.remove_prefix(indent.size());
      const std::size_t end = std::min(left.find('\n'), left.size() - 1) + 1;
      out.append(left.substr(0, end));
      left.remove_prefix(end);
    }
    body = std::move(out);
  }

  std::string_view text_;
  const Limits& limits_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
  std::size_t depth_ = 0;
  std::size_t nodes_ = 0;
};

// The blocks of one item, whose labels may stand in the text or as keys of nested objects.
Status collect(const Node& node, Position at, std::vector<std::string> labels, std::size_t wanted, std::string_view key,
               std::vector<Block>& out) {
  if (node.kind == Kind::kList) {
    for (const Node& element : node.list)
      COFFER_TRY(collect(element, element.at, labels, wanted, key, out));
    return ok_status();
  }
  if (node.kind != Kind::kObject)
    return error_at(at, "\"" + std::string(key) + "\" must be a block");
  if (labels.size() == wanted) {
    out.push_back({std::move(labels), &node, at});
    return ok_status();
  }
  if (labels.size() > wanted)
    return error_at(at, "\"" + std::string(key) + "\" has too many labels");
  // As in HCL, so in JSON: an inner block's own labels come after the key.
  for (const Item& item : node.items) {
    std::vector<std::string> more = labels;
    more.push_back(item.key);
    more.insert(more.end(), item.labels.begin(), item.labels.end());
    if (item.value.kind != Kind::kObject && item.value.kind != Kind::kList)
      return error_at(item.at, "\"" + std::string(key) + "\" needs a label");
    COFFER_TRY(collect(item.value, item.at, std::move(more), wanted, key, out));
  }
  return ok_status();
}

}  // namespace

const Node* Node::find(std::string_view key) const noexcept {
  const Node* found = nullptr;
  for (const Item& item : items) {
    if (item.key == key)
      found = &item.value;
  }
  return found;
}

Result<std::vector<Block>> blocks(const Node& object, std::string_view key, std::size_t labels) {
  std::vector<Block> out;
  for (const Item& item : object.items) {
    if (item.key == key)
      COFFER_TRY(collect(item.value, item.at, item.labels, labels, key, out));
  }
  return out;
}

Result<Node> parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes)
    return Status(Code::kTooLarge, "longer than " + std::to_string(limits.bytes) + " bytes");
  std::size_t start = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  text.remove_prefix(start);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{')
    return internal::parse_json(text, limits);
  return Parser(text, limits).run();
}

void wipe_tree(Node& node) noexcept {
  wipe(node.text.data(), node.text.size());
  for (Node& element : node.list)
    wipe_tree(element);
  for (Item& item : node.items)
    wipe_tree(item.value);
}

Status error_at(Position at, std::string_view message) {
  std::string text = "line " + std::to_string(at.line) + ", column " + std::to_string(at.column) + ": ";
  text += message;
  return Status(Code::kInvalid, std::move(text));
}

Result<std::int64_t> as_int(const Node& node) {
  std::string_view text = node.text;
  const Status wrong = Status(Code::kInvalid, "expected a whole number");
  if ((node.kind != Kind::kNumber && node.kind != Kind::kString) || text.empty())
    return wrong;
  const bool negative = text.front() == '-';
  if (negative)
    text.remove_prefix(1);
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
    text.remove_prefix(1);
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return wrong;
  return negative ? -value : value;
}

Result<bool> as_bool(const Node& node) {
  if (node.kind == Kind::kList || node.kind == Kind::kObject)
    return Status(Code::kInvalid, "expected true or false");
  for (const std::string_view yes : {"true", "1", "t", "T", "TRUE", "True"}) {
    if (node.text == yes)
      return true;
  }
  for (const std::string_view no : {"false", "0", "f", "F", "FALSE", "False"}) {
    if (node.text == no)
      return false;
  }
  return Status(Code::kInvalid, "expected true or false");
}

}  // namespace coffer::hcl
