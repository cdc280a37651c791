// Names in their one canonical form. A CanonicalPath is made at the door: percent-decoded once, refused when it is not
// canonical, never cleaned. Router, policy, storage and caches accept nothing else, so no two parts can spell one name
// differently (advisories D1-D3, rule R1).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer {

// Segments joined by '/', no leading '/'; a trailing '/' is kept and means "folder" (as LIST uses it). Refused: empty
// segments (so "//"), "." and "..", backslash, bytes below 0x20, 0x7f, invalid UTF-8, more than limits::kPathBytesMax
// bytes or kPathSegmentsMax segments. Case and Unicode form are kept as they are: names are compared byte by byte
// everywhere.
class CanonicalPath {
 public:
  CanonicalPath() = default;  // the empty path

  // `raw` is what the client sent, not yet decoded (HTTP); "%2F" separates as '/' does. A '%' that is left after
  // decoding, as in "%252e", is refused too when it would decode to something that is refused here, to a separator, a
  // dot or another '%', so that no later decoder can change the meaning.
  static Result<CanonicalPath> from_percent_encoded(std::string_view raw);
  // `text` is taken as it is (gRPC, storage, command line).
  static Result<CanonicalPath> from_text(std::string_view text);

  const std::string& str() const noexcept { return text_; }
  std::string_view view() const noexcept { return text_; }
  bool empty() const noexcept { return text_.empty(); }
  bool is_folder() const noexcept { return !text_.empty() && text_.back() == '/'; }

  friend bool operator==(const CanonicalPath&, const CanonicalPath&) = default;
  friend auto operator<=>(const CanonicalPath&, const CanonicalPath&) = default;

 private:
  explicit CanonicalPath(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// One name inside a path (a policy, a role, a version-free key): one canonical segment, not empty.
Status check_canonical_name(std::string_view name);

}  // namespace coffer
