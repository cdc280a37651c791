#include "crypto/pgp.h"

#include <boost/test/unit_test.hpp>

#include "base/encoding.h"

namespace coffer::crypto {

BOOST_AUTO_TEST_SUITE(pgp_test)

BOOST_AUTO_TEST_CASE(keys_come_in_base64_or_armour) {
  const std::string binary = "\x99 a key";
  BOOST_TEST(pgp_key_bytes(base64_encode(binary)).value() == binary);
  BOOST_TEST(pgp_key_bytes(" mS Bh\nIGt\r\nleQ==\n").value() == binary);
  const std::string armour =
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmSBhIGtleQ==\n-----END PGP PUBLIC KEY BLOCK-----\n";
  BOOST_TEST(pgp_key_bytes(armour).value() == armour);
  BOOST_TEST(pgp_key_bytes(base64_encode(armour)).value() == armour);
  for (const std::string_view wrong : {"", "  ", "no base64!", "mSBhIGtleQ="})
    BOOST_TEST((pgp_key_bytes(wrong).code() == Code::kInvalid));
  BOOST_TEST(pgp_key_bytes(base64_encode(std::string(kPgpKeyBytesMax, 'x'))).ok());
  BOOST_TEST((pgp_key_bytes(base64_encode(std::string(kPgpKeyBytesMax + 1, 'x'))).code() == Code::kTooLarge));
}

BOOST_AUTO_TEST_CASE(a_helper_that_does_not_start_is_said) {
  PgpHelpers helpers("/nonexistent");
  BOOST_TEST((helpers.fingerprints({"x"}).code() == Code::kIo));
  PgpHelpers mute("/bin/true");
  std::vector<SecretBytes> texts;
  texts.push_back(SecretBytes::copy_of("text"));
  BOOST_TEST((mute.encrypt({"x"}, texts).code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::crypto
