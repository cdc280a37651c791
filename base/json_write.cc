#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/json.h"
#include "base/utf8.h"

namespace coffer::json {
namespace {

enum : std::uint8_t { kPlain, kEscape, kHtml, kNotAscii };

constexpr std::array<std::uint8_t, 256> kClass = [] {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 0; c < 256; ++c)
    table[c] = c < 0x20 || c == '"' || c == '\\'  ? kEscape
               : c == '<' || c == '>' || c == '&' ? kHtml
               : c >= 0x80                        ? kNotAscii
                                                  : kPlain;
  return table;
}();

// Appends to a string by pointer: the string is kept longer than its content and cut at the end.
class Output {
 public:
  explicit Output(std::string& out) : out_(out), at_(out.data() + out.size()), end_(at_) { grow(256); }
  ~Output() { out_.resize(static_cast<std::size_t>(at_ - out_.data())); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void put(char c) {
    room(1);
    *at_++ = c;
  }
  void put(std::string_view text) {
    room(text.size());
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void fill(std::size_t count, char c) {
    room(count);
    std::memset(at_, c, count);
    at_ += count;
  }

  // A string with its quotes.
  void put_string(std::string_view text, bool html) {
    // Sixteen more than needed, because whole blocks are stored before they are looked at.
    room(text.size() + 18);
    *at_++ = '"';
    const char* from = text.data();
    const char* end = from + text.size();
    for (;;) {
      from = put_plain(from, end, html);
      if (from == end)
        break;
      from = put_special(from, end);
      room(static_cast<std::size_t>(end - from) + 18);
    }
    *at_++ = '"';
  }

 private:
  void room(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes) [[unlikely]]
      grow(bytes);
  }
  void grow(std::size_t bytes) {
    const std::size_t used = static_cast<std::size_t>(at_ - out_.data());
    out_.resize(std::max(used + bytes, used * 2));
    at_ = out_.data() + used;
    end_ = out_.data() + out_.size();
  }

  // Copies up to the first byte that cannot stand as it is.
  const char* put_plain(const char* from, const char* end, bool html) noexcept {
    char* to = at_;
#ifdef __SSE2__
    while (end - from >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
      __m128i special =
          _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
      special = _mm_or_si128(special, _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
      if (html) {
        special = _mm_or_si128(special, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('&')));
        // '<' and '>' differ in one bit.
        special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_or_si128(bytes, _mm_set1_epi8(2)), _mm_set1_epi8('>')));
      }
      const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(special));
      const unsigned plain = mask == 0 ? 16 : static_cast<unsigned>(__builtin_ctz(mask));
      from += plain;
      to += plain;
      if (mask != 0) {
        at_ = to;
        return from;
      }
    }
#endif
    while (from < end) {
      const std::uint8_t what = kClass[static_cast<unsigned char>(*from)];
      if (what != kPlain && (what != kHtml || html))
        break;
      *to++ = *from++;
    }
    at_ = to;
    return from;
  }

  const char* put_special(const char* from, const char* end) {
    if (static_cast<unsigned char>(*from) < 0x80) {
      put_escape(*from);
      return from + 1;
    }
    while (from < end && static_cast<unsigned char>(*from) >= 0x80) {
      const std::size_t n = utf8_sequence(from, end);
      const bool line_end =
          n == 3 && from[0] == '\xe2' && from[1] == '\x80' && (from[2] == '\xa8' || from[2] == '\xa9');
      if (line_end)
        put_unicode(0x2000u + static_cast<unsigned char>(from[2]) - 0x80u);
      else if (n != 0)
        put(std::string_view(from, n));
      else
        put_unicode(0xfffd);
      from += n != 0 ? n : 1;
    }
    return from;
  }

  void put_escape(char c) {
    switch (c) {
      case '"': put("\\\""); break;
      case '\\': put("\\\\"); break;
      case '\b': put("\\b"); break;
      case '\f': put("\\f"); break;
      case '\n': put("\\n"); break;
      case '\r': put("\\r"); break;
      case '\t': put("\\t"); break;
      default: put_unicode(static_cast<unsigned char>(c)); break;
    }
  }

  void put_unicode(std::uint32_t unit) {
    static constexpr char kHex[] = "0123456789abcdef";
    const char text[6] = {'\\', 'u', kHex[unit >> 12 & 15], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15],
                          kHex[unit & 15]};
    put(std::string_view(text, sizeof text));
  }

  std::string& out_;
  char* at_;
  char* end_;
};

class Writer {
 public:
  Writer(std::string& out, WriteOptions options, bool pretty) : out_(out), options_(options), pretty_(pretty) {}

  void value(const Value& v) {
    switch (v.kind()) {
      case Kind::kNull: out_.put("null"); break;
      case Kind::kBool: out_.put(v.as_bool() ? "true" : "false"); break;
      case Kind::kNumber: out_.put(v.number_text()); break;
      case Kind::kString: out_.put_string(v.as_string(), options_.html_escape); break;
      case Kind::kRaw: out_.put(v.raw_text()); break;
      case Kind::kArray: array(v.elements()); break;
      case Kind::kObject: object(v.members()); break;
    }
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
    out_.put_string(m.key(), options_.html_escape);
    out_.put(pretty_ ? ": " : ":");
    value(m.value);
  }

  void open(char c) {
    out_.put(c);
    ++depth_;
  }
  void next(bool first) {
    if (!first)
      out_.put(',');
    if (pretty_)
      line();
  }
  void close(char c, bool empty) {
    --depth_;
    if (pretty_ && !empty)
      line();
    out_.put(c);
  }
  void line() {
    out_.put('\n');
    out_.fill(depth_ * 2, ' ');
  }

  Output out_;
  WriteOptions options_;
  bool pretty_;
  std::size_t depth_ = 0;
};

}  // namespace

void write(const Value& value, std::string& out, WriteOptions options) { Writer(out, options, false).value(value); }

void write_pretty(const Value& value, std::string& out, WriteOptions options) {
  Writer(out, options, true).value(value);
}

void write_string(std::string_view text, std::string& out, WriteOptions options) {
  // Names and other short text that needs no escapes: without making room for more, which costs in proportion to what
  // `out` holds.
  char quoted[128];
  if (text.size() + 2 <= sizeof quoted) {
    char* to = quoted;
    *to++ = '"';
    bool plain = true;
    for (const char c : text) {
      const std::uint8_t what = kClass[static_cast<unsigned char>(c)];
      plain &= what == kPlain || (what == kHtml && !options.html_escape);
      *to++ = c;
    }
    *to++ = '"';
    if (plain) {
      out.append(quoted, static_cast<std::size_t>(to - quoted));
      return;
    }
  }
  Output(out).put_string(text, options.html_escape);
}

}  // namespace coffer::json
