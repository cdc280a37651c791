#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

#include "base/limits.h"
#include "base/path.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using testing::ScopedMutant;

bool accepted(std::string_view raw) { return CanonicalPath::from_percent_encoded(raw).ok(); }

BOOST_AUTO_TEST_SUITE(path)

BOOST_AUTO_TEST_CASE(keeps_what_is_canonical) {
  for (const char* text : {"", "secret/data/a", "secret/metadata/", "a", "A/a", "caf\xc3\xa9/x", "a;b/c=d", "...",
                           ".hidden", "a..b", "100%/x", "%zz", "a b"}) {
    auto path = CanonicalPath::from_text(text);
    BOOST_REQUIRE_MESSAGE(path.ok(), text);
    BOOST_TEST(path->str() == text);
  }
  BOOST_TEST(CanonicalPath::from_text("a/")->is_folder());
  BOOST_TEST(!CanonicalPath::from_text("a")->is_folder());
}

BOOST_AUTO_TEST_CASE(decodes_once) {
  BOOST_TEST(CanonicalPath::from_percent_encoded("secret/data/a%20b")->str() == "secret/data/a b");
  BOOST_TEST(CanonicalPath::from_percent_encoded("a%2Fb%2fc")->str() == "a/b/c");
  BOOST_TEST(CanonicalPath::from_percent_encoded("100%25")->str() == "100%");
  BOOST_TEST(CanonicalPath::from_percent_encoded("caf%C3%A9")->str() == "caf\xc3\xa9");
  BOOST_TEST(CanonicalPath::from_percent_encoded("a+b")->str() == "a+b");
}

BOOST_AUTO_TEST_CASE(refuses_what_is_not_canonical) {
  for (const char* raw :
       {"/a",        "a//b",    "//",       "/",      "a/./b",    "a/../b",     "..",           ".",
        "a/..",      "../a",    "a\\b",     "a%5cb",  "%2e%2e/a", "a/%2e%2e/b", "a%00b",        "a%0ab",
        "a%7fb",     "%2Fa",    "a%2F%2Fb", "a/%2e/", "%ff",      "a%c3",       "\xed\xa0\x80", "%252e%252e/a",
        "%25%32%65", "a%252Fb", "a%255cb",  "%",      "a%2",      "a%g0",       "a%25252e"})
    BOOST_TEST(!accepted(raw), raw);
}

BOOST_AUTO_TEST_CASE(has_limits) {
  BOOST_TEST(accepted(std::string(limits::kPathBytesMax, 'a')));
  BOOST_TEST(!accepted(std::string(limits::kPathBytesMax + 1, 'a')));
  std::string many = "a";
  for (std::size_t i = 1; i < limits::kPathSegmentsMax; ++i)
    many += "/a";
  BOOST_TEST(accepted(many));
  BOOST_TEST(accepted(many + "/"));
  BOOST_TEST(!accepted(many + "/a"));
  std::string escapes;
  for (std::size_t i = 0; i < limits::kPathBytesMax + 1; ++i)
    escapes += "%61";
  BOOST_TEST(!accepted(escapes));
}

BOOST_AUTO_TEST_CASE(errors_hold_no_content) {
  const auto path = CanonicalPath::from_text("hunter2/../x");
  BOOST_TEST(path.status().message().find("hunter2") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(names_are_one_segment) {
  BOOST_TEST(check_canonical_name("team-read").ok());
  for (const char* name : {"", "a/b", "..", "a/", "../ns/root", "a\\b", "a\nb"})
    BOOST_TEST(!check_canonical_name(name).ok(), name);
}

// D2: no spelling of a traversal gets past the door: 10,000 built from the pieces that such attacks use.
std::size_t traversals_let_through() {
  static constexpr std::array kPieces{"..",    "%2e%2e", "%2E.",         ".%2e",  "%252e%252e", "..%2f",
                                      "..%5c", "..\\",   "%c0%ae%c0%ae", "%00..", "..;",        "."};
  static constexpr std::array kJoints{"/", "//", "%2f", "%5c", "\\", "%252f"};
  std::size_t through = 0;
  for (int n = 0; n < 10000; ++n) {
    int left = n;
    const auto pick = [&left](const auto& from) {
      const char* piece = from[static_cast<std::size_t>(left) % from.size()];
      left /= static_cast<int>(from.size());
      return piece;
    };
    std::string raw = "secret/data/a";
    raw += pick(kJoints);
    raw += pick(kPieces);
    raw += pick(kJoints);
    raw += pick(kPieces);
    raw += "/x";
    const auto path = CanonicalPath::from_percent_encoded(raw);
    if (!path.ok())
      continue;
    const std::string padded = "/" + path->str() + "/";
    if (padded.find("/../") != std::string::npos || padded.find("/./") != std::string::npos ||
        path->str().find('%') != std::string::npos)
      ++through;
  }
  return through;
}

BOOST_AUTO_TEST_CASE(d2_traversals_never_reach_storage) {
  BOOST_TEST(traversals_let_through() == 0u);
  ScopedMutant on(Mutant::kPathDotsKept);
  BOOST_TEST(traversals_let_through() > 0u);
}

// D1: two spellings of one name are one canonical path or a refusal, never two paths that a handler could fold into
// one.
BOOST_AUTO_TEST_CASE(d1_no_second_spelling) {
  BOOST_TEST(!accepted("secret//data/a"));
  BOOST_TEST(!accepted("secret/data/%2561"  "%252e"));
  BOOST_TEST(!accepted("secret/data/a%252e"));
  BOOST_TEST((*CanonicalPath::from_percent_encoded("secret/d%61ta/%61") == *CanonicalPath::from_text("secret/data/a")));
  BOOST_TEST((*CanonicalPath::from_text("secret/Admin") != *CanonicalPath::from_text("secret/admin")));
  {
    ScopedMutant on(Mutant::kPathEmptySegmentKept);
    BOOST_TEST(accepted("secret//data/a"));
  }
  ScopedMutant on(Mutant::kPathEscapeLeft);
  BOOST_TEST(accepted("secret/data/a%252e"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
