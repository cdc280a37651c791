#include <boost/test/unit_test.hpp>

#include <array>
#include <set>
#include <string>

#include "base/encoding.h"

namespace coffer {
namespace {

BOOST_AUTO_TEST_SUITE(encoding)

BOOST_AUTO_TEST_CASE(base64) {
  const std::pair<std::string, std::string> pairs[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                                       {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : pairs) {
    BOOST_TEST(base64_encode(bytes) == text);
    BOOST_TEST(*base64_decode(text) == bytes);
    BOOST_TEST(base64_decode_secret(text)->reveal_text() == bytes);
  }
  BOOST_TEST(*base64_decode("Zm9v\r\nYg==\n") == "foob");
  for (const char* text : {"Zg", "Zg=", "Zg===", "Z", "Zh==", "Zm9=", "Zm9v=", "Zm9v====", "Z=g=", "Zm 9", "Zm-v", "=",
                           "Zg==Zg==", "\xff\xff\xff\xff"})
    BOOST_TEST(!base64_decode(text).ok(), text);
  BOOST_TEST(base64url_encode("\xff\xfe\xfdz") == "__79eg");
  BOOST_TEST(*base64url_decode("__79eg") == "\xff\xfe\xfdz");
  BOOST_TEST(*base64url_decode("__79eg==") == "\xff\xfe\xfdz");
  for (const char* text : {"__79e", "__79eg=", "//79", "__79\neg", "__79eh"})
    BOOST_TEST(!base64url_decode(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(every_length_round_trips) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    BOOST_REQUIRE(*base64_decode(base64_encode(bytes)) == bytes);
    BOOST_REQUIRE(*base64url_decode(base64url_encode(bytes)) == bytes);
    BOOST_REQUIRE(*hex_decode(hex_encode(bytes)) == bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
}

BOOST_AUTO_TEST_CASE(hexadecimal) {
  BOOST_TEST(hex_encode("\x01\xab") == "01ab");
  BOOST_TEST(*hex_decode("01AB") == "\x01\xab");
  BOOST_TEST(hex_decode_secret("01ab")->size() == 2u);
  BOOST_TEST(!hex_decode("0").ok());
  BOOST_TEST(!hex_decode("0g").ok());
}

class Counting final : public RandomSource {
 public:
  Status fill(std::span<std::uint8_t> out) override {
    if (fail)
      return Status(Code::kIo, "no randomness");
    for (auto& byte : out)
      byte = next++;
    return ok_status();
  }
  std::uint8_t next = 0;
  bool fail = false;
};

BOOST_AUTO_TEST_CASE(base62_has_no_bias) {
  Counting random;
  // 256 bytes give each character exactly four times, and eight bytes are thrown away.
  const std::string text = *random_base62(random, 248);
  std::array<int, 256> count{};
  for (const char c : text)
    ++count[static_cast<unsigned char>(c)];
  for (const char c : std::string("09AZaz"))
    BOOST_TEST(count[static_cast<unsigned char>(c)] == 4);
  random.fail = true;
  BOOST_TEST(!random_base62(random, 4).ok());
  BOOST_TEST(!random_uuid(random).ok());
}

BOOST_AUTO_TEST_CASE(uuids) {
  Counting random;
  BOOST_TEST(*random_uuid(random) == "00010203-0405-4607-8809-0a0b0c0d0e0f");
  BOOST_TEST(is_uuid(*random_uuid(system_random())));
  BOOST_TEST(!is_uuid("00010203-0405-4607-8809-0a0b0c0d0e0"));
  BOOST_TEST(!is_uuid("00010203x0405-4607-8809-0a0b0c0d0e0f"));
  BOOST_TEST(!is_uuid("00010203-0405-4607-8809-0a0b0c0d0e0g"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
