// Texts of service tokens, and where their records stand.
#include <boost/test/unit_test.hpp>

#include "base/encoding.h"
#include "base/secret.h"
#include "core/token_record.h"
#include "tests/core/core_fixture.h"

using namespace coffer;
using namespace coffer::core;
using namespace std::chrono_literals;
using coffer::core::testing::CountingRandom;

namespace {

constexpr std::size_t kTimeDigits = 8;
constexpr Nanos kTimeUnit{1 << 22};

struct Hasher {
  SecretBytes key{32};
  TokenHasher hasher{key};
  std::string operator()(std::string_view text) const { return std::string(hasher.token(text).view()); }
  // What it is of a text that tells no time: the first bytes of the HMAC.
  std::string plain(std::string_view text) const {
    const crypto::Digest256 digest = crypto::HmacKey(key).mac("t" + std::string(text));
    return hex_encode({reinterpret_cast<const char*>(digest.data()), kTokenHashBytes});
  }
};

std::string made_at(Nanos time) {
  CountingRandom random;
  return *new_service_token(random, WallTime(time));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(token_text)

BOOST_AUTO_TEST_CASE(hash_begins_with_the_time_that_the_text_tells) {
  const Hasher hash;
  const std::string text = made_at(kTimeUnit * 0x12345678LL);
  BOOST_TEST(text.size() == 47u);
  BOOST_TEST(text.starts_with("hvs.CAESH"));
  BOOST_TEST(hash(text) == "12345678" + hash.plain(text).substr(0, kTokenHashText - kTimeDigits));
  BOOST_TEST(hash(text + ".k3J9a").starts_with("12345678"));
  BOOST_TEST(hash(text + ".k3J9a") != hash(text));
  BOOST_TEST(hash(made_at(kTimeUnit * 0x1f2345678LL)).starts_with("f2345678"));  // begins again after 2^32 units
}

BOOST_AUTO_TEST_CASE(tokens_of_one_time_are_neighbours) {
  const Hasher hash;
  CountingRandom random;
  const std::string one = *new_service_token(random, WallTime(30min));
  const std::string other = *new_service_token(random, WallTime(30min + 1us));
  BOOST_TEST(one != other);
  BOOST_TEST(hash(one).substr(0, kTimeDigits) == hash(other).substr(0, kTimeDigits));
  BOOST_TEST(hash(one).substr(kTimeDigits) != hash(other).substr(kTimeDigits));
  BOOST_TEST(hash(made_at(31min)) > hash(made_at(30min)));
}

BOOST_AUTO_TEST_CASE(any_other_text_is_hashed_alone) {
  const Hasher hash;
  const std::string text = made_at(30min);
  std::string bad_character = text;
  bad_character[10] = '!';
  std::string other_head = text;
  other_head[9] = static_cast<char>(other_head[9] + 16);  // the last two bits of the head
  std::string without_time(28, 'x');                       // as tokens were before they told their time
  without_time.replace(0, 4, "\x08\x01\x12\x18");
  for (const std::string& other :
       {std::string(), std::string("root"), std::string("hvs."), std::string("hvs.CAESH"),
        std::string("hvs.0123456789abcdefABCDEFGH"), text.substr(0, text.size() - 1), text + "A", text.substr(1),
        "hvs." + base64url_encode(without_time), bad_character, other_head})
    BOOST_TEST(hash(other) == hash.plain(other), other);
}

BOOST_AUTO_TEST_CASE(nothing_is_made_without_randomness) {
  CountingRandom random;
  random.failing = true;
  BOOST_TEST(!new_service_token(random, WallTime(30min)).ok());
}

BOOST_AUTO_TEST_SUITE_END()
