// module: base/path.cc base/utf8.h
// No text becomes a path with a segment that means another, and a path has one spelling.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf8.h"

namespace {

using namespace coffer;

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    out.push_back('%');
    out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

void check_canonical(const CanonicalPath& path) {
  const std::string padded = "/" + path.str() + "/";
  COFFER_CHECK(padded.find("/../") == std::string::npos && padded.find("/./") == std::string::npos);
  COFFER_CHECK(path.str().find("//") == std::string::npos && !path.str().starts_with('/'));
  COFFER_CHECK(path.str().find('\\') == std::string::npos && is_utf8(path.str()));
  COFFER_CHECK(path.str().size() <= limits::kPathBytesMax);
  for (const char c : path.str())
    COFFER_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  const Result<CanonicalPath> same = CanonicalPath::from_text(path.view());
  COFFER_CHECK(same.ok() && *same == path);
  const Result<CanonicalPath> encoded = CanonicalPath::from_percent_encoded(percent_encode(path.view()));
  COFFER_CHECK(encoded.ok() && *encoded == path);
  // A second decoding by anybody is either impossible or names something that is no more than this path's own
  // characters.
  const Result<CanonicalPath> again = CanonicalPath::from_percent_encoded(path.view());
  if (again.ok())
    COFFER_CHECK(std::count(again->str().begin(), again->str().end(), '/') ==
                 std::count(path.str().begin(), path.str().end(), '/'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (const auto path = CanonicalPath::from_percent_encoded(raw); path.ok())
    check_canonical(*path);
  if (const auto path = CanonicalPath::from_text(raw); path.ok())
    check_canonical(*path);
  if (check_canonical_name(raw).ok())
    COFFER_CHECK(!raw.empty() && raw.find('/') == std::string_view::npos && raw != ".." && raw != ".");
  return 0;
}
