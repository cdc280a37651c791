#include "cli/yaml_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>

namespace coffer::cli {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits(std::string_view text, std::size_t at) {
  std::size_t n = 0;
  while (at + n < text.size() && is_digit(text[at + n]))
    ++n;
  return n;
}

bool is_word_of_yaml(std::string_view text) {
  static constexpr std::array<std::string_view, 38> kWords = {
      "",     "~",    "null", "Null",  "NULL",  "y",     "Y",    "yes",  "Yes",  "YES",   "true",  "True",  "TRUE",
      "on",   "On",   "ON",   "n",     "N",     "no",    "No",   "NO",   "off",  "Off",   "OFF",   "false", "False",
      "FALSE", ".nan", ".NaN", ".NAN", ".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf"};
  return text == "-.INF" || std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

// [sign] digits [. digits] [e [sign] digits], with at least one digit before the exponent.
bool is_float(std::string_view text) {
  std::size_t at = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  std::size_t whole = digits(text, at);
  at += whole;
  std::size_t part = 0;
  if (at < text.size() && text[at] == '.') {
    part = digits(text, at + 1);
    at += 1 + part;
  }
  if (whole + part == 0)
    return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-'))
      ++at;
    std::size_t exponent = digits(text, at);
    if (exponent == 0)
      return false;
    at += exponent;
  }
  return at == text.size();
}

bool is_based_int(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-'))
    text.remove_prefix(1);
  if (text.size() < 3 || text[0] != '0')
    return false;
  std::string_view allowed;
  switch (text[1]) {
    case 'x': case 'X': allowed = "0123456789abcdefABCDEF"; break;
    case 'o': case 'O': allowed = "01234567"; break;
    case 'b': case 'B': allowed = "01"; break;
    default: return false;
  }
  return text.find_first_not_of(allowed, 2) == std::string_view::npos;
}

// 12:30:45.5, which YAML 1.1 reads as a number to the base of sixty.
bool is_base_sixty(std::string_view text) {
  std::size_t at = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  if (digits(text, at) == 0)
    return false;
  while (at < text.size() && (is_digit(text[at]) || text[at] == '_'))
    ++at;
  std::size_t groups = 0;
  while (at < text.size() && text[at] == ':') {
    std::size_t n = digits(text, at + 1);
    if (n == 0 || n > 2 || (n == 2 && text[at + 1] > '5'))
      return false;
    at += 1 + n;
    ++groups;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    while (at < text.size() && (is_digit(text[at]) || text[at] == '_'))
      ++at;
  }
  return groups > 0 && at == text.size();
}

// Takes one or two digits and the separator behind them.
bool take_part(std::string_view& text, char separator) {
  std::size_t n = digits(text, 0);
  if (n == 0 || n > 2 || text.size() <= n || text[n] != separator)
    return false;
  text.remove_prefix(n + 1);
  return true;
}

bool is_timestamp(std::string_view text) {
  if (digits(text, 0) != 4 || text.size() < 6 || text[4] != '-')
    return false;
  text.remove_prefix(5);
  if (!take_part(text, '-'))
    return false;
  std::size_t day = digits(text, 0);
  if (day == 0 || day > 2)
    return false;
  text.remove_prefix(day);
  if (text.empty())
    return true;
  bool zoned = text[0] == 'T' || text[0] == 't';
  if (!zoned && text[0] != ' ')
    return false;
  text.remove_prefix(1);
  if (!take_part(text, ':') || !take_part(text, ':'))
    return false;
  std::size_t seconds = digits(text, 0);
  if (seconds == 0 || seconds > 2)
    return false;
  text.remove_prefix(seconds);
  if (!text.empty() && text[0] == '.')
    text.remove_prefix(1 + digits(text, 1));
  if (!zoned)
    return text.empty();
  bool offset = text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
  return text == "Z" || offset;
}

bool reads_as_other_type(std::string_view text) {
  if (is_word_of_yaml(text))
    return true;
  char first = text.front();
  if (!is_digit(first) && first != '+' && first != '-' && first != '.')
    return false;
  std::string plain(text);
  plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  return is_float(plain) || is_based_int(plain) || is_base_sixty(text) || is_timestamp(text);
}

bool printable(std::string_view rune) {
  auto first = static_cast<unsigned char>(rune[0]);
  if (rune.size() == 1)
    return first == '\n' || (first >= 0x20 && first < 0x7f);
  auto second = static_cast<unsigned char>(rune[1]);
  if (rune.size() == 2)
    return first > 0xc2 || second >= 0xa0;
  return rune.size() == 3 && rune != "\xef\xbb\xbf" && !rune.starts_with("\xe2\x80\xa8") &&
         !rune.starts_with("\xe2\x80\xa9");
}

struct Shape {
  bool special = false;         // characters that only double quotes can hold
  bool indicator = false;       // would be read as structure
  bool edge_space = false;      // a space or line break at either end
  bool trailing_space = false;
  bool space_before_break = false;
};

Shape shape_of(std::string_view text) {
  static constexpr std::string_view kAtStart = "#,[]{}&*!|>'\"%@`";
  Shape shape;
  shape.indicator = text.starts_with("---") || text.starts_with("...");
  shape.edge_space = text.front() == ' ' || text.front() == '\n' || text.back() == ' ' || text.back() == '\n';
  shape.trailing_space = text.back() == ' ';
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = std::min(yaml_rune_bytes(text, i), text.size() - i);
    char c = text[i];
    bool blank_behind =
        i + length >= text.size() || text[i + length] == ' ' || text[i + length] == '\n' || text[i + length] == '\t';
    bool blank_before = i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n' || text[i - 1] == '\t';
    if (i == 0 && kAtStart.find(c) != std::string_view::npos)
      shape.indicator = true;
    if (i == 0 && (c == '?' || c == '-') && blank_behind)
      shape.indicator = true;
    if ((c == ':' && blank_behind) || (c == '#' && blank_before))
      shape.indicator = true;
    if (!printable(text.substr(i, length)))
      shape.special = true;
    if (c == ' ' && i + 1 < text.size() && text[i + 1] == '\n')
      shape.space_before_break = true;
    i += length;
  }
  return shape;
}

}  // namespace

