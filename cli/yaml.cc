#include "cli/yaml.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/text.h"
#include "cli/yaml_scalar.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kWidthColumns = 80;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

std::string_view number_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end]))
    ++end;
  text = text.substr(at, end - at);
  while (text.starts_with('0'))
    text.remove_prefix(1);
  return text;
}

// The order of keys: numbers within them count by their value.
bool goes_before(std::string_view a, std::string_view b) {
  bool digits = false;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) {
      digits = is_digit(a[i]);
      continue;
    }
    bool a_letter = is_letter(a[i]);
    bool b_letter = is_letter(b[i]);
    if (a_letter && b_letter)
      return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]);
    if (a_letter || b_letter)
      return digits ? a_letter : b_letter;
    std::size_t start = i;
    while (start > 0 && is_digit(a[start - 1]))
      --start;
    std::string_view x = number_at(a, start);
    std::string_view y = number_at(b, start);
    if (x.size() != y.size())
      return x.size() < y.size();
    return x != y ? x < y : a[i] < b[i];
  }
  return a.size() < b.size();
}

class Writer {
 public:
  std::string take() { return std::move(out_); }

  void value(const json::Value& v, std::size_t indent) {
    if (v.is_object() && v.size() > 0)
      mapping(v, indent, true);
    else if (v.is_array() && v.size() > 0)
      sequence(v, indent, true);
    else
      leaf(v, indent + 2);
  }

 private:
  void put(std::string_view text) {
    out_ += text;
    column_ += rune_count(text);
  }

  void line(std::size_t indent) {
    out_ += '\n';
    out_.append(indent, ' ');
    column_ = indent;
  }

  void mapping(const json::Value& object, std::size_t indent, bool on_this_line) {
    std::vector<const json::Member*> in_order;
    for (const json::Member& m : object.members())
      in_order.push_back(&m);
    std::sort(in_order.begin(), in_order.end(), [](auto* a, auto* b) { return goes_before(a->key(), b->key()); });
    for (const json::Member* at : in_order) {
      const json::Member& m = *at;
      if (!on_this_line)
        line(indent);
      on_this_line = false;
      scalar(m.key(), indent, true);
      put(":");
      if (m.value.is_object() && m.value.size() > 0) {
        mapping(m.value, indent + 2, false);
      } else if (m.value.is_array() && m.value.size() > 0) {
        sequence(m.value, indent, false);
      } else {
        put(" ");
        leaf(m.value, indent + 2);
      }
    }
  }

  void sequence(const json::Value& array, std::size_t indent, bool on_this_line) {
    for (const json::Value& element : array.elements()) {
      if (!on_this_line)
        line(indent);
      on_this_line = false;
      put("- ");
      if (element.is_object() && element.size() > 0)
        mapping(element, indent + 2, true);
      else if (element.is_array() && element.size() > 0)
        sequence(element, indent + 2, true);
      else
        leaf(element, indent + 2);
    }
  }

  void leaf(const json::Value& v, std::size_t indent) {
    switch (v.kind()) {
      case json::Kind::kNull: put("null"); break;
      case json::Kind::kBool: put(v.as_bool() ? "true" : "false"); break;
      case json::Kind::kNumber: put(yaml_number(v.number_text())); break;
      case json::Kind::kString: scalar(v.as_string(), indent, false); break;
      case json::Kind::kArray: put("[]"); break;
      case json::Kind::kObject: put("{}"); break;
      case json::Kind::kRaw: put(v.raw_text()); break;
    }
  }

  void scalar(std::string_view text, std::size_t indent, bool is_key) {
    switch (yaml_style(text, is_key)) {
      case YamlStyle::kPlain: folded(text, indent, is_key, false); break;
      case YamlStyle::kSingle:
        put("'");
        folded(text, indent, is_key, true);
        put("'");
        break;
      case YamlStyle::kDouble: double_quoted(text, indent, is_key); break;
      case YamlStyle::kLiteral: literal(text, indent); break;
    }
  }

  // Breaks a line at the first single space behind the last column.
  void folded(std::string_view text, std::size_t indent, bool is_key, bool single) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      bool alone = text[i] == ' ' && (i == 0 || text[i - 1] != ' ') && (i + 1 >= text.size() || text[i + 1] != ' ');
      bool inside = !single || (i > 0 && i + 1 < text.size());
      if (alone && inside && !is_key && column_ > kWidthColumns) {
        line(indent);
        continue;
      }
      if (single && text[i] == '\'')
        put("'");
      put(text.substr(i, 1));
    }
  }

  void double_quoted(std::string_view text, std::size_t indent, bool is_key) {
    put("\"");
    bool spaces = false;
    std::size_t i = 0;
    while (i < text.size()) {
      std::size_t length = std::min(yaml_rune_bytes(text, i), text.size() - i);
      std::string_view rune = text.substr(i, length);
      bool space = rune == " ";
      if (space && !spaces && !is_key && column_ > kWidthColumns && i > 0 && i + 1 < text.size()) {
        line(indent);
        if (text[i + 1] == ' ')
          put("\\");
      } else {
        put(yaml_escaped(rune));
      }
      spaces = space;
      i += length;
    }
    put("\"");
  }

  void literal(std::string_view text, std::size_t indent) {
    put("|");
    if (text.front() == ' ' || text.front() == '\n')
      put("2");
    if (text.back() != '\n')
      put("-");
    else if (text.size() == 1 || text[text.size() - 2] == '\n')
      put("+");
    if (text.back() == '\n')
      text.remove_suffix(1);
    std::size_t start = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (i < text.size() && text[i] != '\n')
        continue;
      std::string_view one = text.substr(start, i - start);
      if (one.empty())
        out_ += '\n';
      else {
        line(indent);
        put(one);
      }
      start = i + 1;
    }
  }

  std::string out_;
  std::size_t column_ = 0;
};

}  // namespace

std::string yaml(const json::Value& value) {
  Writer writer;
  writer.value(value, 0);
  return writer.take();
}

}  // namespace coffer::cli
