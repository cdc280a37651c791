// The one grammar behind json::parse and json::rewrite_scalars: an iterative reader that reports events to a sink.
// Private to base/json*.cc.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/mutant.h"
#include "base/utf8.h"

namespace coffer::json::internal {

// The first byte in [at, end) that is a quote, a backslash, a control character or not ASCII.
inline const char* skip_plain(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // The signed comparison takes control characters and bytes from 0x80 at once.
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                         _mm_cmplt_epi8(bytes, space));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0)
      return at + __builtin_ctz(mask);
  }
#endif
  while (at < end && *at != '"' && *at != '\\' && static_cast<signed char>(*at) >= 0x20)
    ++at;
  return at;
}

// Decodes what stands between the quotes; the reader has checked it. `to` has room for raw.size() bytes. Returns the
// length.
std::size_t unescape(std::string_view raw, char* to) noexcept;

// A stack of small trivial things whose first N stand in place; only texts with many open values go to the heap.
template <typename T, std::size_t N>
class SmallStack {
 public:
  SmallStack() noexcept {}  // leaves the room in place uninitialised
  SmallStack(const SmallStack&) = delete;
  SmallStack& operator=(const SmallStack&) = delete;

  void push(T v) {
    if (size_ == capacity_) [[unlikely]]
      grow();
    data_[size_++] = v;
  }
  T pop() noexcept { return data_[--size_]; }
  T top() const noexcept { return data_[size_ - 1]; }
  std::size_t size() const noexcept { return size_; }
  T* from(std::size_t base) noexcept { return data_ + base; }
  void cut(std::size_t size) noexcept { size_ = size; }

 private:
  void grow() {
    auto larger = std::make_unique<T[]>(capacity_ * 2);
    std::copy(data_, data_ + size_, larger.get());
    heap_ = std::move(larger);
    data_ = heap_.get();
    capacity_ *= 2;
  }

  union {
    T inline_[N];
  };
  std::unique_ptr<T[]> heap_;
  T* data_ = inline_;
  std::size_t size_ = 0;
  std::size_t capacity_ = N;
};