YamlStyle yaml_style(std::string_view text, bool is_key) {
  if (reads_as_other_type(text))
    return YamlStyle::kDouble;
  Shape shape = shape_of(text);
  if (shape.special || shape.space_before_break)
    return YamlStyle::kDouble;
  if (text.find('\n') != std::string_view::npos)
    return is_key || shape.trailing_space ? YamlStyle::kDouble : YamlStyle::kLiteral;
  return shape.indicator || shape.edge_space ? YamlStyle::kSingle : YamlStyle::kPlain;
}

std::string yaml_number(std::string_view text) {
  std::string_view magnitude = text.starts_with('-') ? text.substr(1) : text;
  bool whole = magnitude.find_first_not_of("0123456789") == std::string_view::npos;
  std::uint64_t integer = 0;
  auto parsed = std::from_chars(magnitude.data(), magnitude.data() + magnitude.size(), integer);
  if (whole && parsed.ec == std::errc() && (text.size() == magnitude.size() || integer <= (1ull << 63)))
    return std::string(text);
  double number = 0;
  auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc())
    return std::string(text);
  char buffer[64];
  auto written = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific);
  std::string shortest(buffer, written.ptr);
  int exponent = std::stoi(shortest.substr(shortest.find('e') + 1));
  if (number == 0 || (exponent >= -4 && exponent < 6)) {
    written = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed);
    return std::string(buffer, written.ptr);
  }
  return shortest;
}

std::size_t yaml_rune_bytes(std::string_view text, std::size_t at) {
  auto first = static_cast<unsigned char>(text[at]);
  if (first >= 0xf0)
    return 4;
  if (first >= 0xe0)
    return 3;
  return first >= 0xc0 ? 2 : 1;
}

std::string yaml_escaped(std::string_view rune) {
  if (rune == "\"" || rune == "\\")
    return "\\" + std::string(rune);
  if (rune != "\n" && printable(rune))
    return std::string(rune);
  static constexpr std::string_view kFrom{"\0\a\b\t\n\v\f\r\x1b", 9};
  static constexpr std::string_view kTo = "0abtnvfre";
  if (rune.size() == 1) {
    std::size_t at = kFrom.find(rune[0]);
    if (at != std::string_view::npos)
      return std::string("\\") + kTo[at];
  }
  std::uint32_t code = static_cast<unsigned char>(rune[0]);
  if (rune.size() > 1) {
    code &= 0x7fu >> rune.size();
    for (char c : rune.substr(1))
      code = code << 6 | (static_cast<unsigned char>(c) & 0x3fu);
  }
  if (code == 0x85)
    return "\\N";
  if (code == 0x2028)
    return "\\L";
  if (code == 0x2029)
    return "\\P";
  char buffer[16];
  const char* format = code <= 0xff ? "\\x%02X" : code <= 0xffff ? "\\u%04X" : "\\U%08X";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(code));
  return buffer;
}

}  // namespace coffer::cli
