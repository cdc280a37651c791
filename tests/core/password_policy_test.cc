// Rules for generated passwords.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>

#include "core/password_policy.h"
#include "tests/core/core_fixture.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::CountingRandom;

namespace {

std::string refusal(std::string_view text) { return PasswordPolicy::parse(text).status().message(); }

constexpr std::string_view kTwo = R"(
length = 12
rule "charset" { charset = "abc" min-chars = 3 }
rule "charset" { charset = "0123" min-chars = 2 }
)";

}  // namespace

BOOST_AUTO_TEST_SUITE(password_policy)

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said) {
  BOOST_TEST(refusal("length = 20") == "no charset specified");
  BOOST_TEST(refusal(R"(rule "charset" { charset = "abc" })") == "length must be > 0");
  BOOST_TEST(refusal("length = -1") == "length must be > 0");
  BOOST_TEST(refusal("length = 3\nrule \"charset\" { charset = \"abc\"\n min-chars = 4 }") ==
             "specified rules require at least 4 characters but 3 is specified");
  BOOST_TEST(refusal("length = 3\nrule \"charset\" { charset = \"\" }") == "charset is empty");
  BOOST_TEST(refusal("length = 3\nrule \"other\" { charset = \"a\" }") == "unrecognized rule");
  BOOST_TEST(refusal("length = 3\nrule \"charset\" { charset = \"a\\u0007\" }") ==
             "non-printable character in charset");
  BOOST_TEST(refusal("length = 100000\nrule \"charset\" { charset = \"a\" }") == "length must be at most 1024");
  BOOST_TEST(refusal("size = 3").starts_with("line 1"));
  BOOST_TEST(refusal(kTwo) == "");
}

BOOST_AUTO_TEST_CASE(passwords_keep_every_rule) {
  const Result<PasswordPolicy> policy = PasswordPolicy::parse(kTwo);
  BOOST_REQUIRE(policy.ok());
  CountingRandom random;
  std::map<char, int> seen;
  for (int i = 0; i < 7000; ++i) {
    const Result<SecretBytes> password = policy->generate(random);
    BOOST_REQUIRE(password.ok());
    const std::string_view text = password->reveal_text();
    BOOST_REQUIRE(text.size() == 12u);
    const auto letters = std::ranges::count_if(text, [](char c) { return c >= 'a'; });
    BOOST_REQUIRE(letters >= 3);
    BOOST_REQUIRE(12 - letters >= 2);
    BOOST_REQUIRE(text.find_first_not_of("abc0123") == std::string_view::npos);
    ++seen[text.front()];
  }
  // Six of twelve are letters by these rules: three, and three sevenths of the seven that are free.
  for (const auto& [character, count] : seen)
    BOOST_TEST(std::abs(count - (character >= 'a' ? 1167 : 875)) < 180, character << " " << count);
  random.failing = true;
  BOOST_TEST(!policy->generate(random).ok());
}

BOOST_AUTO_TEST_CASE(characters_are_those_of_the_text) {
  const Result<PasswordPolicy> policy = PasswordPolicy::parse("length = 4\nrule \"charset\" { charset = \"äöü\" }");
  BOOST_REQUIRE(policy.ok());
  CountingRandom random;
  const Result<SecretBytes> password = policy->generate(random);
  BOOST_REQUIRE(password.ok());
  BOOST_TEST(password->reveal_text().size() == 8u);
}

BOOST_AUTO_TEST_SUITE_END()