// Sinks: bool begin_object(), begin_array(), end_object(), end_array(), key(raw, escaped), string(raw, escaped),
// number(text), literal(Kind, text). False ends the reading with the sink's failure(). `raw` stands between the quotes.
template <typename Sink>
class Reader {
 public:
  Reader(std::string_view text, const Limits& limits, Sink& sink) noexcept
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), limits_(limits), sink_(sink) {}

  Status run() {
    if (!read_all()) {
      if (reason_ == nullptr)
        return sink_.failure();
      return Status(code_, "JSON, byte " + std::to_string(offset()) + ": " + reason_);
    }
    COFFER_CHECK(open_.size() == 0 && at_ == end_);
    return ok_status();
  }

  std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - begin_); }

 private:
  bool fail(const char* reason, Code code = Code::kInvalid) noexcept {
    reason_ = reason;
    code_ = code;
    return false;
  }

  void skip_space() noexcept {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r'))
      ++at_;
  }

  // The next byte that is no white space, or 0 at the end (a NUL in the text is refused wherever 0 is).
  char peek() noexcept {
    if (at_ < end_ && static_cast<unsigned char>(*at_) > 0x20) [[likely]]
      return *at_;
    skip_space();
    return at_ < end_ ? *at_ : '\0';
  }

  bool read_all() {
    if (!read_value())
      return false;
    while (open_.size() != 0) {
      const bool object = open_.top();
      const char c = peek();
      if (c == ',') {
        ++at_;
        if (!(object ? read_member() : read_value()))
          return false;
      } else if (c == (object ? '}' : ']')) {
        ++at_;
        open_.pop();
        if (!(object ? sink_.end_object() : sink_.end_array()))
          return false;
      } else {
        return fail(object ? "expected ',' or '}'" : "expected ',' or ']'");
      }
    }
    skip_space();
    return at_ == end_ || fail("expected nothing after the value");
  }

  // Reads one scalar, or opens containers down to the first scalar or empty container.
  bool read_value() {
    for (;;) {
      switch (peek()) {
        case '{':
          if (!open(true) || !sink_.begin_object())
            return false;
          if (peek() == '}')
            return true;  // the caller closes it
          if (!read_key())
            return false;
          continue;
        case '[':
          if (!open(false) || !sink_.begin_array())
            return false;
          if (peek() == ']')
            return true;
          continue;
        case '"': {
          std::string_view raw;
          bool escaped = false;
          return read_string(raw, escaped) && sink_.string(raw, escaped);
        }
        case 't':
          return read_literal("true", Kind::kBool);
        case 'f':
          return read_literal("false", Kind::kBool);
        case 'n':
          return read_literal("null", Kind::kNull);
        default:
          return read_number();
      }
    }
  }

  bool read_member() {
    if (peek() != '"')
      return fail("expected a key in quotes");
    return read_key() && read_value();
  }

  bool read_key() {
    if (peek() != '"')
      return fail("expected a key in quotes or '}'");
    std::string_view raw;
    bool escaped = false;
    if (!read_string(raw, escaped) || !sink_.key(raw, escaped))
      return false;
    if (peek() != ':')
      return fail("expected ':'");
    ++at_;
    return true;
  }

  bool open(bool object) {
    if (open_.size() >= limits_.depth && !mutant(Mutant::kJsonDepthUnchecked))
      return fail("nested too deeply", Code::kTooLarge);
    ++at_;
    open_.push(object);
    return true;
  }

  bool read_literal(std::string_view word, Kind kind) {
    if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word)
      return fail("expected a value");
    const std::string_view text(at_, word.size());
    at_ += word.size();
    return sink_.literal(kind, text);
  }

  bool read_string(std::string_view& raw, bool& escaped) {
    if (++strings_ > limits_.strings && !mutant(Mutant::kJsonStringsUnchecked))
      return fail("more keys and strings than allowed", Code::kTooLarge);
    const char* start = ++at_;
    for (;;) {
      at_ = skip_plain(at_, end_);
      if (at_ == end_)
        return fail("the text ends inside a string");
      if (*at_ == '"')
        break;
      if (*at_ == '\\') {
        escaped = true;
        // Escapes and what is not ASCII come in runs.
        do {
          if (!skip_escape())
            return false;
        } while (at_ < end_ && *at_ == '\\');
      } else if (static_cast<unsigned char>(*at_) < 0x20) {
        return fail("control character in a string");
      } else {
        do {
          const std::size_t n = utf8_sequence(at_, end_);
          if (n == 0)
            return fail("invalid UTF-8");
          at_ += n;
        } while (at_ < end_ && static_cast<unsigned char>(*at_) >= 0x80);
      }
    }
    raw = {start, static_cast<std::size_t>(at_ - start)};
    ++at_;
    return true;
  }

  bool skip_escape() {
    if (end_ - at_ < 2)
      return fail("the text ends inside a string");
    switch (at_[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        at_ += 2;
        return true;
      case 'u':
        break;
      default:
        return fail("unknown escape in a string");
    }
    const int high = hex4(at_ + 2);
    if (high < 0)
      return fail("expected four hexadecimal digits");
    if (high < 0xd800 || high > 0xdfff) {
      at_ += 6;
      return true;
    }
    const int low = high < 0xdc00 && end_ - at_ >= 12 && at_[6] == '\\' && at_[7] == 'u' ? hex4(at_ + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
      return fail("half of a surrogate pair");
    at_ += 12;
    return true;
  }

  int hex4(const char* from) const noexcept {
    if (end_ - from < 4)
      return -1;
    int value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = from[i];
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9')
        value = value * 16 + (c - '0');
      else if (lower >= 'a' && lower <= 'f')
        value = value * 16 + (lower - 'a' + 10);
      else
        return -1;
    }
    return value;
  }

  bool skip_digits() noexcept {
    const char* start = at_;
    while (at_ < end_ && static_cast<unsigned char>(*at_ - '0') < 10)
      ++at_;
    return at_ != start;
  }

  bool read_number() {
    const char* start = at_;
    if (at_ < end_ && *at_ == '-')
      ++at_;
    if (at_ < end_ && *at_ == '0')
      ++at_;
    else if (!skip_digits())
      return fail(at_ == start ? "expected a value" : "expected a digit");
    if (at_ < end_ && *at_ == '.') {
      ++at_;
      if (!skip_digits())
        return fail("expected a digit");
    }
    if (at_ < end_ && (*at_ | 0x20) == 'e') {
      ++at_;
      if (at_ < end_ && (*at_ == '+' || *at_ == '-'))
        ++at_;
      if (!skip_digits())
        return fail("expected a digit");
    }
    return sink_.number(std::string_view(start, static_cast<std::size_t>(at_ - start)));
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const Limits& limits_;
  Sink& sink_;
  std::size_t strings_ = 0;
  SmallStack<bool, 64> open_;  // one a container: is it an object
  const char* reason_ = nullptr;
  Code code_ = Code::kInvalid;
};

}  // namespace coffer::json::internal
