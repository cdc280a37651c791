#include "base/path.h"

#include <array>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/utf8.h"

namespace coffer {
namespace {

Status refuse(const char* what) { return Status(Code::kInvalid, std::string("path: ") + what); }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// What no byte of a canonical path may be.
constexpr bool is_forbidden_byte(unsigned char c) noexcept { return c < 0x20 || c == 0x7f || c == '\\'; }

// Bytes that need a look; all others pass. Most bytes of most paths do.
constexpr std::array<bool, 256> kSpecial = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 0; c < 256; ++c)
    table[c] = is_forbidden_byte(static_cast<unsigned char>(c)) || c == '/' || c == '%' || c >= 0x80;
  return table;
}();

Status check_segment(std::string_view segment) {
  if (segment.empty() && !mutant(Mutant::kPathEmptySegmentKept))
    return refuse("an empty segment");
  if ((segment == "." || segment == "..") && !mutant(Mutant::kPathDotsKept))
    return refuse("a segment '.' or '..'");
  return ok_status();
}

// True when decoding once more what looks like an escape at `at` could change what the path means.
bool is_dangerous_escape(std::string_view text, std::size_t at) noexcept {
  if (at + 2 >= text.size())
    return false;
  const int high = hex_digit(text[at + 1]);
  const int low = hex_digit(text[at + 2]);
  if (high < 0 || low < 0)
    return false;
  const int byte = high * 16 + low;
  // '%' itself is here, or "%252e" would survive one decoding and become dangerous in the next.
  return is_forbidden_byte(static_cast<unsigned char>(byte)) || byte == '/' || byte == '.' || byte == '%' ||
         byte >= 0x80;
}

Status check_path(std::string_view text) {
  if (text.size() > limits::kPathBytesMax)
    return Status(Code::kInvalid, "path: longer than " + std::to_string(limits::kPathBytesMax) + " bytes");
  std::size_t segments = 0;
  std::size_t start = 0;
  const char* end = text.data() + text.size();
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!kSpecial[c]) [[likely]] {
      ++i;
    } else if (c == '/') {
      COFFER_TRY(check_segment(text.substr(start, i - start)));
      ++segments;
      start = ++i;
    } else if (c >= 0x80) {
      const std::size_t n = utf8_sequence(text.data() + i, end);
      if (n == 0)
        return refuse("not valid UTF-8");
      i += n;
    } else if (is_forbidden_byte(c)) {
      return refuse("a backslash or control character");
    } else if (is_dangerous_escape(text, i) && !mutant(Mutant::kPathEscapeLeft)) {
      return refuse("an escape that is left after decoding");
    } else {
      ++i;
    }
  }
  if (start < text.size()) {
    COFFER_TRY(check_segment(text.substr(start)));
    ++segments;
  }
  if (segments > limits::kPathSegmentsMax)
    return Status(Code::kInvalid, "path: more than " + std::to_string(limits::kPathSegmentsMax) + " segments");
  return ok_status();
}

}  // namespace

Result<CanonicalPath> CanonicalPath::from_text(std::string_view text) {
  COFFER_TRY(check_path(text));
  return CanonicalPath(std::string(text));
}

Result<CanonicalPath> CanonicalPath::from_percent_encoded(std::string_view raw) {
  if (raw.find('%') == std::string_view::npos)
    return from_text(raw);
  // Every escape takes three bytes, so a longer text cannot decode to an allowed one.
  if (raw.size() > 3 * limits::kPathBytesMax)
    return Status(Code::kInvalid, "path: longer than " + std::to_string(limits::kPathBytesMax) + " bytes");
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      text.push_back(raw[i]);
      continue;
    }
    const int high = i + 1 < raw.size() ? hex_digit(raw[i + 1]) : -1;
    const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
    if (high < 0 || low < 0)
      return refuse("'%' without two hexadecimal digits");
    text.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  COFFER_TRY(check_path(text));
  return CanonicalPath(std::move(text));
}

Status check_canonical_name(std::string_view name) {
  COFFER_TRY(check_path(name));
  if (name.empty())
    return refuse("an empty name");
  if (name.find('/') != std::string_view::npos)
    return refuse("a slash in a name");
  return ok_status();
}

}  // namespace coffer
