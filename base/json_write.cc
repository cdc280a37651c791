#include <algorithm>
#include <vector>

#include "base/json.h"
#include "base/json_reader.h"
#include "base/secret.h"

namespace coffer::json {
namespace {

bool is_html(char c) noexcept { return c == '<' || c == '>' || c == '&'; }

void append_unicode(std::uint32_t unit, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  const char text[6] = {'\\', 'u', kHex[unit >> 12 & 15], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15], kHex[unit & 15]};
  out.append(text, sizeof text);
}

void append_ascii_escape(char c, std::string& out) {
  char letter = 0;
  switch (c) {
    case '"': letter = '"'; break;
    case '\\': letter = '\\'; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default: append_unicode(static_cast<unsigned char>(c), out); return;
  }
  const char text[2] = {'\\', letter};
  out.append(text, 2);
}

// Appends [at, end) with what needs it escaped.
void append_escaped(const char* at, const char* end, std::string& out, bool html) {
  const char* plain = at;  // start of what is not yet appended
  while (at < end) {
    const char* stop = internal::skip_plain(at, end);
    if (html)
      stop = std::find_if(at, stop, is_html);
    at = stop;
    if (at == end)
      break;
    if (static_cast<unsigned char>(*at) < 0x80) {
      out.append(plain, at);
      append_ascii_escape(*at, out);
      plain = ++at;
      continue;
    }
    const std::size_t n = utf8_sequence(at, end);
    const bool line_end = n == 3 && at[0] == '\xe2' && at[1] == '\x80' && (at[2] == '\xa8' || at[2] == '\xa9');
    if (n != 0 && !line_end) {
      at += n;
      continue;
    }
    out.append(plain, at);
    append_unicode(line_end ? 0x2000u + static_cast<unsigned char>(at[2]) - 0x80u : 0xfffdu, out);
    at += n != 0 ? n : 1;
    plain = at;
  }
  out.append(plain, end);
}

class Writer {
 public:
  Writer(std::string& out, WriteOptions options, bool pretty) noexcept : out_(out), options_(options), pretty_(pretty) {}

  void value(const Value& v) {
    switch (v.kind()) {
      case Kind::kNull: out_.append("null"); break;
      case Kind::kBool: out_.append(v.as_bool() ? "true" : "false"); break;
      case Kind::kNumber: out_.append(v.number_text()); break;
      case Kind::kString: string(v.as_string()); break;
      case Kind::kRaw: out_.append(v.raw_text()); break;
      case Kind::kArray: array(v.elements()); break;
      case Kind::kObject: object(v.members()); break;
    }
  }

  void string(std::string_view text) {
    out_.push_back('"');
    append_escaped(text.data(), text.data() + text.size(), out_, options_.html_escape);
    out_.push_back('"');
  }

 private:
  void array(std::span<const Value> elements) {
    open('[');
    for (std::size_t i = 0; i < elements.size(); ++i) {
      next(i == 0);
      value(elements[i]);
    }
    close(']', elements.empty());
  }

  void object(std::span<const Member> members) {
    open('{');
    if (options_.sort_keys)
      sorted_members(members);
    else
      for (std::size_t i = 0; i < members.size(); ++i)
        member(members[i], i == 0);
    close('}', members.empty());
  }

  void sorted_members(std::span<const Member> members) {
    std::vector<const Member*> sorted;
    sorted.reserve(members.size());
    for (const Member& m : members)
      sorted.push_back(&m);
    std::sort(sorted.begin(), sorted.end(), [](const Member* a, const Member* b) { return a->key() < b->key(); });
    for (std::size_t i = 0; i < sorted.size(); ++i)
      member(*sorted[i], i == 0);
  }

  void member(const Member& m, bool first) {
    next(first);
    string(m.key());
    out_.append(pretty_ ? ": " : ":");
    value(m.value);
  }

  void open(char c) {
    out_.push_back(c);
    ++depth_;
  }
  void next(bool first) {
    if (!first)
      out_.push_back(',');
    if (pretty_)
      line();
  }
  void close(char c, bool empty) {
    --depth_;
    if (pretty_ && !empty)
      line();
    out_.push_back(c);
  }
  void line() {
    out_.push_back('\n');
    out_.append(depth_ * 2, ' ');
  }

  std::string& out_;
  WriteOptions options_;
  bool pretty_;
  std::size_t depth_ = 0;
};

}  // namespace

void write(const Value& value, std::string& out, WriteOptions options) { Writer(out, options, false).value(value); }

void write_pretty(const Value& value, std::string& out, WriteOptions options) { Writer(out, options, true).value(value); }

void write_string(std::string_view text, std::string& out, WriteOptions options) {
  Writer(out, options, false).string(text);
}

}  // namespace coffer::json
